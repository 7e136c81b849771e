"""Connections and transactions: what is committed, what is rolled back, and their errors."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.country import Country
from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import countries
from graphql_api.storage.database import Database
from tests.support.database import begin_transaction, insert_country, open_database
from tests.support.factories import make_country
from tests.support.wait import WAIT_TIMEOUT

FRANCE, TURKEY = make_country("FR"), make_country("TR")


async def load_rows(database: Database) -> list[Country]:
    """Return the rows, in order of code."""
    async with database.connect() as connection:
        return sorted(await countries.load(connection), key=lambda row: row.code)


async def replace_rows(database: Database, rows: Sequence[Country]) -> None:
    """Replace the rows with the same codes, in a transaction."""
    async with begin_transaction(database) as connection:
        for row in rows:
            await countries.remove(connection, row.code)
            await insert_country(connection, row)


async def driver_connection(connection: AsyncConnection) -> object:
    """Return the driver's own connection, to compare identities."""
    return (await connection.get_raw_connection()).driver_connection


async def test_connection_commits_each_statement(database: Database, replica: Database) -> None:
    """A write on a plain connection is visible to others before the connection is returned."""
    async with database.connect() as connection:
        await countries.upsert(connection, [FRANCE])
        assert await load_rows(replica) == [FRANCE]


async def test_transaction_keeps_all_at_its_end(database: Database, replica: Database) -> None:
    """Others see nothing of a transaction until it ends, and then all of it."""
    async with begin_transaction(database) as connection:
        await insert_country(connection, FRANCE)
        await insert_country(connection, TURKEY)
        assert await load_rows(replica) == []
    assert await load_rows(replica) == [FRANCE, TURKEY]


async def test_exception_keeps_nothing(database: Database, replica: Database) -> None:
    """An exception passes unchanged, nothing is written, and the next transaction is clean."""

    async def fail() -> None:
        async with begin_transaction(database) as connection:
            await insert_country(connection, FRANCE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await load_rows(replica) == []
    await replace_rows(database, [TURKEY])
    assert await load_rows(replica) == [TURKEY]


async def test_connection_is_not_used_after_an_exception(database: Database) -> None:
    """After a failed or cancelled transaction, the next one gets another connection."""
    connections = []

    async def fail(error: BaseException) -> None:
        async with begin_transaction(database) as connection:
            connections.append(await driver_connection(connection))
            raise error

    for error in (ZeroDivisionError(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await fail(error)
    async with begin_transaction(database) as connection:
        connections.append(await driver_connection(connection))
    async with begin_transaction(database) as connection:
        connections.append(await driver_connection(connection))
    assert len(set(connections)) == 3
    assert connections[2] is connections[3]


async def test_failed_statement_keeps_nothing(database: Database, replica: Database) -> None:
    """A failing statement rolls back those before it and raises DatabaseUnavailable."""

    async def fail() -> None:
        async with begin_transaction(database) as connection:
            await insert_country(connection, FRANCE)
            await connection.exec_driver_sql("INSERT INTO countries (code) VALUES ('TR')")

    with pytest.raises(DatabaseUnavailable):
        await fail()
    assert await load_rows(replica) == []
    await replace_rows(database, [TURKEY])
    assert await load_rows(replica) == [TURKEY]


async def test_cancellation_keeps_nothing(database: Database, replica: Database) -> None:
    """A task cancelled in a transaction writes nothing and leaves none open in the pool."""
    entered = asyncio.Event()

    async def hold_transaction() -> None:
        async with begin_transaction(database) as connection:
            await insert_country(connection, FRANCE)
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold_transaction())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await load_rows(replica) == []
    async with database.connect() as connection:
        await insert_country(connection, TURKEY)
        assert await load_rows(replica) == [TURKEY]


@pytest.mark.parametrize("steps", range(0, 30, 3))
async def test_cancellation_anywhere(steps: int, database: Database, replica: Database) -> None:
    """Cancelled twice at any step, a transaction writes all or nothing, and others can write."""
    task = asyncio.create_task(replace_rows(database, [FRANCE]))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await replace_rows(replica, [TURKEY])
    await replace_rows(database, [TURKEY])
    assert [row.code for row in await load_rows(replica)] in (["TR"], ["FR", "TR"])


async def test_cancellation_while_waiting(database: Database, replica: Database) -> None:
    """A task cancelled while it waits for another writer takes no lock afterwards."""
    async with begin_transaction(replica) as connection:
        await insert_country(connection, FRANCE)
        waiting_task = asyncio.create_task(replace_rows(database, [FRANCE]))
        await asyncio.sleep(0.1)
        waiting_task.cancel()
    await asyncio.wait([waiting_task])
    assert waiting_task.cancelled()
    await replace_rows(replica, [FRANCE])
    await replace_rows(database, [FRANCE])
    assert await load_rows(replica) == [FRANCE]


REASONS = {
    "sqlite": "no such table: nowhere",
    "mysql": "Table '{}.nowhere' doesn't exist (1146)",
    "postgresql": 'relation "nowhere" does not exist',
}


async def test_error_of_the_database(database: Database) -> None:
    """A driver's error is reported with the database and the reason, in one line."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        async with database.connect() as connection:
            await connection.exec_driver_sql("SELECT 1\nFROM nowhere")
    reason = REASONS[database.engine.dialect.name].format(database.engine.url.database)
    assert str(exc_info.value) == f"The database at {database} failed: {reason}."


async def test_other_errors_stay_what_they_are(database: Database) -> None:
    """An error that is not from the database passes unchanged."""
    error = KeyError("mine")
    with pytest.raises(KeyError) as exc_info:
        async with database.connect():
            raise error
    assert exc_info.value is error


async def test_pool(tmp_path: Path) -> None:
    """The pool counts connections in use, those beyond its size, and waits."""
    url = f"sqlite:///{tmp_path / 'file.db'}"
    async with open_database(url, pool_size=1, max_overflow=1) as database:
        samples = [database.pool_stats]
        async with database.connect():
            samples.append(database.pool_stats)
            async with database.connect():
                samples.append(database.pool_stats)
                waiting_task = asyncio.create_task(database.run(select_one))
                while not database.pool_stats.waits:  # noqa: ASYNC110 - there is no event
                    await asyncio.sleep(0.001)
                samples.append(database.pool_stats)
        await waiting_task
        samples.append(database.pool_stats)
    assert [(stats.in_use, stats.size, stats.overflow, stats.waits) for stats in samples] == [
        (0, 1, 0, 0),
        (1, 1, 0, 0),
        (2, 1, 1, 0),
        (2, 1, 1, 1),
        (0, 1, 0, 1),
    ]


async def select_one(connection: AsyncConnection) -> None:
    """Use a connection."""
    await connection.exec_driver_sql("SELECT 1")


@pytest.mark.parametrize(
    ("pool_size", "max_overflow", "in_use", "warmed"),
    [(1, 0, 0, 1), (1, 0, 1, 0), (1, 20, 0, 1), (2, 0, 0, 2), (2, 0, 1, 1), (3, 0, 0, 3), (10, 20, 0, 3)],
)
async def test_warming_of_small_pools(
    tmp_path: Path, pool_size: int, max_overflow: int, in_use: int, warmed: int
) -> None:
    """Warming opens at most what the pool keeps, and never waits for a connection that is in use."""
    connections: list[object] = []

    async def operation(connection: AsyncConnection) -> None:
        connections.append(await driver_connection(connection))

    url = f"sqlite:///{tmp_path / 'file.db'}"
    async with (
        open_database(url, pool_size=pool_size, max_overflow=max_overflow) as database,
        AsyncExitStack() as stack,
    ):
        for _ in range(in_use):
            await stack.enter_async_context(database.connect())
        await database.warm_pool(3, operation)
        assert len(set(connections)) == warmed
        assert database.pool_stats.waits == 0


async def test_warming_is_cancelled(database: Database) -> None:
    """A cancelled warm-up leaves no connection in use."""
    started: list[AsyncConnection] = []
    finished: list[AsyncConnection] = []

    async def operation(connection: AsyncConnection) -> None:
        started.append(connection)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02 * started.index(connection))
            finished.append(connection)

    warm_task = asyncio.create_task(database.warm_pool(3, operation))
    async with asyncio.timeout(WAIT_TIMEOUT):
        while len(started) < 3:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.001)
    warm_task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await warm_task
    assert (len(finished), database.pool_stats.in_use) == (3, 0)
