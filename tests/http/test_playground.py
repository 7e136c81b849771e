"""The playground: its files are those that npm has, checked by hash, and from here if they are."""

import base64
import hashlib
import json
import logging
import re
import shutil
from pathlib import Path

import pytest

from graphql_api.http.playground import INSTALLED, Part, Playground, parts
from tests.http.markup import Page
from tests.serving import Server

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "@graphiql/plugin-explorer": "1.0.2",
    "graphiql": "3.8.3",
    "js-cookie": "3.0.5",
    "react": "18.2.0",
    "react-dom": "18.2.0",
}


@pytest.fixture
def installed() -> Path:
    """Return the folder that `make` has filled."""
    if not INSTALLED.is_dir():
        pytest.skip("npm install has not run; make test does it where npm is")
    return INSTALLED


def tags(page: Page) -> list[tuple[str, str]]:
    """Return the address and the hash of each file that has a hash."""
    return [
        (str(given.get("src") or given["href"]), str(given["integrity"]))
        for _, given in page.tags
        if "integrity" in given
    ]


def test_parts() -> None:
    """GraphiQL is seven files of five packages, whose versions npm is asked for exactly."""
    assert len(parts()) == 7
    found = {re.sub(r"(?<=.)@.*", "", part.path): part.path for part in parts()}
    versions = {name: re.split("[@/]", path[len(name) + 1 :])[0] for name, path in found.items()}
    assert versions == PACKAGES
    wanted = json.loads((ROOT / "playground" / "package.json").read_text())
    assert wanted["dependencies"] == PACKAGES


def test_lock() -> None:
    """The lock has these packages alone, by hash, from whichever registry npm is set to."""
    lock = json.loads((ROOT / "playground" / "package-lock.json").read_text())
    locked = {path.removeprefix("node_modules/"): one for path, one in lock["packages"].items()}
    assert locked.pop("")["dependencies"] == PACKAGES
    assert {name: one["version"] for name, one in locked.items()} == PACKAGES
    assert all(one["integrity"].startswith("sha512-") for one in locked.values())
    assert all("resolved" not in one for one in locked.values())


def test_hashes(installed: Path) -> None:
    """What npm has installed is, byte for byte, what Strawberry's page names by its hashes."""
    playground = Playground.load(installed, token_needed=False)
    served = {asset.address: asset.body for asset in playground.assets}
    loaded = tags(Page(playground.page))
    assert len(loaded) == 7
    for address, integrity in loaded:
        digest = base64.b64encode(hashlib.sha384(served[address]).digest()).decode()
        assert integrity == f"sha384-{digest}"
    assert sorted(integrity for _, integrity in loaded) == sorted(one.integrity for one in parts())


def test_nothing_from_elsewhere(installed: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the files are installed neither the page nor its policy names another server."""
    playground = Playground.load(installed, token_needed=False)
    assert "https://" not in playground.page + playground.policy
    assert "unsafe" not in playground.policy
    assert "note" not in [given.get("class") for given in Page(playground.page).all("p")][:-1]
    assert caplog.messages == []


def test_no_inline_script(installed: Path) -> None:
    """The page has no script, style or handler in itself."""
    page = Page(Playground.load(installed, token_needed=True).page)
    assert [given for given in page.all("script") if "src" not in given] == []
    assert page.all("style") == []
    assert [
        name for _, given in page.tags for name in given if name.startswith(("on", "sty"))
    ] == []


@pytest.mark.parametrize("damage", ["missing", "changed", "absent"])
def test_elsewhere(
    tmp_path: Path, installed: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """If one file is missing or another one, all come from elsewhere, which is said twice."""
    folder = tmp_path / "node_modules"
    if damage != "absent":
        shutil.copytree(installed, folder)
        file = folder / "react" / "umd" / "react.production.min.js"
        file.unlink()
    if damage == "changed":
        file.write_bytes(b"alert(1)")
    with caplog.at_level(logging.WARNING):
        playground = Playground.load(folder, token_needed=False)
    origin = parts()[0].origin
    page = Page(playground.page)
    assert sorted(tags(page)) == sorted((f"{origin}/{path}", digest) for _, path, digest in parts())
    assert f"GraphiQL is loaded from {origin}, because it is not installed here." in page.text
    assert f"script-src 'self' {origin}; style-src 'self' {origin} 'sha256-" in playground.policy
    assert [asset.name for asset in playground.assets] == [
        "playground.css",
        "playground.js",
        "icon.svg",
    ]
    [message] = caplog.messages
    assert message == (
        f"The playground's files are not in {folder}; its page loads them from {origin}. "
        "`make run` installs them where npm is."
    )


def test_one_part(tmp_path: Path) -> None:
    """A file is found below its package's name, without the version."""
    body = b"1"
    digest = base64.b64encode(hashlib.sha384(body).digest()).decode()
    part = Part("https://example.org", "@scope/name@1.2.3/dist/a.js", f"sha384-{digest}")
    assert part.find(tmp_path) is None
    file = tmp_path / "@scope" / "name" / "dist" / "a.js"
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    found = part.find(tmp_path)
    assert found is not None
    assert (found.name, found.body) == (part.path, body)


@pytest.mark.parametrize(("needed", "told"), [(True, "yes"), (False, "no")])
def test_token(tmp_path: Path, needed: bool, told: str) -> None:
    """The page knows whether a mutation needs a token."""
    page = Page(Playground.load(tmp_path, token_needed=needed).page)
    [place] = [given for given in page.all("div") if given.get("id") == "graphiql"]
    assert place["data-token-needed"] == told


@pytest.mark.asyncio(loop_scope="module")
async def test_served(server: Server) -> None:
    """Every file that the page names at this server is there, for the page and for ever."""
    response = await server.get("/graphql", Accept="text/html")
    assert response.headers["Cache-Control"] == "no-cache"
    page = Page(response.text)
    addresses = [str(given["src"]) for given in page.all("script")]
    addresses += [str(given["href"]) for given in page.all("link")]
    for address in addresses:
        if not address.startswith("https://"):
            answer = await server.get(f"/{address}")
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
