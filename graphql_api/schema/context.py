"""The context of resolvers: the server's objects and the caller's rights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import strawberry

from graphql_api.catalog import Catalog
from graphql_api.domain.report import RefreshReport
from graphql_api.domain.snapshot import DataVersion
from graphql_api.errors import Unauthenticated
from graphql_api.images.cache import build_image_path
from graphql_api.refresh.service import RefreshService


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLContext:
    """The server as one request sees it."""

    catalog: Catalog
    refresh_service: RefreshService
    clock: Callable[[], datetime]
    stale_after: timedelta
    public_url: str
    """The start of absolute URLs, without a trailing slash."""
    denial: str | None
    """Why the caller may change nothing. None if it may."""
    reports: list[RefreshReport] = field(default_factory=list)
    """Reports of the refreshes this request ran. The endpoint puts the last in `Server-Timing`."""

    async def get_image_url(self, version: DataVersion) -> str:
        """Return the absolute URL of the summary image of a version of the data."""
        snapshot = self.catalog.snapshot
        is_current = version == snapshot.version
        images = self.refresh_service.summary_images
        path = await images.get_path(snapshot) if is_current else build_image_path(version, digest=None)
        return f"{self.public_url}/{path}"

    def require_authorization(self) -> None:
        """Raise Unauthenticated unless the caller may change data."""
        if self.denial is not None:
            raise Unauthenticated(self.denial)


Info = strawberry.Info[GraphQLContext, None]
