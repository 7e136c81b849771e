"""Loads and writes the rows of countries."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Dialect as SQLAlchemyDialect
from sqlalchemy import RowMapping, delete, select, update
from sqlalchemy.exc import IntegrityError

from graphql_api.domain.country import FIELDS, Country
from graphql_api.storage import lease
from graphql_api.storage.database import DatabaseConnection
from graphql_api.storage.dialects import get_connection_dialect, get_dialect
from graphql_api.storage.tables import countries
from graphql_api.storage.transactions import transaction
from graphql_api.storage.url import DatabaseKind
from graphql_api.utils.slices import end_slice, run_in_slices

RowValues = tuple[Any, ...]

_PREPARED_KEY = "upsert prepared"
"""Marks a connection in its `info`."""
_FENCE_COLUMN = "revision"
_COLUMNS = tuple(FIELDS)
_STATEMENT_OVERHEAD_BYTES = 4096
"""Upper bound of a statement without its rows."""
_MAX_SCALAR_BYTES = 32
"""Upper bound of a number or instant as text, with separator."""


class StaleWriteError(Exception):
    """Another writer has stored a higher revision. Nothing was written."""


async def load(connection: DatabaseConnection) -> list[Country]:
    """Return all rows, in one statement and so of one state of the table."""
    rows = await connection.execute(select(*(countries.c[name] for name in _COLUMNS)))
    return await run_in_slices(lambda: [_build_row(row) for row in rows.mappings()])


async def upsert(connection: DatabaseConnection, rows: Sequence[Country]) -> int:
    """Insert or overwrite all `rows`, or none. Return the number of statements.

    Raises:
        StaleWriteError: a row is stored with a higher revision. Nothing was written.
    """
    dialect = get_connection_dialect(connection)
    compiled_upsert = _compile_upsert(connection.dialect)
    max_bytes = dialect.max_statement_bytes(await _connection_info(connection))
    batches = await run_in_slices(lambda: list(_split_into_batches(compiled_upsert.bind_rows(rows), max_bytes)))
    try:
        if len(batches) == 1 and dialect.batch_is_atomic:
            await connection.exec_driver_sql(compiled_upsert.sql, batches[0])
        else:
            async with transaction(connection, dialect.begin):
                for batch in batches:
                    await connection.exec_driver_sql(compiled_upsert.sql, batch)
    except IntegrityError as error:
        # Every database names the column that would be null.
        if _FENCE_COLUMN not in str(error.orig):
            raise
        raise StaleWriteError from error
    return len(batches)


async def prepare_statements(connection: DatabaseConnection) -> None:
    """Prepare the upsert, once per connection, so that the first is as fast as the next."""
    info = await _connection_info(connection)
    if not info.get(_PREPARED_KEY):
        await get_connection_dialect(connection).prepare(connection, _compile_upsert(connection.dialect).sql)
        info[_PREPARED_KEY] = True


async def _connection_info(connection: DatabaseConnection) -> dict[str, Any]:
    """Return the `info` of a connection, which is reopened first if it is lost."""
    return (await connection.get_raw_connection()).info


@dataclass(frozen=True, slots=True)
class _CompiledUpsert:
    """The upsert in the form of the driver. SQLAlchemy would process each value again."""

    sql: str
    get_values: Callable[[Country], RowValues]
    """Returns the values of a row in the order of the statement."""
    bind_processors: Sequence[tuple[int, Callable[[Any], Any]]]
    """Index and converter of each value that the driver takes in another form."""

    def bind_rows(self, rows: Sequence[Country]) -> list[RowValues]:
        """Return the values of the rows in the form of the driver."""
        bound = []
        for row in rows:
            end_slice()
            values = list(self.get_values(row))
            for index, processor in self.bind_processors:
                values[index] = processor(values[index])
            bound.append(tuple(values))
        return bound


@lru_cache(maxsize=4)
def _compile_upsert(sqlalchemy_dialect: SQLAlchemyDialect) -> _CompiledUpsert:
    dialect = get_dialect(DatabaseKind(sqlalchemy_dialect.name))
    statement = dialect.upsert(countries, _COLUMNS, key="code", fence=_FENCE_COLUMN)
    compiled = statement.compile(dialect=sqlalchemy_dialect, column_keys=list(_COLUMNS))
    names = list(compiled.positiontup or ())
    column_types = (countries.c[name].type.dialect_impl(sqlalchemy_dialect) for name in names)
    processors = (
        (index, column_type.bind_processor(sqlalchemy_dialect)) for index, column_type in enumerate(column_types)
    )
    return _CompiledUpsert(
        sql=str(compiled),
        get_values=attrgetter(*names),
        bind_processors=[(index, processor) for index, processor in processors if processor],
    )


async def remove(connection: DatabaseConnection, code: str) -> bool:
    """Delete the row with a code, and give all others a new revision. Return whether there was one.

    Call it in a transaction. The revision rejects the rows of an older refresh, and makes a version of its own.
    """
    revision = await lease.reserve_revision(connection)
    result = await connection.execute(delete(countries).where(countries.c.code == code))
    if result.rowcount == 0:
        return False
    await connection.execute(update(countries).values(revision=revision))
    return True


def _build_row(values: RowMapping) -> Country:
    end_slice()
    return Country(**values)


def _split_into_batches(rows: list[RowValues], max_bytes: int | None) -> Iterator[list[RowValues]]:
    """Yield the rows in batches of statements of at most `max_bytes`."""
    if max_bytes is None:
        yield rows
        return
    batch: list[RowValues] = []
    batch_bytes = _STATEMENT_OVERHEAD_BYTES
    for row in rows:
        row_bytes = _estimate_row_bytes(row)
        if batch and batch_bytes + row_bytes > max_bytes:
            yield batch
            batch, batch_bytes = [], _STATEMENT_OVERHEAD_BYTES
        batch.append(row)
        batch_bytes += row_bytes
    yield batch


def _estimate_row_bytes(row: RowValues) -> int:
    """Return an upper bound of the bytes of a row. Quoting can double a text."""
    texts = [value for value in row if isinstance(value, str)]
    return 2 * len("".join(texts).encode()) + 4 * len(texts) + _MAX_SCALAR_BYTES * (len(row) - len(texts))
