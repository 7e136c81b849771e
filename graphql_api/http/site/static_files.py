"""Static files: Starlette's `StaticFiles`, plus URLs with a digest, and compression.

The digest changes with the content, so clients may cache a URL permanently.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from graphql_api.http.compression import compress
from graphql_api.http.conditional import build_not_modified, get_encoding, get_if_none_match
from graphql_api.http.content_negotiation import BROTLI, GZIP, IDENTITY
from graphql_api.utils.lazy import Lazy

STATIC_PREFIX = "static"
"""First segment of the URLs. They are relative, so that a proxy may serve below a path."""

_MAX_DEPTH = 20
"""Folders in the path of a page, so that a path of slashes does not get a much longer page."""
_PACKAGE_FOLDER = Path(__file__).parent / "static"


def relative_root(path: str) -> str:
    """Return the URL of the landing page, relative to a page at `path`. Asset URLs may follow it."""
    return "../" * min(path.count("/") - 1, _MAX_DEPTH) or "./"


@dataclass(frozen=True)
class Asset:
    """A file that pages load."""

    name: str
    """Last segments of its URL."""
    path: Path
    folder_digest: str = ""
    """Digest of all files that load each other by relative URLs."""

    @classmethod
    def from_package(cls, name: str) -> "Asset":
        """Return a file of the package."""
        return cls(name, _PACKAGE_FOLDER / name)

    @cached_property
    def url(self) -> str:
        """URL, relative to the page."""
        digest = self.folder_digest or hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]
        return f"{STATIC_PREFIX}/{digest}/{self.name}"


class AssetFiles(StaticFiles):
    """Serves assets at their URLs below `STATIC_PREFIX`, and no other file of their folders."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        super().__init__()
        self._paths = {asset.url.removeprefix(f"{STATIC_PREFIX}/"): asset.path for asset in assets}
        # Compressing GraphiQL's 7 MB takes a second.
        self._compressed = {
            (path, encoding): Lazy(partial(_compress_file, file, encoding))
            for path, file in self._paths.items()
            for encoding in (BROTLI, GZIP)
        }

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return an asset's file, which may be in any folder."""
        file = self._paths.get(path)
        return (str(file), file.stat()) if file else ("", None)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file in the encoding that the client prefers; a 304 if the client holds it."""
        response = await super().get_response(path, scope)
        request = Request(scope)
        encoding = get_encoding(request)
        headers = {
            "ETag": f'"{path.partition("/")[0]}-{encoding}"',
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
        }
        if not_modified := build_not_modified(get_if_none_match(request), headers):
            return not_modified
        if encoding != IDENTITY:
            headers["Content-Encoding"] = encoding
            body = await self._compressed[path, encoding].get()
            return Response(body, headers=headers, media_type=response.media_type)
        response.headers.update(headers)
        return response

    def is_not_modified(self, *_: object) -> bool:
        """Return False: `get_response` follows the rule of all conditional requests, with the digest as ETag."""
        return False


def _compress_file(file: Path, encoding: str) -> bytes:
    return compress(file.read_bytes(), encoding)
