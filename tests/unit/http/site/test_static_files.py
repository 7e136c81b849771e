"""Static files: compressed as the client prefers, cached permanently, and no other file."""

import asyncio
import gzip
from pathlib import Path

import brotli
import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from graphql_api.http.compression import compress
from graphql_api.http.site import static_files
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
    """A file is not sent again to a client that sends its ETag, which is the same on every replica."""
    tags = set()
    for encoding in ("identity", "gzip", "br"):
        response = await get(ICON.url, Accept_Encoding=encoding)
        tags.add(response.headers["ETag"])
        again = await get(ICON.url, Accept_Encoding=encoding, If_None_Match=f'"x", W/{response.headers["ETag"]}')
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    digest = ICON.url.split("/")[1]
    assert tags == {f'"{digest}-identity"', f'"{digest}-gzip"', f'"{digest}-br"'}


async def test_ranges() -> None:
    """A part of a file can be requested, and thousands of ranges are rejected."""
    body = ICON.path.read_bytes()
    part = await get(ICON.url, Accept_Encoding="identity", Range="bytes=1-3")
    assert (part.status_code, part.content) == (206, body[1:4])
    many = await get(ICON.url, Accept_Encoding="identity", Range=f"bytes={'0-1,' * 10_000}0-1")
    assert (many.status_code, len(many.content) <= len(body)) == (200, True)


async def test_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that arrive together share one compression."""
    calls: list[str] = []

    def count_and_compress(body: bytes, encoding: str) -> bytes:
        calls.append(encoding)
        return compress(body, encoding)

    monkeypatch.setattr(static_files, "compress", count_and_compress)
    files = AssetFiles([ICON])
    scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")]}
    path = ICON.url.removeprefix(f"{STATIC_PREFIX}/")
    responses = await asyncio.gather(*(files.get_response(path, dict(scope)) for _ in range(20)))
    assert {gzip.decompress(response.body) for response in responses} == {ICON.path.read_bytes()}
    assert calls == ["gzip"]


def test_package_file() -> None:
    """A file of the package is in its `static` folder."""
    assert Asset.from_package("landing.css") == Asset("landing.css", STATIC_FOLDER / "landing.css")
