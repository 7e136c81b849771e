"""Waiting for a refresh that another process runs, and for what came of it."""

import asyncio
import logging

from graphql_api.catalog import Catalog
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.errors import error_from_code
from graphql_api.storage import lease
from graphql_api.storage.database import Database

logger = logging.getLogger(__name__)

_LEASE_POLL_INTERVAL = 0.2
"""Seconds between two looks at the lease."""
_RELEASE_TIMEOUT = 5.0
"""Seconds, those of looking aside, that a process may take from its rows to its lease's end."""


async def wait_for_remote_refresh(
    lease_info: lease.LeaseInfo, *, database: Database, catalog: Catalog
) -> RefreshReport | None:
    """Return the report of the refresh that has the lease, once it has let it go.

    None when there is none: its process died, or the refresh had ended before it was asked about
    and only its tail still had the lease; then it is the caller's turn. A process that has written
    its rows and does not let go has died, and the lease is taken from it.

    Raises:
        CountriesError: it failed, and this is why.
        DatabaseUnavailable: the database does not answer any more.
    """
    await catalog.sync()
    # What has written its rows has answered its caller, or is about to.
    had_ended = catalog.snapshot.version.revision >= lease_info.revision
    remaining_time = _RELEASE_TIMEOUT
    while await database.run(lease.read) == lease_info:
        if catalog.snapshot.version.revision >= lease_info.revision:
            remaining_time -= _LEASE_POLL_INTERVAL
        if remaining_time < 0:
            logger.warning(
                "The process of refresh %s has died; it had written.", lease_info.refresh_id
            )
            await database.run(
                lambda connection: lease.release(connection, refresh_id=lease_info.refresh_id)
            )
            break
        await asyncio.sleep(_LEASE_POLL_INTERVAL)
        await catalog.sync()
    await catalog.sync()
    attempt = None if had_ended else _find_attempt(lease_info, catalog)
    if isinstance(attempt, RefreshFailure):
        raise error_from_code(attempt.code, attempt.message)
    return attempt


def _find_attempt(lease_info: lease.LeaseInfo, catalog: Catalog) -> Attempt | None:
    return next(
        (attempt for attempt in catalog.history if attempt.id == lease_info.refresh_id), None
    )
