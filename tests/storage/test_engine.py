"""Connections and transactions: what is kept, what is not, and what their errors become."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.country import Country
from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import countries
from graphql_api.storage.engine import Database
from tests.databases import opened, put
from tests.rows import make_country
from tests.servers.process import PATIENCE

FRANCE, TURKEY = make_country("FR"), make_country("TR")


async def stored(database: Database) -> list[Country]:
    """Return the rows, in order of code."""
    async with database.connect() as connection:
        return sorted(await countries.load(connection), key=lambda row: row.code)


async def write(database: Database, rows: Sequence[Country]) -> None:
    """Put rows in the place of those of their codes, in a transaction."""
    async with database.transaction() as connection:
        for row in rows:
            await countries.remove(connection, row.code)
            await put(connection, row)


async def driver(connection: AsyncConnection) -> object:
    """Return the driver's own connection, to tell one from another."""
    return (await connection.get_raw_connection()).driver_connection


async def test_connection_commits_each_statement(database: Database, replica: Database) -> None:
    """What is written on a plain connection is seen by others before it is given back."""
    async with database.connect() as connection:
        await countries.upsert(connection, [FRANCE])
        assert await stored(replica) == [FRANCE]


async def test_transaction_keeps_all_at_its_end(database: Database, replica: Database) -> None:
    """Others see nothing of a transaction until it has ended, and then all of it."""
    async with database.transaction() as connection:
        await put(connection, FRANCE)
        await put(connection, TURKEY)
        assert await stored(replica) == []
    assert await stored(replica) == [FRANCE, TURKEY]


async def test_exception_keeps_nothing(database: Database, replica: Database) -> None:
    """An exception leaves a transaction as it is, with nothing kept, and the next one is clean."""

    async def fail() -> None:
        async with database.transaction() as connection:
            await put(connection, FRANCE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await stored(replica) == []
    await write(database, [TURKEY])
    assert await stored(replica) == [TURKEY]


async def test_connection_is_not_used_after_an_exception(database: Database) -> None:
    """Whoever comes after a transaction that failed or was cancelled has another connection."""
    used = []

    async def fail(error: BaseException) -> None:
        async with database.transaction() as connection:
            used.append(await driver(connection))
            raise error

    for error in (ZeroDivisionError(), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await fail(error)
    async with database.transaction() as connection:
        used.append(await driver(connection))
    async with database.transaction() as connection:
        used.append(await driver(connection))
    assert len(set(used)) == 3
    assert used[2] is used[3]


async def test_failed_statement_keeps_nothing(database: Database, replica: Database) -> None:
    """A statement that fails undoes those before it, and leaves as DatabaseUnavailable."""

    async def fail() -> None:
        async with database.transaction() as connection:
            await put(connection, FRANCE)
            await connection.exec_driver_sql("INSERT INTO countries (code) VALUES ('TR')")

    with pytest.raises(DatabaseUnavailable):
        await fail()
    assert await stored(replica) == []
    await write(database, [TURKEY])
    assert await stored(replica) == [TURKEY]


async def test_cancellation_keeps_nothing(database: Database, replica: Database) -> None:
    """A task cancelled inside a transaction leaves nothing, and no transaction in the pool."""
    inside = asyncio.Event()

    async def never_end() -> None:
        async with database.transaction() as connection:
            await put(connection, FRANCE)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(never_end())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored(replica) == []
    async with database.connect() as connection:
        await put(connection, TURKEY)
        assert await stored(replica) == [TURKEY]


@pytest.mark.parametrize("steps", range(0, 30, 3))
async def test_cancellation_anywhere(steps: int, database: Database, replica: Database) -> None:
    """Wherever cancellation strikes twice, all is kept or nothing, and others can write."""
    task = asyncio.create_task(write(database, [FRANCE]))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await write(replica, [TURKEY])
    await write(database, [TURKEY])
    assert [row.code for row in await stored(replica)] in (["TR"], ["FR", "TR"])


async def test_cancellation_while_waiting(database: Database, replica: Database) -> None:
    """A task cancelled while it waits for another writer takes no lock when that one ends."""
    async with replica.transaction() as connection:
        await put(connection, FRANCE)
        waiting = asyncio.create_task(write(database, [FRANCE]))
        await asyncio.sleep(0.1)
        waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await write(replica, [FRANCE])
    await write(database, [FRANCE])
    assert await stored(replica) == [FRANCE]


REASONS = {
    "sqlite": "no such table: nowhere",
    "mysql": "Table '{}.nowhere' doesn't exist (1146)",
    "postgresql": 'relation "nowhere" does not exist',
}


async def test_error_of_the_database(database: Database) -> None:
    """An error of the driver names the database and its reason, in one line."""
    with pytest.raises(DatabaseUnavailable) as caught:
        async with database.connect() as connection:
            await connection.exec_driver_sql("SELECT 1\nFROM nowhere")
    reason = REASONS[database.engine.dialect.name].format(database.engine.url.database)
    assert str(caught.value) == f"The database at {database} failed: {reason}."


async def test_other_errors_stay_what_they_are(database: Database) -> None:
    """An error that is not the database's passes through a connection unchanged."""
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with database.connect():
            raise error
    assert caught.value is error


async def test_pool(tmp_path: Path) -> None:
    """The pool tells what is lent, what is open beyond its size, and how often one had to wait."""
    url = f"sqlite:///{tmp_path / 'file.db'}"
    async with opened(url, pool_size=1, max_overflow=1) as database:
        seen = [database.pool]
        async with database.connect():
            seen.append(database.pool)
            async with database.connect():
                seen.append(database.pool)
                waiting = asyncio.create_task(database.run(look))
                while not database.pool.waits:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.001)
                seen.append(database.pool)
        await waiting
        seen.append(database.pool)
    assert [(one.in_use, one.size, one.overflow, one.waits) for one in seen] == [
        (0, 1, 0, 0),
        (1, 1, 0, 0),
        (2, 1, 1, 0),
        (2, 1, 1, 1),
        (0, 1, 0, 1),
    ]


async def look(connection: AsyncConnection) -> None:
    """Use a connection."""
    await connection.exec_driver_sql("SELECT 1")


async def test_warming_is_cancelled(database: Database) -> None:
    """When warming is over, also by being cancelled, nobody uses a connection any more."""
    begun: list[AsyncConnection] = []
    ended: list[AsyncConnection] = []

    async def work(connection: AsyncConnection) -> None:
        begun.append(connection)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02 * begun.index(connection))
            ended.append(connection)

    warming = asyncio.create_task(database.warm(3, work))
    async with asyncio.timeout(PATIENCE):
        while len(begun) < 3:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.001)
    warming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await warming
    assert (len(ended), database.pool.in_use) == (3, 0)
