"""The summary image: at one URL the current one, and an immutable one for each version."""

from contextlib import suppress
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.domain.snapshot import DataVersion, Snapshot
from graphql_api.errors import DatabaseUnavailable
from graphql_api.http.conditional import build_not_modified, get_if_none_match
from graphql_api.images.cache import SummaryImageCache
from graphql_api.utils.tasks import SharedCall

CURRENT_IMAGE_PATH = "/images/summary.png"


@dataclass(frozen=True, slots=True)
class ImageEndpoints:
    """Serves images drawn from the snapshot."""

    catalog: Catalog
    summary_images: SummaryImageCache
    shared_sync: SharedCall
    """Syncs the catalog, however many requests name an unknown version."""

    async def current(self, request: Request) -> Response:
        """Return the image of the current version."""
        snapshot = self.catalog.snapshot
        headers = {"ETag": f'"{snapshot.version}"', "Cache-Control": "no-cache"}
        not_modified = build_not_modified(get_if_none_match(request), headers)
        return not_modified or await self._build_response(snapshot, headers)

    async def versioned(self, request: Request) -> Response:
        """Return the image of a version, or redirect to the current one if that version is gone."""
        try:
            version = DataVersion.parse(request.path_params["version"])
        except ValueError:
            raise HTTPException(404) from None
        if version != self.catalog.snapshot.version:
            # Another replica may have just published this version.
            with suppress(DatabaseUnavailable):
                await self.shared_sync()
        snapshot = self.catalog.snapshot
        if version != snapshot.version:
            return RedirectResponse(CURRENT_IMAGE_PATH, 302, {"Cache-Control": "no-store"})
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return await self._build_response(snapshot, headers)

    async def _build_response(self, snapshot: Snapshot, headers: dict[str, str]) -> Response:
        png = await self.summary_images.get(snapshot)
        return Response(png, headers=headers, media_type="image/png")
