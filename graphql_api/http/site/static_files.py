"""The files that pages load: kept in memory, compressed once, and cacheable for ever.

The address of a file holds a digest of it, so it never means anything else.
"""

import asyncio
import gzip
import hashlib
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import brotli
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from graphql_api.http.content_negotiation import BROTLI, GZIP, IDENTITY, negotiate_encoding

STATIC_PREFIX = "static"
"""What addresses begin with; they are relative, so that a proxy may put a path before them."""


@dataclass(frozen=True)
class Asset:
    """One file."""

    name: str
    """Its name, with folders before it if there are any."""
    body: bytes

    @classmethod
    def from_package(cls, name: str) -> "Asset":
        """Read a file that comes with the package."""
        return cls(name, (files("graphql_api.http.site") / "static" / name).read_bytes())

    @cached_property
    def url(self) -> str:
        """Return where it is served, seen from a page."""
        digest = hashlib.sha256(self.body).hexdigest()[:16]
        return f"{STATIC_PREFIX}/{digest}/{self.name}"


class AssetEndpoint:
    """Serves files by their addresses."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        """Serve `assets` and nothing else."""
        self._assets = {asset.url: asset for asset in assets}
        self._compressed: dict[tuple[str, str], bytes] = {}

    async def serve(self, request: Request) -> Response:
        """Answer with a file, as small as the client takes it."""
        asset = self._assets.get(f"{STATIC_PREFIX}/{request.path_params['path']}")
        if asset is None:
            raise HTTPException(404)
        encoding = negotiate_encoding(",".join(request.headers.getlist("Accept-Encoding")))
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
        }
        if encoding == IDENTITY:
            body = asset.body
        else:
            headers["Content-Encoding"] = encoding
            body = await self._compress(asset, encoding)
        media_type, _ = mimetypes.guess_type(asset.name)
        return Response(body, headers=headers, media_type=media_type)

    async def _compress(self, asset: Asset, encoding: str) -> bytes:
        key = asset.url, encoding
        if key not in self._compressed:
            # GraphiQL is 3.5 MB, which takes a good part of a second.
            self._compressed[key] = await asyncio.to_thread(compress, asset.body, encoding)
        return self._compressed[key]


def compress(body: bytes, encoding: str) -> bytes:
    """Return a body in a coding that `preferred_coding` has chosen; the same on every replica."""
    if encoding == BROTLI:
        compressed: bytes = brotli.compress(body, quality=7)
        return compressed
    return gzip.compress(body, compresslevel=6, mtime=0) if encoding == GZIP else body
