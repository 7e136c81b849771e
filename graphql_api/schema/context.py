"""The context of resolvers: the server's objects and the caller's rights."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import strawberry

from graphql_api.catalog import Catalog
from graphql_api.domain.report import RefreshReport
from graphql_api.domain.snapshot import DataVersion
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.errors import Unauthenticated
from graphql_api.images.cache import build_image_path
from graphql_api.logging import extra_fields
from graphql_api.refresh.service import RefreshService

logger = logging.getLogger(__name__)


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
    reports_cost: bool = False
    """True if responses have the cost of their operations."""
    request_id: str = ""
    client: str | None = None
    """Address of the caller, for the log."""
    denied_acts: set[str] = field(default_factory=set)
    """Mutations that the caller has tried and may not do, and the header that asks for costs if it may not."""
    reports: list[RefreshReport] = field(default_factory=list)
    """Reports of the refreshes this request ran. The endpoint puts the last in `Server-Timing`."""

    async def get_image_url(self, version: DataVersion) -> str:
        """Return the absolute URL of the summary image of a version of the data."""
        snapshot = self.catalog.snapshot
        is_current = version == snapshot.version
        images = self.refresh_service.summary_images
        path = await images.get_path(snapshot) if is_current else build_image_path(version, digest=None)
        return f"{self.public_url}/{path}"

    def require_authorization(self, act: str) -> None:
        """Raise Unauthenticated unless the caller may change data. `act` names the mutation, for the log."""
        if self.denial is not None:
            self.denied_acts.add(act)
            raise Unauthenticated(self.denial)

    def log_act(self, act: str, description: str) -> None:
        """Log what the caller does to the data."""
        fields = {"request_id": self.request_id, "client": self.client, "act": act}
        values = {**fields, "description": description}
        logger.info("Request %(request_id)s from %(client)s %(description)s.", values, extra=extra_fields(**fields))


Info = strawberry.Info[GraphQLContext, SnapshotReader]


class SnapshotInfo(strawberry.Info[None, SnapshotReader]):
    """The only `info` of fields that depend on their object, their arguments and the snapshot alone."""
