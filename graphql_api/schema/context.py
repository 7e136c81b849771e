"""The context of resolvers: the server's objects and the caller's rights."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import strawberry

from graphql_api.catalog import Catalog
from graphql_api.domain.report import RefreshReport
from graphql_api.errors import Unauthenticated
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
    is_authorized: bool
    reports: list[RefreshReport] = field(default_factory=list)
    """Reports of the refreshes this request ran. The endpoint puts the last in `Server-Timing`."""

    def image_url(self, version: object) -> str:
        """Return the absolute URL of the summary image of a version of the data."""
        return f"{self.public_url}/images/summary-{version}.png"

    def require_authorization(self) -> None:
        """Raise Unauthenticated unless the caller sent the administrator's token."""
        if not self.is_authorized:
            raise Unauthenticated(
                "This needs the administrator's token: send it as `Authorization: Bearer <ADMIN_TOKEN>`."
            )


Info = strawberry.Info[GraphQLContext, None]
