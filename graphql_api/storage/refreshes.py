"""Loads and extends the history of refreshes."""

import logging
from functools import cache

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import BindParameter, Delete, Insert, ScalarSelect, bindparam, delete, func, insert, select

from graphql_api.domain.history import MAX_STORED_REFRESHES, StoredAttempt
from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.tables import refreshes

logger = logging.getLogger(__name__)

_attempt_adapter: TypeAdapter[Attempt] = TypeAdapter(RefreshReport | RefreshFailure)


async def append(connection: DatabaseConnection, attempt: Attempt) -> None:
    """Add an attempt unless it is stored already, and delete those beyond the newest 1000.

    Of two concurrent writers with the same sequence number one fails with a transient error. So a
    reader that has seen a number has seen all lower ones.
    """
    values = {
        "id": attempt.id,
        "finished_at": attempt.at,
        "outcome": attempt.code if isinstance(attempt, RefreshFailure) else "SUCCEEDED",
        "attempt": _attempt_adapter.dump_json(attempt).decode(),
    }
    insert_new, delete_old = _build_append()
    await connection.execute(insert_new, {f"new_{name}": value for name, value in values.items()})
    await connection.execute(delete_old)


@cache  # building and hashing them takes 4 ms of the event loop
def _build_append() -> tuple[Insert, Delete]:
    names = ("id", "finished_at", "outcome", "attempt")
    values = [bindparam(f"new_{name}", type_=refreshes.c[name].type) for name in names]
    is_stored = select(refreshes.c.id).where(refreshes.c.id == values[0]).exists()
    new_row = select(last_sequence_subquery() + 1, *values).where(~is_stored)
    columns = [refreshes.c.sequence, *(refreshes.c[name] for name in names)]
    # MySQL cannot select from the table it deletes from, except in a derived table.
    newest = select(last_sequence_subquery().label("newest")).subquery()
    cutoff = select(newest.c.newest - MAX_STORED_REFRESHES).scalar_subquery()
    return insert(refreshes).from_select(columns, new_row), delete(refreshes).where(refreshes.c.sequence <= cutoff)


def last_sequence_subquery() -> ScalarSelect[int]:
    """Return a subquery for the highest sequence number; 0 without any.

    Not an autoincrement value: those need not follow the order of commits.
    """
    alias = refreshes.alias()
    return select(func.coalesce(func.max(alias.c.sequence), 0)).scalar_subquery()


async def load(connection: DatabaseConnection, *, after: int) -> list[StoredAttempt]:
    """Return the attempts with a higher sequence number, the highest first.

    Attempts that another version wrote and this one cannot parse are logged.
    """
    result = await connection.execute(
        select(refreshes.c.sequence, refreshes.c.id, refreshes.c.attempt)
        .where(refreshes.c.sequence > after)
        .order_by(refreshes.c.sequence.desc())
        .limit(MAX_STORED_REFRESHES)
    )
    return [StoredAttempt(row.sequence, row.id, _read(row.id, row.attempt)) for row in result]


def id_subquery(sequence: BindParameter[int]) -> ScalarSelect[str | None]:
    """Return a subquery for the id of the attempt with a sequence number; null if there is none."""
    return select(refreshes.c.id).where(refreshes.c.sequence == sequence).scalar_subquery()


def _read(attempt_id: str, body: str) -> Attempt | None:
    try:
        return _attempt_adapter.validate_json(body)
    except ValidationError:
        logger.warning("Skipped the refresh %s in the history: it cannot be parsed.", attempt_id)
        return None
