"""Reading and writing what providers said last."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.storage.tables import answers


async def save(connection: AsyncConnection, json_by_kind: Mapping[str, str]) -> None:
    """Put the text of each kind in the place of the one before; the caller has a transaction."""
    if json_by_kind:
        await connection.execute(delete(answers).where(answers.c.kind.in_(json_by_kind)))
        rows = [{"kind": kind, "answer": text} for kind, text in json_by_kind.items()]
        await connection.execute(insert(answers), rows)


async def load(connection: AsyncConnection) -> Mapping[str, str]:
    """Return the text of each kind."""
    rows = await connection.execute(select(answers.c.kind, answers.c.answer))
    return {row.kind: row.answer for row in rows}
