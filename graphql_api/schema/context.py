"""What a resolver may use besides its arguments."""

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
    """One request's view of the server."""

    catalog: Catalog
    refresh_service: RefreshService
    clock: Callable[[], datetime]
    stale_after: timedelta
    public_url: str
    """What absolute URLs begin with, without a slash at the end."""
    is_authorized: bool
    """Whether the caller may change data."""
    reports: list[RefreshReport] = field(default_factory=list)
    """The refreshes that the request has asked for and that are done, for who answers it."""

    def image_url(self, version: object) -> str:
        """Return the absolute URL of the picture of a version of the data."""
        return f"{self.public_url}/images/summary-{version}.png"

    def require_authorization(self) -> None:
        """Refuse callers that may not change data.

        Raises:
            Unauthenticated: this one may not.
        """
        if not self.is_authorized:
            raise Unauthenticated(
                "This needs the administrator's token: send it as "
                "`Authorization: Bearer <ADMIN_TOKEN>`."
            )


Info = strawberry.Info[GraphQLContext, None]
