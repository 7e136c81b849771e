"""Reading and writing the rows of countries."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Dialect as SQLAlchemyDialect
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.country import Country
from graphql_api.storage.address import System
from graphql_api.storage.dialects import dialect_for, dialect_of
from graphql_api.storage.tables import countries
from graphql_api.storage.transactions import transaction

Values = tuple[Any, ...]

_REHEARSED = "upsert rehearsed"
"""What a connection's own notes say, for as long as it lives."""
_FENCE = "revision"
_COLUMNS = tuple(field.name for field in fields(Country))


class Overtaken(Exception):
    """A writer comes too late, and has changed nothing: somebody has written a higher revision."""


async def load(connection: AsyncConnection) -> list[Country]:
    """Return every row, in one statement, so that it is one state of the table."""
    rows = await connection.execute(select(*(countries.c[name] for name in _COLUMNS)))
    return [Country(**row) for row in rows.mappings()]


async def upsert(connection: AsyncConnection, rows: Sequence[Country]) -> int:
    """Insert or overwrite all of `rows` or none, and return how many statements carried them.

    Raises:
        Overtaken: one of them is stored with a higher revision; nothing was written.
    """
    dialect = dialect_of(connection)
    form = _form(connection.dialect)
    limit = dialect.bytes_of_statement(await _notes(connection))
    batches = list(_batches(form.bind(rows), limit))
    try:
        if len(batches) == 1 and dialect.batch_is_atomic:
            await connection.exec_driver_sql(form.sql, batches[0])
        else:
            async with transaction(connection, dialect.begin):
                for batch in batches:
                    await connection.exec_driver_sql(form.sql, batch)
    except IntegrityError as error:
        # Every database names the column that would have become null.
        if _FENCE not in str(error.orig):
            raise
        raise Overtaken from error
    return len(batches)


async def rehearse(connection: AsyncConnection) -> None:
    """Let the driver prepare the upsert, once, so that the first one is as quick as the next."""
    notes = await _notes(connection)
    if not notes.get(_REHEARSED):
        await dialect_of(connection).prepare(connection, _form(connection.dialect).sql)
        notes[_REHEARSED] = True


async def _notes(connection: AsyncConnection) -> dict[str, Any]:
    """Return what is noted of a connection; in place of one that died another is opened first."""
    return (await connection.get_raw_connection()).info


@dataclass(frozen=True, slots=True)
class _Form:
    """The upsert as a driver takes it; SQLAlchemy would look at each value of each row anew."""

    sql: str
    values: Callable[[Country], Values]
    """Returns a row's values in the order of the statement."""
    bindings: Sequence[tuple[int, Callable[[Any], Any]]]
    """The places of values that the driver wants in another form, and what gives it."""

    def bind(self, rows: Sequence[Country]) -> list[Values]:
        """Return the values of the rows as the driver takes them."""
        bound = []
        for row in rows:
            values = list(self.values(row))
            for place, binding in self.bindings:
                values[place] = binding(values[place])
            bound.append(tuple(values))
        return bound


@lru_cache(maxsize=4)
def _form(spoken: SQLAlchemyDialect) -> _Form:
    dialect = dialect_for(System(spoken.name))
    upsert = dialect.upsert(countries, _COLUMNS, key="code", fence=_FENCE)
    compiled = upsert.compile(dialect=spoken, column_keys=list(_COLUMNS))
    names = list(compiled.positiontup or ())
    kinds = (countries.c[name].type.dialect_impl(spoken) for name in names)
    bindings = ((place, kind.bind_processor(spoken)) for place, kind in enumerate(kinds))
    return _Form(
        sql=str(compiled),
        values=attrgetter(*names),
        bindings=[(place, binding) for place, binding in bindings if binding],
    )


async def remove(connection: AsyncConnection, code: str) -> bool:
    """Delete the row with that code, and tell whether there was one."""
    result = await connection.execute(delete(countries).where(countries.c.code == code))
    return result.rowcount == 1


def _batches(rows: list[Values], limit: int | None) -> Iterator[list[Values]]:
    """Yield the rows in groups whose statements are at most `limit` bytes long."""
    if limit is None:
        yield rows
        return
    batch: list[Values] = []
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


def _size(row: Values) -> int:
    """Return how many bytes a row's values take at most; a text may double when it is quoted."""
    texts = [value for value in row if isinstance(value, str)]
    return 2 * len("".join(texts).encode()) + 4 * len(texts) + _WIDEST * (len(row) - len(texts))
