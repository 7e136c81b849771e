"""Reading and writing the history of refreshes."""

import logging

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ScalarSelect, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.storage.tables import refreshes

logger = logging.getLogger(__name__)

MAX_STORED_REFRESHES = 1000
"""How many refreshes are kept: the newest ones."""

_attempt_adapter: TypeAdapter[Attempt] = TypeAdapter(RefreshReport | RefreshFailure)


async def append(connection: AsyncConnection, attempt: Attempt) -> None:
    """Add an attempt, unless it is there already, and drop what is older than the newest `KEPT`.

    Two that are added at once would have the same number, so that one of them fails, with an error
    that passes; thus whoever has seen a number has seen all that are lower.
    """
    if isinstance(attempt, RefreshFailure):
        finished_at, outcome = attempt.at, attempt.code
    else:
        finished_at, outcome = attempt.finished_at, "SUCCEEDED"
    values = {
        "id": attempt.id,
        "finished_at": finished_at,
        "outcome": outcome,
        "attempt": _attempt_adapter.dump_json(attempt).decode(),
    }
    columns = [refreshes.c.sequence, *(refreshes.c[name] for name in values)]
    literals = [literal(value, refreshes.c[name].type) for name, value in values.items()]
    is_stored = select(refreshes.c.id).where(refreshes.c.id == attempt.id).exists()
    new_row = select(_newest_sequence() + 1, *literals).where(~is_stored)
    await connection.execute(insert(refreshes).from_select(columns, new_row))
    # MySQL does not read the table that it deletes from, except by way of another.
    newest = select(_newest_sequence().label("newest")).subquery()
    cutoff = select(newest.c.newest - MAX_STORED_REFRESHES).scalar_subquery()
    await connection.execute(delete(refreshes).where(refreshes.c.sequence <= cutoff))


def _newest_sequence() -> ScalarSelect[int]:
    """Return the newest number; numbers that the database gives need not be in order."""
    alias = refreshes.alias()
    return select(func.coalesce(func.max(alias.c.sequence), 0)).scalar_subquery()


async def load(connection: AsyncConnection, *, after: int) -> tuple[list[Attempt], int]:
    """Return what came after a sequence number, newest first, and the newest sequence number.

    What cannot be read, because another version of this project wrote it, is left out and logged.
    """
    result = await connection.execute(
        select(refreshes.c.sequence, refreshes.c.id, refreshes.c.attempt)
        .where(refreshes.c.sequence > after)
        .order_by(refreshes.c.sequence.desc())
        .limit(MAX_STORED_REFRESHES)
    )
    records = result.all()
    attempts = [
        attempt for record in records if (attempt := _read(record.id, record.attempt)) is not None
    ]
    return attempts, records[0].sequence if records else after


def _read(attempt_id: str, body: str) -> Attempt | None:
    try:
        return _attempt_adapter.validate_json(body)
    except ValidationError:
        logger.warning("The refresh %s in the history cannot be read.", attempt_id)
        return None
