"""One tiny query that tells whether anything changed."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.snapshot import Version
from graphql_api.storage import lease
from graphql_api.storage.tables import countries, refreshes


@dataclass(frozen=True, slots=True)
class Marker:
    """What the database holds, in a few words."""

    version: Version
    history: int
    """The sequence number of the newest refresh; 0 without any."""
    holder: str | None
    """The process that has the lease; None when it is free."""


async def read(connection: AsyncConnection) -> Marker:
    """Return the marker of the database's present state."""
    highest = func.coalesce(func.max(countries.c.revision), 0)
    newest = select(func.coalesce(func.max(refreshes.c.sequence), 0)).scalar_subquery()
    count = func.count(countries.c.code)
    result = await connection.execute(select(highest, count, newest, lease.who()))
    revision, rows, sequence, holder = result.one()
    return Marker(Version(revision, rows), sequence, holder)
