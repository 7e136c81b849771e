"""Static files: Starlette's `StaticFiles`, plus URLs with a digest, and compression.

The digest changes with the content, so clients may cache a URL permanently.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from graphql_api.http.compression import compress
from graphql_api.http.content_negotiation import IDENTITY, negotiate_encoding

STATIC_PREFIX = "static"
"""First segment of the URLs. They are relative, so that a proxy may serve below a path."""

_PACKAGE_FOLDER = Path(__file__).parent / "static"


@dataclass(frozen=True)
class Asset:
    """A file that pages load."""

    name: str
    """Last segments of its URL."""
    path: Path

    @classmethod
    def from_package(cls, name: str) -> "Asset":
        """Return a file of the package."""
        return cls(name, _PACKAGE_FOLDER / name)

    @cached_property
    def url(self) -> str:
        """URL, relative to the page."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]
        return f"{STATIC_PREFIX}/{digest}/{self.name}"


class AssetFiles(StaticFiles):
    """Serves assets at their URLs below `STATIC_PREFIX`, and no other file of their folders."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        super().__init__()
        self._paths = {asset.url.removeprefix(f"{STATIC_PREFIX}/"): asset.path for asset in assets}
        self._compressed: dict[tuple[str, str], bytes] = {}

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return an asset's file, which may be in any folder."""
        file = self._paths.get(path)
        return (str(file), file.stat()) if file else ("", None)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file in the encoding that the client prefers."""
        response = await super().get_response(path, scope)
        cache_control = "public, max-age=31536000, immutable"
        headers = {"Cache-Control": cache_control, "Vary": "Accept-Encoding"}
        encoding = negotiate_encoding(",".join(Headers(scope=scope).getlist("Accept-Encoding")))
        if encoding != IDENTITY and isinstance(response, FileResponse):
            headers["Content-Encoding"] = encoding
            body = await self._compress(path, encoding)
            return Response(body, headers=headers, media_type=response.media_type)
        response.headers.update(headers)
        return response

    async def _compress(self, path: str, encoding: str) -> bytes:
        key = path, encoding
        if key not in self._compressed:
            # Compressing GraphiQL's 3.5 MB takes 0.4 s.
            self._compressed[key] = await asyncio.to_thread(lambda: compress(self._paths[path].read_bytes(), encoding))
        return self._compressed[key]
