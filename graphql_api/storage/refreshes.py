"""Reading and writing the history of refreshes."""

import logging

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.storage.tables import refreshes

logger = logging.getLogger(__name__)

KEPT = 1000
"""How many refreshes are kept: the newest ones."""

_json: TypeAdapter[Attempt] = TypeAdapter(RefreshReport | RefreshFailure)


async def append(connection: AsyncConnection, attempt: Attempt) -> None:
    """Add an attempt, and drop what is older than the newest `KEPT`."""
    if isinstance(attempt, RefreshFailure):
        finished_at, outcome = attempt.at, attempt.code
    else:
        finished_at, outcome = attempt.finished_at, "SUCCEEDED"
    body = _json.dump_json(attempt).decode()
    row = insert(refreshes).values(
        id=attempt.id, finished_at=finished_at, outcome=outcome, attempt=body
    )
    # Not by RETURNING of our own: MySQL has none, and the driver tells the number anyway.
    (newest,) = (await connection.execute(row)).inserted_primary_key or (0,)
    await connection.execute(delete(refreshes).where(refreshes.c.sequence <= newest - KEPT))


async def load(connection: AsyncConnection, *, after: int) -> tuple[list[Attempt], int]:
    """Return what came after a sequence number, newest first, and the newest sequence number.

    What cannot be read, because another version of this project wrote it, is left out and logged.
    """
    rows = await connection.execute(
        select(refreshes.c.sequence, refreshes.c.id, refreshes.c.attempt)
        .where(refreshes.c.sequence > after)
        .order_by(refreshes.c.sequence.desc())
        .limit(KEPT)
    )
    found = rows.all()
    attempts = [attempt for row in found if (attempt := _read(row.id, row.attempt)) is not None]
    return attempts, found[0].sequence if found else after


def _read(attempt_id: str, body: str) -> Attempt | None:
    try:
        return _json.validate_json(body)
    except ValidationError:
        logger.warning("The refresh %s in the history cannot be read.", attempt_id)
        return None
