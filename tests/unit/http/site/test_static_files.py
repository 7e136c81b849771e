"""Static files: compressed as the client prefers, cached permanently, and no other file."""

import gzip
from pathlib import Path

import brotli
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from graphql_api.http.site.static_files import STATIC_PREFIX, Asset, AssetFiles
from tests.support.paths import ROOT

STATIC_FOLDER = ROOT / "graphql_api" / "http" / "site" / "static"
SCRIPT = Asset("folder@1.0/script.js", STATIC_FOLDER / "landing.js")
ICON = Asset("icon.svg", STATIC_FOLDER / "icon.svg")
APP = Starlette(routes=[Mount(f"/{STATIC_PREFIX}", AssetFiles([SCRIPT, ICON]))])


async def get(path: str, **headers: str) -> httpx.Response:
    """GET a path without decoding the body."""
    transport = httpx.ASGITransport(APP)
    async with httpx.AsyncClient(transport=transport, base_url="http://example") as client:
        request = client.build_request("GET", f"/{path}")
        request.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        response = await client.send(request, stream=True)
        response._content = b"".join([part async for part in response.aiter_raw()])
        return response


def test_urls(tmp_path: Path) -> None:
    """A URL is relative and depends on the name and the content, not on the folder."""
    assert SCRIPT.url.startswith("static/")
    assert SCRIPT.url.endswith("/folder@1.0/script.js")
    copy = tmp_path / "copy.js"
    copy.write_bytes(SCRIPT.path.read_bytes())
    assert Asset(SCRIPT.name, copy).url == SCRIPT.url
    assert Asset(SCRIPT.name, ICON.path).url != SCRIPT.url


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", None), ("br;q=0, gzip", "gzip")],
)
async def test_encodings(accepted: str, encoding: str | None) -> None:
    """A file is sent in the encoding that the client prefers, the second time from memory."""
    for _ in range(2):
        response = await get(SCRIPT.url, Accept_Encoding=accepted)
        assert response.status_code == 200
        assert response.headers.get("Content-Encoding") == encoding
        assert response.headers["Vary"] == "Accept-Encoding"
        decode = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[encoding]
        body = SCRIPT.path.read_bytes()
        assert decode(response.content) == body
        assert (len(response.content) < len(body)) is (encoding is not None)


async def test_cached_permanently() -> None:
    """Clients may cache a file for a year without revalidation, and learn its media type."""
    for asset, media_type in ((SCRIPT, "text/javascript; charset=utf-8"), (ICON, "image/svg+xml")):
        response = await get(asset.url)
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Content-Type"] == media_type


@pytest.mark.parametrize(
    "path",
    [
        "static/",
        "static/icon.svg",
        "static/0000000000000000/icon.svg",
        SCRIPT.url.replace("script", "other"),
        "static/../landing_page.py",
        "static/%2e%2e/%2e%2e/etc/passwd",
    ],
)
async def test_nothing_else(path: str) -> None:
    """Any other path is not found: other files, other digests, parent folders."""
    assert (await get(path)).status_code == 404


async def test_not_modified() -> None:
    """An uncompressed file is not sent again to a client that sends its ETag."""
    response = await get(ICON.url, Accept_Encoding="identity")
    again = await get(ICON.url, Accept_Encoding="identity", If_None_Match=response.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_package_file() -> None:
    """A file of the package is in its `static` folder."""
    assert Asset.from_package("landing.css") == Asset("landing.css", STATIC_FOLDER / "landing.css")
