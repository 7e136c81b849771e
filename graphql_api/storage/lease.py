"""The lease: one process at a time refreshes, whoever dies; its number fences off who is late."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Double, Row, ScalarSelect, Select, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from graphql_api.storage.tables import countries, leases

_NAME = "refresh"


class _Now(FunctionElement[float]):
    """Seconds since 1970 by the database's clock, which all processes share."""

    type = Double()
    inherit_cache = True


@compiles(_Now, "sqlite")
def _now_of_sqlite(_element: _Now, _compiler: SQLCompiler, **_: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_Now, "mysql")
def _now_of_mysql(_element: _Now, _compiler: SQLCompiler, **_: object) -> str:
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)"


@compiles(_Now, "postgresql")
def _now_of_postgresql(_element: _Now, _compiler: SQLCompiler, **_: object) -> str:
    return "EXTRACT(EPOCH FROM clock_timestamp())::double precision"


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody has the lease."""

    refresh_id: str
    taken_at: datetime
    """By the database's clock."""
    revision: int
    """Of the rows that will be written."""


async def take(
    connection: AsyncConnection, *, holder: str, refresh_id: str, seconds: float
) -> int | Held:
    """Take the lease for so long, and return its revision; or tell who has it.

    The revision is higher than that of every row and of every lease before: what is written under
    an older lease is fenced off by what was written under this one. Who holds it may take it anew.
    """
    await _try_to_take(connection, _NAME, holder=holder, refresh_id=refresh_id, seconds=seconds)
    row = (await connection.execute(_row_of(_NAME))).one()
    return int(row.revision) if row.refresh_id == refresh_id else _held(row)


async def rehearse(connection: AsyncConnection) -> None:
    """Let the driver prepare the statements above: no lease has the name that they are given."""
    await _try_to_take(connection, "", holder="", refresh_id="", seconds=0)
    await connection.execute(_row_of(""))


async def _try_to_take(
    connection: AsyncConnection, name: str, *, holder: str, refresh_id: str, seconds: float
) -> None:
    highest = select(func.coalesce(func.max(countries.c.revision), 0)).scalar_subquery()
    known = case((highest > leases.c.revision, highest), else_=leases.c.revision)
    free = (leases.c.expires_at <= _Now()) | (leases.c.holder == holder)
    await connection.execute(
        update(leases)
        .where(leases.c.name == name, free)
        .values(
            holder=holder,
            refresh_id=refresh_id,
            taken_at=_Now(),
            expires_at=_Now() + seconds,
            revision=known + 1,
        )
    )


async def look(connection: AsyncConnection) -> Held | None:
    """Tell who has the lease, or None when it is free."""
    row = (await connection.execute(_row_of(_NAME))).one()
    return _held(row) if row.held else None


def who() -> ScalarSelect[str | None]:
    """Return the part of a query that tells which process has the lease; null when it is free."""
    live = (leases.c.name == _NAME) & (leases.c.expires_at > _Now())
    return select(leases.c.holder).where(live).scalar_subquery()


def _held(row: Row[Any]) -> Held:
    return Held(row.refresh_id, datetime.fromtimestamp(row.taken_at, UTC), row.revision)


def _row_of(name: str) -> Select[Any]:
    held = (leases.c.expires_at > _Now()).label("held")
    row = select(leases.c.refresh_id, leases.c.taken_at, leases.c.revision, held)
    return row.where(leases.c.name == name)


async def release(connection: AsyncConnection, *, refresh_id: str) -> None:
    """Give back the lease that was taken for a refresh, unless somebody has taken it since."""
    mine = (leases.c.name == _NAME) & (leases.c.refresh_id == refresh_id)
    await connection.execute(update(leases).where(mine).values(expires_at=0))
