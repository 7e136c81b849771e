"""One short query that shows whether the data or the history changed."""

from dataclasses import dataclass

from sqlalchemy import func, select

from graphql_api.domain.snapshot import DataVersion
from graphql_api.storage import lease
from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.tables import countries, refreshes


@dataclass(frozen=True, slots=True)
class ChangeMarker:
    """The state of the database in four values."""

    version: DataVersion
    last_sequence: int
    """Sequence number of the newest refresh in the history; 0 without any."""
    holder: str | None
    """The process that holds the lease; None if it is free."""


async def read(connection: DatabaseConnection) -> ChangeMarker:
    """Return the present state of the database."""
    max_revision = func.coalesce(func.max(countries.c.revision), 0)
    max_sequence = select(func.coalesce(func.max(refreshes.c.sequence), 0)).scalar_subquery()
    row_count = func.count(countries.c.code)
    result = await connection.execute(select(max_revision, row_count, max_sequence, lease.holder_subquery()))
    revision, rows, sequence, holder = result.one()
    return ChangeMarker(DataVersion(revision, rows), sequence, holder)
