"""One short query that shows whether the data or the history changed."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, select

from graphql_api.domain.snapshot import DataChecksum, DataVersion
from graphql_api.storage import lease, refreshes
from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.tables import countries


@dataclass(frozen=True, slots=True)
class ChangeMarker:
    """The state of the database in a few values."""

    checksum: DataChecksum
    last_sequence: int
    """Highest sequence number in the history; 0 without any."""
    known_id: str | None
    """Id of the attempt with the sequence number that the caller knows. Another id, or none, tells that the database
    was restored or replaced."""
    holder: str | None
    """The process that holds the lease; None if it is free."""

    lease_revision: int | None
    """Revision of the last lease or deletion; 0 before the first one since the table of countries was created, None in
    a table that was emptied."""

    @property
    def is_new(self) -> bool:
        """Return whether the table of countries was just created. That tells a lost table from an emptied one."""
        return not self.checksum.version.count and self.lease_revision == 0


async def read(connection: DatabaseConnection, *, known_sequence: int) -> ChangeMarker:
    """Return the present state of the database. `known_sequence` is the last one that the caller has read."""
    result = await connection.execute(_build_select(), {"known_sequence": known_sequence})
    revision, count, last_refreshed_at, total_population, *others = result.one()
    checksum = DataChecksum(DataVersion(revision, count), last_refreshed_at, int(total_population))
    return ChangeMarker(checksum, *others)


@cache  # building and hashing it takes 4 ms of the event loop
def _build_select() -> Select[Any]:
    return select(
        func.coalesce(func.max(countries.c.revision), 0),
        func.count(countries.c.code),
        func.max(countries.c.last_refreshed_at),
        func.coalesce(func.sum(countries.c.population), 0),
        refreshes.last_sequence_subquery(),
        refreshes.id_subquery(bindparam("known_sequence")),
        lease.holder_subquery(),
        lease.revision_subquery(),
    )
