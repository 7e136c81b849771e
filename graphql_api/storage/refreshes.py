"""Reading and writing the history of refreshes."""

from pydantic import TypeAdapter
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.report import Attempt, RefreshFailure, RefreshReport
from graphql_api.storage.tables import refreshes

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
    result = await connection.execute(row.returning(refreshes.c.sequence))
    newest = result.scalar_one()
    await connection.execute(delete(refreshes).where(refreshes.c.sequence <= newest - KEPT))


async def load(connection: AsyncConnection, *, after: int) -> tuple[list[Attempt], int]:
    """Return what came after a sequence number, newest first, and the newest sequence number."""
    rows = await connection.execute(
        select(refreshes.c.sequence, refreshes.c.attempt)
        .where(refreshes.c.sequence > after)
        .order_by(refreshes.c.sequence.desc())
        .limit(KEPT)
    )
    found = rows.all()
    attempts = [_json.validate_json(row.attempt) for row in found]
    return attempts, found[0].sequence if found else after
