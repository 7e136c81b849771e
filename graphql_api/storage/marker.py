"""One tiny query that tells whether anything changed."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.snapshot import Version
from graphql_api.storage.tables import countries, refreshes


@dataclass(frozen=True, slots=True)
class Marker:
    """What the database holds, in three numbers."""

    version: Version
    history: int
    """The sequence number of the newest refresh; 0 without any."""


async def read(connection: AsyncConnection) -> Marker:
    """Return the marker of the database's present state."""
    highest = func.coalesce(func.max(countries.c.revision), 0)
    newest = select(func.coalesce(func.max(refreshes.c.sequence), 0)).scalar_subquery()
    result = await connection.execute(select(highest, func.count(countries.c.code), newest))
    revision, count, sequence = result.one()
    return Marker(Version(revision, count), sequence)
