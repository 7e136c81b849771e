"""Files that pages load: compressed as the client takes them, for ever, and nothing besides."""

import gzip

import brotli
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from graphql_api.http.site.static_files import STATIC_PREFIX, Asset, AssetEndpoint
from tests.support.paths import ROOT

SCRIPT = Asset("folder@1.0/script.js", b"export const answer = 42;\n" * 100)
PICTURE = Asset("icon.svg", b"<svg/>")


async def get(path: str, **headers: str) -> httpx.Response:
    """GET a path of a server of the two files; nothing is decoded."""
    endpoint = AssetEndpoint([SCRIPT, PICTURE])
    app = Starlette(routes=[Route(f"/{STATIC_PREFIX}/{{path:path}}", endpoint.serve)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://example") as client:
        request = client.build_request("GET", f"/{path}")
        request.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        response = await client.send(request, stream=True)
        response._content = b"".join([part async for part in response.aiter_raw()])
        return response


def test_addresses() -> None:
    """An address is relative, and another one for any other content."""
    assert SCRIPT.url.startswith("static/")
    assert SCRIPT.url.endswith("/folder@1.0/script.js")
    assert Asset(SCRIPT.name, b"other").url != SCRIPT.url
    assert Asset(SCRIPT.name, SCRIPT.body).url == SCRIPT.url


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", None), ("br;q=0, gzip", "gzip")],
)
async def test_codings(accepted: str, coding: str | None) -> None:
    """A file comes in the best coding that the client takes, and is what it was."""
    for _ in range(2):
        response = await get(SCRIPT.url, Accept_Encoding=accepted)
        assert response.status_code == 200
        assert response.headers.get("Content-Encoding") == coding
        assert response.headers["Vary"] == "Accept-Encoding"
        decode = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[coding]
        assert decode(response.content) == SCRIPT.body
        assert (len(response.content) < len(SCRIPT.body)) is (coding is not None)


async def test_kept_for_ever() -> None:
    """Browsers may keep a file without asking, and know what it is."""
    for asset, media_type in (
        (SCRIPT, "text/javascript; charset=utf-8"),
        (PICTURE, "image/svg+xml"),
    ):
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
        "static/../pages.py",
        "static/%2e%2e/%2e%2e/etc/passwd",
    ],
)
async def test_nothing_else(path: str) -> None:
    """What is not one of the files, at its own address, is not found."""
    assert (await get(path)).status_code == 404


def test_ours() -> None:
    """A file of the package is read from it."""
    path = ROOT / "graphql_api" / "http" / "site" / "static" / "landing.css"
    assert Asset.from_package("landing.css") == Asset("landing.css", path.read_bytes())
