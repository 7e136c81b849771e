"""The summary image: at one URL the current one, and an immutable one for each version and digest.

With `country` in the query it is the card of a country.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from graphql_api.catalog import Catalog
from graphql_api.domain.country import Country
from graphql_api.domain.snapshot import DataVersion, Ranking, Snapshot
from graphql_api.errors import DatabaseUnavailable
from graphql_api.http.conditional import build_not_modified, get_if_none_match
from graphql_api.http.site.parameters import Parameters
from graphql_api.images import Theme
from graphql_api.images.cache import SummaryImage, SummaryImageCache
from graphql_api.utils.tasks import SharedCall

CURRENT_IMAGE_PATH = "/images/summary.png"
_IMAGE_NAME = re.compile(r"(?P<version>\d+-\d+)(?:-(?P<digest>[0-9a-f]{16}))?", re.ASCII)
"""Version and digest in a path. URLs that were issued before digests were added have none."""


class _Options(NamedTuple):
    ranking: Ranking
    theme: Theme
    country: Country | None
    """The country that the card is of; None for the summary."""


@dataclass(frozen=True, slots=True)
class ImageEndpoints:
    """Serves images drawn from the snapshot."""

    catalog: Catalog
    summary_images: SummaryImageCache
    shared_sync: SharedCall
    """Syncs the catalog, however many requests name an unknown version."""

    async def current(self, request: Request) -> Response:
        """Return the image of the current version. The query may choose `by` and `theme`, or a `country`."""
        snapshot = self.catalog.snapshot
        image = await self._draw(_parse_options(request.query_params, snapshot), snapshot)
        headers = {"ETag": f'"{image.digest}"', "Cache-Control": "no-cache"}
        return build_not_modified(get_if_none_match(request), headers) or _build_response(image, headers)

    async def versioned(self, request: Request) -> Response:
        """Return the image of a version and digest, or redirect to the current one if that image is gone."""
        _parse_options(request.query_params, self.catalog.snapshot)
        version, digest = _parse_name(request.path_params["name"])
        if digest and version != self.catalog.snapshot.version:
            # Another replica may have just published this version.
            with suppress(DatabaseUnavailable):
                await self.shared_sync()
        snapshot = self.catalog.snapshot
        if digest and version == snapshot.version:
            image = await self._draw(_parse_options(request.query_params, snapshot), snapshot)
            if image.digest == digest:
                return _build_response(image, {"Cache-Control": "public, max-age=31536000, immutable"})
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(CURRENT_IMAGE_PATH + query, 302, {"Cache-Control": "no-store"})

    async def _draw(self, options: _Options, snapshot: Snapshot) -> SummaryImage:
        if options.country is None:
            return await self.summary_images.get(snapshot, ranking=options.ranking, theme=options.theme)
        return await self.summary_images.get_card(snapshot, options.country, theme=options.theme)


def _parse_options(values: Mapping[str, str], snapshot: Snapshot) -> _Options:
    """Return what the query chooses; 400 for a value that does not exist."""
    params = Parameters(values)
    ranking, theme = params.choose("by", Ranking), params.choose("theme", Theme)
    code = params.get("country")
    country = snapshot.by_code.get(code.upper())
    if code and country is None:
        params.report("country", "a code of ISO 3166-1, such as FR")
    params.reject_wrong()
    return _Options(Ranking(ranking or Ranking.GDP), Theme(theme or Theme.LIGHT), country)


def _parse_name(name: str) -> tuple[DataVersion, str | None]:
    """Return version and digest of an image.

    Raises:
        HTTPException: no image has this name.
    """
    match = _IMAGE_NAME.fullmatch(name)
    try:
        return DataVersion.parse(match["version"] if match else name), match and match["digest"]
    except ValueError:
        raise HTTPException(404) from None


def _build_response(image: SummaryImage, headers: dict[str, str]) -> Response:
    return Response(image.png, headers=headers, media_type="image/png")
