"""Reading and writing the rows of countries."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import Insert

from graphql_api.domain.country import Country
from graphql_api.storage.dialects import dialect_of
from graphql_api.storage.dialects.dialect import Dialect, Row
from graphql_api.storage.tables import countries
from graphql_api.storage.transactions import transaction

_REHEARSED = "upsert rehearsed"
"""What a connection's own notes say, for as long as it lives."""
_COLUMNS = tuple(field.name for field in fields(Country))


async def load(connection: AsyncConnection) -> list[Country]:
    """Return every row, in one statement, so that it is one state of the table."""
    rows = await connection.execute(select(*(countries.c[name] for name in _COLUMNS)))
    return [Country(**row) for row in rows.mappings()]


async def upsert(connection: AsyncConnection, rows: Sequence[Country]) -> int:
    """Insert or overwrite all of `rows` or none, and return how many statements carried them.

    A stored row with a higher revision is left as it is: a writer that comes too late changes
    nothing.
    """
    dialect = dialect_of(connection)
    statement = _statement(dialect)
    values: list[Row] = [{name: getattr(row, name) for name in _COLUMNS} for row in rows]
    batches = list(_batches(values, dialect.bytes_of_statement(connection)))
    if len(batches) == 1 and dialect.batch_is_atomic:
        await connection.execute(statement, batches[0])
    else:
        async with transaction(connection, dialect.begin):
            for batch in batches:
                await connection.execute(statement, batch)
    return len(batches)


async def rehearse(connection: AsyncConnection) -> None:
    """Let the driver prepare the upsert, once, so that the first one is as quick as the next."""
    if not connection.info.get(_REHEARSED):
        dialect = dialect_of(connection)
        await dialect.prepare(connection, _statement(dialect), _COLUMNS)
        connection.info[_REHEARSED] = True


def _statement(dialect: Dialect) -> Insert:
    return dialect.upsert(countries, _COLUMNS, key="code", fence="revision")


async def remove(connection: AsyncConnection, code: str) -> bool:
    """Delete the row with that code, and tell whether there was one."""
    result = await connection.execute(delete(countries).where(countries.c.code == code))
    return result.rowcount == 1


def _batches(rows: list[Row], limit: int | None) -> Iterator[list[Row]]:
    """Yield the rows in groups whose statements are at most `limit` bytes long."""
    if limit is None:
        yield rows
        return
    batch: list[Row] = []
    length = _OVERHEAD
    for row in rows:
        size = _size(row)
        if batch and length + size > limit:
            yield batch
            batch, length = [], _OVERHEAD
        batch.append(row)
        length += size
    yield batch


_OVERHEAD = 4096
"""Bytes of a statement without its rows, and some."""
_WIDEST = 32
"""Bytes of the longest number or instant as text, its separator included."""


def _size(row: Row) -> int:
    """Return how many bytes a row's values take at most; a text may double when it is quoted."""
    return sum(
        2 * len(value.encode()) + 4 if isinstance(value, str) else _WIDEST for value in row.values()
    )
