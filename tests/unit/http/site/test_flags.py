"""Flags come from the files that npm installed, and every country has one."""

from pathlib import Path

import pytest

from graphql_api.http.site.flags import FLAG_FOLDER, Flags
from graphql_api.sources.reference import load_reference
from tests.support.app import AppClient
from tests.support.html import HTMLPage

pytestmark = pytest.mark.asyncio(loop_scope="module")


def write_flags(folder: Path, **contents: str) -> Flags:
    """Return the flags of a folder with these files."""
    for name, content in contents.items():
        (folder / f"{name}.svg").write_text(content)
    return Flags.load(folder)


async def test_urls(tmp_path: Path) -> None:
    """Flags of countries are found by code, under a digest of all; without any, each code has an empty URL."""
    assert (Flags.load(tmp_path).by_code, Flags().get_url("FR")) == ({}, "")
    flags = write_flags(tmp_path, fr="<svg/>", de="<svg />", gb_eng="<svg/>", arab="<svg/>")
    assert list(flags.by_code) == ["DE", "FR"]
    *folders, name = flags.get_url("FR").split("/")
    assert (folders[0], folders[2:], name) == ("static", ["flags"], "fr.svg")
    assert flags.get_url("DE") == "/".join((*folders, "de.svg"))
    assert flags.get_url("IT") == ""
    changed = write_flags(tmp_path, de="<svg></svg>")
    assert changed.get_url("FR") != flags.get_url("FR")


async def test_every_country(server: AppClient) -> None:
    """The page shows a flag of this server beside each country, with a fixed size, and the file is immutable."""
    flags = Flags.load(FLAG_FOLDER)
    if not flags.by_code:
        pytest.skip("the flags are not installed; `make test` installs them if npm is available")
    codes = load_reference().keys()
    assert flags.by_code.keys() >= codes
    images = [image for image in HTMLPage((await server.get("/")).text).find_all("img") if image.get("class") == "flag"]
    assert {str(image["src"]) for image in images} == {f"./{flags.get_url(code)}" for code in codes}
    for image in images:
        attributes = {name: value for name, value in image.items() if name not in {"class", "src"}}
        assert attributes == {"alt": "", "loading": "lazy", "width": "24", "height": "18"}
    response = await server.get(f"/{flags.get_url('FR')}")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/svg+xml")
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
