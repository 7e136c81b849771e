"""The playground: its packages are pinned, its files are this server's, and its policy has no exception."""

import json
import logging
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from starlette.requests import HTTPConnection

from graphql_api.http.site.playground import BUNDLE_FOLDER, Playground
from tests.support.app import AppClient
from tests.support.html import HTMLPage
from tests.support.paths import ROOT

FILES = ("chunk-A.js", "graphiql.css", "graphiql.js", "icons.ttf", "json.worker.js")
BASE_URL = "http://countries.example"
CSP = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'nonce-{}'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def get_base_url(_: HTTPConnection) -> str:
    """Return the URL of the site."""
    return BASE_URL


def load(folder: Path, *, is_token_required: bool = False) -> Playground:
    """Return the playground of a folder."""
    return Playground.load(folder, is_token_required=is_token_required, get_base_url=get_base_url)


def render(playground: Playground) -> HTMLPage:
    """Return the page at /graphql."""
    return HTMLPage(playground.render("/graphql", base_url=BASE_URL, style_nonce="n0nce"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return the folder of a bundle, of which one file is no script, style or font."""
    for name in (*FILES, "LICENSES.txt"):
        (tmp_path / name).write_text(f"/* {name} */")
    return tmp_path


def test_lock() -> None:
    """Every package has an exact version, a hash and no registry."""
    package = json.loads((ROOT / "playground" / "package.json").read_text())
    locked_packages = json.loads((ROOT / "playground" / "package-lock.json").read_text())["packages"]
    assert locked_packages.pop("")["dependencies"] == package["dependencies"]
    for name, version in package["dependencies"].items():
        assert locked_packages[f"node_modules/{name}"]["version"] == version
    assert package["dependencies"]["graphiql"].startswith("5.")
    assert all(package["integrity"].startswith("sha512-") for package in locked_packages.values())
    assert all("resolved" not in package for package in locked_packages.values())


def test_bundle(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The files of the bundle have one folder, of which the page names three, and no file is another server's."""
    playground = load(bundle)
    urls = playground.bundle
    [folder] = {url.rpartition("/")[0] for url in urls.values()}
    assert urls == {name: f"{folder}/{name}" for name in FILES}
    assert re.fullmatch(r"static/[0-9a-f]{16}", folder)
    page = render(playground)
    [style, *_] = [link for link in page.find_all("link") if link.get("rel") == "stylesheet"]
    assert (style["href"], style["nonce"]) == (f"./{urls['graphiql.css']}", "n0nce")
    preloads = [link["href"] for link in page.find_all("link") if link.get("rel") == "modulepreload"]
    assert preloads == [f"./{urls[name]}" for name in ("graphiql.js", "chunk-A.js")]
    [container] = page.find_all("main")
    assert container["data-bundle"] == f"./{urls['graphiql.js']}"
    files = [str(attributes.get("src") or attributes.get("href")) for _, attributes in page.tags]
    assert {url for url in files if "//" in url} == {f"{BASE_URL}/graphql"}  # the canonical link
    assert caplog.messages == []
    (bundle / "json.worker.js").write_text("changed")
    assert load(bundle).bundle["graphiql.js"] != urls["graphiql.js"]


def test_no_inline_script(bundle: Path) -> None:
    """The page has no inline script, style or event handler."""
    page = render(load(bundle, is_token_required=True))
    assert [attributes for attributes in page.find_all("script") if "src" not in attributes] == []
    assert page.find_all("style") == []
    assert [name for _, attributes in page.tags for name in attributes if name.startswith(("on", "sty"))] == []


@pytest.mark.parametrize("missing", ["graphiql.js", "graphiql.css"])
def test_not_installed(bundle: Path, caplog: pytest.LogCaptureFixture, missing: str) -> None:
    """Without a file that the page names, page and log say what to install, and nothing of the bundle is served."""
    (bundle / missing).unlink()
    with caplog.at_level(logging.WARNING):
        playground = load(bundle)
    assert [asset.name for asset in playground.assets] == ["playground.css", "playground.js", "icon.svg"]
    page = render(playground)
    text = "The playground is not installed on this server. Install Node.js with npm and start the server by make run."
    assert text in " ".join(page.text.split())
    assert f"'{BASE_URL}/graphql'" in page.text
    assert page.find_all("script") == []
    [message] = caplog.messages
    expected = f"The playground is not installed in {bundle}. `make run` installs it if Node.js and npm are available."
    assert message == expected


@pytest.mark.parametrize(("is_required", "attribute"), [(True, "yes"), (False, "no")])
def test_token(bundle: Path, is_required: bool, attribute: str) -> None:
    """The page contains whether mutations require a token."""
    page = render(load(bundle, is_token_required=is_required))
    [container] = page.find_all("main")
    assert container["data-token-required"] == attribute


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/graphql/?query=", "/graphql?query=&variables="])
async def test_served(server: AppClient, path: str) -> None:
    """Every file that the page names is served and immutable, at both paths of the page."""
    response = await server.get(path, Accept="text/html")
    assert response.headers["Cache-Control"] == "no-cache"
    page = HTMLPage(response.text)
    urls = [str(attributes["src"]) for attributes in page.find_all("script")]
    urls += [str(attributes["href"]) for attributes in page.find_all("link") if attributes["rel"] != "canonical"]
    for url in urls:
        file_response = await server.get(urljoin(path, url))
        assert file_response.status_code == 200
        assert file_response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert {urljoin(path, str(link["href"])) for link in page.find_all("a")} == {"/"}


@pytest.mark.asyncio(loop_scope="module")
async def test_policy(server: AppClient) -> None:
    """Each response has a nonce of its own for styles; nothing unsafe and no other server is allowed."""
    if not BUNDLE_FOLDER.is_dir():
        pytest.skip("the playground is not installed; `make test` installs it if npm is available")
    nonces = set()
    for _ in range(2):
        response = await server.get("/graphql", Accept="text/html")
        [nonce] = {str(attributes["nonce"]) for _, attributes in HTMLPage(response.text).tags if "nonce" in attributes}
        assert response.headers["Content-Security-Policy"] == CSP.format(nonce)
        nonces.add(nonce)
    assert len(nonces) == 2


def test_comments_fit() -> None:
    """Comments of the tabs are shorter than an editor of a small window is wide."""
    script = (ROOT / "graphql_api" / "http" / "site" / "static" / "playground.js").read_text("utf-8")
    comments = re.findall(r"^(?:const \w+ = `)?(# .*)$", script, re.MULTILINE)
    assert (len(comments), [comment for comment in comments if len(comment) >= 50]) == (12, [])
