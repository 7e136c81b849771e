"""The lease: only its holder refreshes. It expires, and its revision rejects late writers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Case,
    Double,
    Row,
    ScalarSelect,
    Select,
    Update,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.tables import countries, leases

_LEASE_NAME = "refresh"
FIRST_LEASE: Mapping[str, Any] = {"name": _LEASE_NAME, "expires_at": 0.0, "revision": 0}
"""The row of the lease before the first refresh."""


class _Now(FunctionElement[float]):
    """Seconds since 1970 by the database's clock, which all processes share."""

    type = Double()
    inherit_cache = True


@compiles(_Now, "sqlite")
def _compile_now_sqlite(_element: _Now, _compiler: SQLCompiler, **_: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(_Now, "mysql")
def _compile_now_mysql(_element: _Now, _compiler: SQLCompiler, **_: object) -> str:
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)"


@compiles(_Now, "postgresql")
def _compile_now_postgresql(_element: _Now, _compiler: SQLCompiler, **_: object) -> str:
    return "EXTRACT(EPOCH FROM clock_timestamp())::double precision"


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """The refresh that holds the lease."""

    refresh_id: str
    taken_at: datetime
    """By the database's clock."""
    revision: int
    """Revision of the rows that the refresh writes. A deletion raises it."""


async def acquire(connection: DatabaseConnection, *, holder: str, refresh_id: str, ttl: float) -> int | LeaseInfo:
    """Take the lease for `ttl` seconds and return its revision, or return the present lease.

    The revision is higher than that of every row and every earlier lease, so rows of this lease
    reject those of an older one. The holder can take the lease again.
    """
    while True:
        await _try_acquire(connection, _LEASE_NAME, holder=holder, refresh_id=refresh_id, ttl=ttl)
        row = (await connection.execute(_build_select(), {"lease_name": _LEASE_NAME})).one_or_none()
        if row is not None:
            return int(row.revision) if row.refresh_id == refresh_id else _to_lease_info(row)
        await _create(connection)


async def reserve_revision(connection: DatabaseConnection) -> ScalarSelect[int]:
    """Return a subquery for a revision that is higher than that of every row and every lease so far.

    The transaction of `connection` has it alone. A refresh that holds the lease gets the next one: the rows of its
    former revision will be rejected.
    """
    raise_revision = update(leases).where(leases.c.name == _LEASE_NAME).values(revision=_max_revision() + 2)
    while (await connection.execute(raise_revision)).rowcount == 0:
        await _create(connection)
    return select(revision_subquery() - 1).scalar_subquery()


async def continue_from_rows(connection: DatabaseConnection) -> None:
    """Let revisions continue from the highest one of the rows, which were restored."""
    await connection.execute(update(leases).where(leases.c.name == _LEASE_NAME).values(revision=_max_revision()))


async def prepare_statements(connection: DatabaseConnection) -> None:
    """Prepare the statements of `acquire`, with the name of no lease."""
    await _try_acquire(connection, "", holder="", refresh_id="", ttl=0)
    await connection.execute(_build_select(), {"lease_name": ""})


async def _try_acquire(connection: DatabaseConnection, name: str, *, holder: str, refresh_id: str, ttl: float) -> None:
    values = {"lease_name": name, "new_holder": holder, "new_refresh_id": refresh_id, "ttl": ttl}
    await connection.execute(_build_acquisition(), values)


@cache  # building and hashing it takes 4 ms of the event loop
def _build_acquisition() -> Update:
    holder = bindparam("new_holder", type_=leases.c.holder.type)
    is_free = (leases.c.expires_at <= _Now()) | (leases.c.holder == holder)
    return (
        update(leases)
        .where(leases.c.name == bindparam("lease_name"), is_free)
        .values(
            holder=holder,
            refresh_id=bindparam("new_refresh_id"),
            taken_at=_Now(),
            expires_at=_Now() + bindparam("ttl", type_=Double()),
            revision=_max_revision() + 1,
        )
    )


async def renew(connection: DatabaseConnection, *, refresh_id: str, ttl: float) -> bool:
    """Let the lease of a refresh last for `ttl` seconds from now; return whether it still has it.

    It has it until another refresh takes it, or it is released.
    """
    is_own = (leases.c.name == _LEASE_NAME) & (leases.c.refresh_id == refresh_id) & (leases.c.expires_at > 0)
    return (await connection.execute(update(leases).where(is_own).values(expires_at=_Now() + ttl))).rowcount == 1


def _max_revision() -> Case[int]:
    """Return the highest revision of all rows and leases, for an update of the lease."""
    max_row_revision = select(func.coalesce(func.max(countries.c.revision), 0)).scalar_subquery()
    return case((max_row_revision > leases.c.revision, max_row_revision), else_=leases.c.revision)


async def _create(connection: DatabaseConnection) -> None:
    """Create the lease, which migrations create too, in a table that was emptied."""
    exists = select(leases.c.name).where(leases.c.name == _LEASE_NAME).exists()
    new_row = select(*(literal(value, leases.c[name].type) for name, value in FIRST_LEASE.items())).where(~exists)
    await connection.execute(insert(leases).from_select(list(FIRST_LEASE), new_row))


async def read(connection: DatabaseConnection) -> LeaseInfo | None:
    """Return the present lease; None if it is free."""
    row = (await connection.execute(_build_select(), {"lease_name": _LEASE_NAME})).one_or_none()
    return _to_lease_info(row) if row is not None and row.held else None


def holder_subquery() -> ScalarSelect[str | None]:
    """Return a subquery for the process that holds the lease; null if it is free."""
    is_held = (leases.c.name == _LEASE_NAME) & (leases.c.expires_at > _Now())
    return select(leases.c.holder).where(is_held).scalar_subquery()


def revision_subquery() -> ScalarSelect[int]:
    """Return a subquery for the revision of the last lease or deletion; 0 before the first."""
    return select(leases.c.revision).where(leases.c.name == _LEASE_NAME).scalar_subquery()


def _to_lease_info(row: Row[Any]) -> LeaseInfo:
    return LeaseInfo(row.refresh_id, datetime.fromtimestamp(row.taken_at, UTC), row.revision)


@cache
def _build_select() -> Select[Any]:
    is_held = (leases.c.expires_at > _Now()).label("held")
    query = select(leases.c.refresh_id, leases.c.taken_at, leases.c.revision, is_held)
    return query.where(leases.c.name == bindparam("lease_name"))


async def release(connection: DatabaseConnection, *, refresh_id: str) -> None:
    """Release the lease of a refresh, unless another one holds it by now."""
    is_own = (leases.c.name == _LEASE_NAME) & (leases.c.refresh_id == refresh_id)
    await connection.execute(update(leases).where(is_own).values(expires_at=0))
