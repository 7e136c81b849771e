"""The upsert alone: rows per second and memory, compared with the bare driver."""

import asyncio
import gc
import string
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

import asyncmy
from sqlalchemy import event, make_url

from graphql_api.domain.country import FIELDS, Country, FieldKind
from graphql_api.storage import countries
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.migrations import migrate
from tests.support.db_servers.mariadb import MariaDB

_ROUNDS = {250: 60, 10_000: 15}
"""Rounds by number of rows; both writers take turns."""
_TIMEOUT = 60.0
# Two of a hundred different letters make ten thousand codes.
_LETTERS = (string.ascii_letters + string.digits + string.punctuation + "ÄÖÜäöüß")[:100]
_NOW = datetime(2026, 11, 25, 9, 30, 0, 123456, tzinfo=UTC)

WriteFunction = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertResult:
    """Both writers' figures for one number of rows."""

    rows: int
    ours_per_second: float
    """Rows per second of the fastest round, because disturbances only slow it down."""
    bare_per_second: float
    ours_peak: int
    """Peak memory in bytes, without the rows."""
    bare_peak: int

    @property
    def speed_ratio(self) -> float:
        """Return the fraction of the bare driver's speed."""
        return self.ours_per_second / self.bare_per_second


def measure(server: MariaDB) -> list[UpsertResult]:
    """Measure both writers on a nearby database."""
    return asyncio.run(_measure(server.url(server.create_database())))


async def _measure(url: str) -> list[UpsertResult]:
    database = Database(url, timeout=_TIMEOUT)
    try:
        await migrate(database)
        async with database.connect() as connection, _connect_driver(url) as driver_connection:
            return [await _compare(connection, driver_connection, count) for count in _ROUNDS]
    finally:
        await database.dispose()


@asynccontextmanager
async def _connect_driver(url: str) -> AsyncIterator[Any]:
    """Yield a connection of the bare driver."""
    database_url = make_url(url)
    connection = await asyncmy.connect(
        host=database_url.host,
        port=database_url.port,
        user=database_url.username,
        password=database_url.password,
        database=database_url.database,
        autocommit=True,
    )
    try:
        yield connection
    finally:
        await connection.ensure_closed()


async def _compare(
    connection: DatabaseConnection,
    driver_connection: Any,  # noqa: ANN401 - the driver has no types
    count: int,
) -> UpsertResult:
    rows = [_build_country(first + second) for first, second in product(_LETTERS, repeat=2)][:count]

    async def write_with_project() -> None:
        await countries.upsert(connection, rows)

    statement, parameters = await _capture_statement(connection, write_with_project)

    async def write_with_driver() -> None:
        async with driver_connection.cursor() as cursor:
            await cursor.executemany(statement, parameters)

    project_times, driver_times = [], []
    for _ in range(_ROUNDS[count]):
        project_times.append(await _measure_seconds(write_with_project))
        driver_times.append(await _measure_seconds(write_with_driver))
    return UpsertResult(
        rows=count,
        ours_per_second=count / min(project_times),
        bare_per_second=count / min(driver_times),
        ours_peak=await _measure_peak_bytes(write_with_project),
        bare_peak=await _measure_peak_bytes(write_with_driver),
    )


async def _capture_statement(connection: DatabaseConnection, write: WriteFunction) -> tuple[str, list[Any]]:
    """Return the statement and the values that this project's upsert passes to the driver."""
    statements, parameters = [], []

    def on_execute(_connection: object, _cursor: object, sql: str, rows: Any, *_: object) -> None:  # noqa: ANN401 - the driver's
        if sql.startswith("INSERT"):
            statements.append(sql)
            parameters.extend(rows)

    engine = connection.engine.sync_engine
    event.listen(engine, "before_cursor_execute", on_execute)
    await write()
    event.remove(engine, "before_cursor_execute", on_execute)
    return statements[0], parameters


async def _measure_seconds(write: WriteFunction) -> float:
    # Collect the garbage of the other writer first.
    gc.collect()
    started_at = time.perf_counter()
    await write()
    return time.perf_counter() - started_at


async def _measure_peak_bytes(write: WriteFunction) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        await write()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _build_country(code: str) -> Country:
    text = f"The Republic of Saint {code}’s"
    values = {FieldKind.INT: 66_987_244, FieldKind.FLOAT: 109_237_461_923.25, FieldKind.INSTANT: _NOW}
    row: dict[str, Any] = {name: values.get(field.kind, text[: field.max_length]) for name, field in FIELDS.items()}
    return Country(**row | {"code": code, "revision": 1})
