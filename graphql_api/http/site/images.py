"""The summary picture: the current one, and one per version of the data, for ever."""

from contextlib import suppress
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.domain.snapshot import DataVersion, Snapshot
from graphql_api.errors import DatabaseUnavailable
from graphql_api.http.conditional import build_not_modified
from graphql_api.images.cache import SummaryImageCache

CURRENT_IMAGE_PATH = "/images/summary.png"


@dataclass(frozen=True, slots=True)
class ImageEndpoints:
    """Draws from the snapshot; nothing is read from a disk."""

    catalog: Catalog
    summary_images: SummaryImageCache

    async def current(self, request: Request) -> Response:
        """Answer with the picture of the data that is served now."""
        snapshot = self.catalog.snapshot
        etag = f'"{snapshot.version}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        not_modified = build_not_modified(request, headers)
        return not_modified or await self._build_response(snapshot, headers)

    async def versioned(self, request: Request) -> Response:
        """Answer with the picture of one version; with the way to the current one if it is gone."""
        try:
            version = DataVersion.parse(request.path_params["version"])
        except ValueError:
            raise HTTPException(404) from None
        if version != self.catalog.snapshot.version:
            # Another replica may have published it just now.
            with suppress(DatabaseUnavailable):
                await self.catalog.sync()
        snapshot = self.catalog.snapshot
        if version != snapshot.version:
            return RedirectResponse(CURRENT_IMAGE_PATH, 302, {"Cache-Control": "no-store"})
        return await self._build_response(
            snapshot, {"Cache-Control": "public, max-age=31536000, immutable"}
        )

    async def _build_response(self, snapshot: Snapshot, headers: dict[str, str]) -> Response:
        png = await self.summary_images.get(snapshot)
        return Response(png, headers=headers, media_type="image/png")
