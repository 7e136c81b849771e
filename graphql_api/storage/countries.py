"""Reading and writing the rows of countries."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.country import Country
from graphql_api.storage.tables import countries

_COLUMNS = tuple(field.name for field in fields(Country))


async def load(connection: AsyncConnection) -> list[Country]:
    """Return every row, in one statement, so that it is one state of the table."""
    rows = await connection.execute(select(*(countries.c[name] for name in _COLUMNS)))
    return [Country(**row) for row in rows.mappings()]


async def upsert(connection: AsyncConnection, rows: Sequence[Country]) -> int:
    """Insert or overwrite `rows`, and return how many statements carried them.

    A stored row with a higher revision is left as it is: a writer that comes too late changes
    nothing.
    """
    values = [{name: getattr(row, name) for name in _COLUMNS} for row in rows]
    await connection.execute(_upsert_statement(), values)
    return 1


async def remove(connection: AsyncConnection, code: str) -> bool:
    """Delete the row with that code, and tell whether there was one."""
    result = await connection.execute(delete(countries).where(countries.c.code == code))
    return result.rowcount == 1


def _upsert_statement() -> Insert:
    statement = insert(countries)
    overwritten = {name: statement.excluded[name] for name in _COLUMNS if name != "code"}
    return statement.on_conflict_do_update(
        index_elements=[countries.c.code],
        set_=overwritten,
        where=statement.excluded["revision"] >= countries.c.revision,
    )
