"""Reading and writing what providers said last."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.storage.tables import answers


async def save(connection: AsyncConnection, texts: Mapping[str, str]) -> None:
    """Put the text of each kind in the place of the one before; the caller has a transaction."""
    if texts:
        await connection.execute(delete(answers).where(answers.c.kind.in_(texts)))
        rows = [{"kind": kind, "answer": text} for kind, text in texts.items()]
        await connection.execute(insert(answers), rows)


async def load(connection: AsyncConnection) -> Mapping[str, str]:
    """Return the text of each kind."""
    rows = await connection.execute(select(answers.c.kind, answers.c.answer))
    return {row.kind: row.answer for row in rows}
