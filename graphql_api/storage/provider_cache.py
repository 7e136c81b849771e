"""Loads and saves the provider cache, in the table `answers`."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.tables import answers


async def save(connection: DatabaseConnection, json_by_kind: Mapping[str, str]) -> None:
    """Replace the JSON of each kind. Call it in a transaction."""
    if json_by_kind:
        await connection.execute(delete(answers).where(answers.c.kind.in_(json_by_kind)))
        rows = [{"kind": kind, "answer": text} for kind, text in json_by_kind.items()]
        await connection.execute(insert(answers), rows)


async def load(connection: DatabaseConnection) -> Mapping[str, str]:
    """Return the JSON of each kind of source."""
    rows = await connection.execute(select(answers.c.kind, answers.c.answer))
    return {row.kind: row.answer for row in rows}
