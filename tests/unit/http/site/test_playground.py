"""The playground: its files are pinned, checked by hash, and served from here if installed."""

import base64
import hashlib
import json
import logging
import re
import shutil
from pathlib import Path
from urllib.parse import urljoin

import pytest

from graphql_api.http.site.playground import INSTALL_FOLDER, GraphiQLAsset, Playground, list_graphiql_assets
from graphql_api.http.site.static_files import Asset
from tests.support.app import AppClient
from tests.support.html import HTMLPage
from tests.support.paths import ROOT

PACKAGES = {
    "@graphiql/plugin-explorer": "1.0.2",
    "graphiql": "3.8.3",
    "js-cookie": "3.0.5",
    "react": "18.2.0",
    "react-dom": "18.2.0",
}
LOCKED_PACKAGES = {**PACKAGES, "flag-icons": "7.5.0"}
"""Those of the playground and the flags of all pages."""


@pytest.fixture
def installed() -> Path:
    """Return the folder of the installed packages."""
    if not INSTALL_FOLDER.is_dir():
        pytest.skip("the playground is not installed; `make test` installs it if npm is available")
    return INSTALL_FOLDER


def hashed_files(page: HTMLPage) -> list[tuple[str, str]]:
    """Return the URL and the hash of each file that has a hash."""
    return [
        (str(attributes.get("src") or attributes["href"]), str(attributes["integrity"]))
        for _, attributes in page.tags
        if "integrity" in attributes
    ]


def test_graphiql_assets() -> None:
    """GraphiQL is seven files of five packages, pinned to exact versions."""
    assert len(list_graphiql_assets()) == 7
    paths = {re.sub(r"(?<=.)@.*", "", asset.path): asset.path for asset in list_graphiql_assets()}
    versions = {name: re.split("[@/]", path[len(name) + 1 :])[0] for name, path in paths.items()}
    assert versions == PACKAGES
    package = json.loads((ROOT / "playground" / "package.json").read_text())
    assert package["dependencies"] == LOCKED_PACKAGES


def test_lock() -> None:
    """The lock file has these packages only, with hashes and without a registry."""
    lock = json.loads((ROOT / "playground" / "package-lock.json").read_text())
    locked_packages = {path.removeprefix("node_modules/"): package for path, package in lock["packages"].items()}
    assert locked_packages.pop("")["dependencies"] == LOCKED_PACKAGES
    assert {name: package["version"] for name, package in locked_packages.items()} == LOCKED_PACKAGES
    assert all(package["integrity"].startswith("sha512-") for package in locked_packages.values())
    assert all("resolved" not in package for package in locked_packages.values())


def test_hashes(installed: Path) -> None:
    """The installed files have the hashes of Strawberry's page."""
    playground = Playground.load(installed, is_token_required=False)
    bodies = {f"./{asset.url}": asset.path.read_bytes() for asset in playground.assets}
    page_files = hashed_files(HTMLPage(playground.render("/graphql")))
    assert len(page_files) == 7
    for url, integrity in page_files:
        digest = base64.b64encode(hashlib.sha384(bodies[url]).digest()).decode()
        assert integrity == f"sha384-{digest}"
    assert sorted(integrity for _, integrity in page_files) == sorted(
        asset.integrity for asset in list_graphiql_assets()
    )


def test_installed(installed: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With all files installed neither the page nor its CSP names another server."""
    playground = Playground.load(installed, is_token_required=False)
    assert "https://" not in playground.render("/graphql") + playground.csp
    assert "unsafe" not in playground.csp
    assert (
        "note"
        not in [attributes.get("class") for attributes in HTMLPage(playground.render("/graphql")).find_all("p")][:-1]
    )
    assert caplog.messages == []


def test_no_inline_script(installed: Path) -> None:
    """The page has no inline script, style or event handler."""
    page = HTMLPage(Playground.load(installed, is_token_required=True).render("/graphql"))
    assert [attributes for attributes in page.find_all("script") if "src" not in attributes] == []
    assert page.find_all("style") == []
    assert [name for _, attributes in page.tags for name in attributes if name.startswith(("on", "sty"))] == []


@pytest.mark.parametrize("damage", ["missing", "changed", "absent"])
def test_cdn(tmp_path: Path, installed: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    """If a file is missing or altered, all come from the CDN, as page and log say."""
    folder = tmp_path / "node_modules"
    if damage != "absent":
        shutil.copytree(installed, folder)
        file = folder / "react" / "umd" / "react.production.min.js"
        file.unlink()
    if damage == "changed":
        file.write_bytes(b"alert(1)")
    with caplog.at_level(logging.WARNING):
        playground = Playground.load(folder, is_token_required=False)
    origin = list_graphiql_assets()[0].origin
    page = HTMLPage(playground.render("/graphql"))
    assert sorted(hashed_files(page)) == sorted(
        (f"{origin}/{path}", digest) for _, path, digest in list_graphiql_assets()
    )
    assert f"GraphiQL is loaded from {origin}, because it is not installed on this server." in page.text
    assert f"script-src 'self' {origin}; style-src 'self' {origin} 'sha256-" in playground.csp
    assert [asset.name for asset in playground.assets] == ["playground.css", "playground.js", "icon.svg"]
    [message] = caplog.messages
    assert message == (
        f"The playground's files are not installed in {folder}; "
        f"the page loads them from {origin}. "
        "`make run` installs them if npm is available."
    )


def test_find(tmp_path: Path) -> None:
    """A file is in the folder of its package, whose name has no version."""
    body = b"1"
    digest = base64.b64encode(hashlib.sha384(body).digest()).decode()
    remote = GraphiQLAsset("https://example.org", "@scope/name@1.2.3/dist/a.js", f"sha384-{digest}")
    assert remote.find(tmp_path) is None
    file = tmp_path / "@scope" / "name" / "dist" / "a.js"
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    asset = remote.find(tmp_path)
    assert asset == Asset(remote.path, file)


@pytest.mark.parametrize(("is_required", "attribute"), [(True, "yes"), (False, "no")])
def test_token(tmp_path: Path, is_required: bool, attribute: str) -> None:
    """The page contains whether mutations require a token."""
    page = HTMLPage(Playground.load(tmp_path, is_token_required=is_required).render("/graphql"))
    [container] = [attributes for attributes in page.find_all("div") if attributes.get("id") == "graphiql"]
    assert container["data-token-required"] == attribute


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/graphql/?query=", "/graphql?query=&variables="])
async def test_served(server: AppClient, path: str) -> None:
    """Every file of this server that the page names is served and immutable, at both paths of the page."""
    response = await server.get(path, Accept="text/html")
    assert response.headers["Cache-Control"] == "no-cache"
    page = HTMLPage(response.text)
    urls = [str(attributes["src"]) for attributes in page.find_all("script")]
    urls += [str(attributes["href"]) for attributes in page.find_all("link")]
    for url in urls:
        if not url.startswith("https://"):
            file_response = await server.get(urljoin(path, url))
            assert file_response.status_code == 200
            assert file_response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    [link] = page.find_all("a")
    assert urljoin(path, str(link["href"])) == "/"


def test_comments_fit() -> None:
    """Comments of the tabs are shorter than an editor of a small window is wide."""
    script = (ROOT / "graphql_api" / "http" / "site" / "static" / "playground.js").read_text("utf-8")
    comments = re.findall(r"^(?:const \w+ = `)?(# .*)$", script, re.MULTILINE)
    assert (len(comments), [comment for comment in comments if len(comment) >= 50]) == (13, [])
