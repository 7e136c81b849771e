"""One tiny query that tells whether anything changed."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.snapshot import DataVersion
from graphql_api.storage import lease
from graphql_api.storage.tables import countries, refreshes


@dataclass(frozen=True, slots=True)
class ChangeMarker:
    """What the database holds, in a few words."""

    version: DataVersion
    last_sequence: int
    """The sequence number of the newest refresh; 0 without any."""
    holder: str | None
    """The process that has the lease; None when it is free."""


async def read(connection: AsyncConnection) -> ChangeMarker:
    """Return the marker of the database's present state."""
    max_revision = func.coalesce(func.max(countries.c.revision), 0)
    max_sequence = select(func.coalesce(func.max(refreshes.c.sequence), 0)).scalar_subquery()
    row_count = func.count(countries.c.code)
    result = await connection.execute(
        select(max_revision, row_count, max_sequence, lease.holder_subquery())
    )
    revision, rows, sequence, holder = result.one()
    return ChangeMarker(DataVersion(revision, rows), sequence, holder)
