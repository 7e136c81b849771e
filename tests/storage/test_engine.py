"""Connections and transactions: what is kept, what is not, and what their errors become."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.domain.country import Country
from graphql_api.errors import DatabaseUnavailable, InvalidSetting
from graphql_api.storage import countries
from graphql_api.storage.engine import Database
from tests.rows import make_country

FRANCE, TURKEY = make_country("FR"), make_country("TR")


async def stored(database: Database) -> list[Country]:
    """Return the rows, in order of code."""
    async with database.connect() as connection:
        return sorted(await countries.load(connection), key=lambda row: row.code)


async def write(database: Database, rows: Sequence[Country]) -> None:
    """Upsert rows in a transaction."""
    async with database.transaction() as connection:
        await countries.upsert(connection, rows)


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
        await countries.upsert(connection, [FRANCE])
        await countries.upsert(connection, [TURKEY])
        assert await stored(replica) == []
    assert await stored(replica) == [FRANCE, TURKEY]


async def test_exception_keeps_nothing(database: Database, replica: Database) -> None:
    """An exception leaves a transaction as it is, with nothing kept, and the next one is clean."""

    async def fail() -> None:
        async with database.transaction() as connection:
            await countries.upsert(connection, [FRANCE])
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
            await countries.upsert(connection, [FRANCE])
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
            await countries.upsert(connection, [FRANCE])
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(never_end())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored(replica) == []
    async with database.connect() as connection:
        await countries.upsert(connection, [TURKEY])
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
        await countries.upsert(connection, [FRANCE])
        waiting = asyncio.create_task(write(database, [TURKEY]))
        await asyncio.sleep(0.05)
        waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await write(replica, [FRANCE])
    await write(database, [FRANCE])
    assert await stored(replica) == [FRANCE]


async def test_transaction_excludes_other_writers(database: Database, replica: Database) -> None:
    """Transactions that read and then write follow one another, so that no update is lost."""
    await write(database, [make_country(population=0)])

    async def count_up(writer: Database) -> None:
        async with writer.transaction() as connection:
            (row,) = await countries.load(connection)
            await countries.upsert(connection, [make_country(population=row.population + 1)])

    async with asyncio.TaskGroup() as group:
        for writer in (database, replica) * 5:
            group.create_task(count_up(writer))
    assert [row.population for row in await stored(database)] == [10]


async def test_error_of_the_database(database: Database) -> None:
    """An error of the driver names the database and its reason, in one line."""
    with pytest.raises(DatabaseUnavailable) as caught:
        async with database.connect() as connection:
            await connection.exec_driver_sql('SELECT 1 FROM "no\nwhere"')
    assert str(caught.value) == f"The database at {database} failed: no such table: no."


async def test_other_errors_stay_what_they_are(database: Database) -> None:
    """An error that is not the database's passes through a connection unchanged."""
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with database.connect():
            raise error
    assert caught.value is error


NOT_A_URL = "DATABASE_URL is not a URL; give one, for example sqlite:///var/countries.db."
NO_FILE = "DATABASE_URL names no file; give one, for example sqlite:///var/countries.db."
NO_HOST = (
    "DATABASE_URL names a host or a user, and SQLite has neither; "
    "the path follows three slashes, for example sqlite:///var/countries.db."
)
NO_OPTIONS = (
    "DATABASE_URL has options after '?', and SQLite takes none here; "
    "in a file's name write %3F for '?'."
)


def foreign(name: str) -> str:
    return (
        f"DATABASE_URL names '{name}'; this version speaks to SQLite, "
        "for example sqlite:///var/countries.db."
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", NOT_A_URL),
        ("countries.db", NOT_A_URL),
        ("/var/countries.db", NOT_A_URL),
        ("mysql://root:hunter2@db:port/x", NOT_A_URL),
        ("mysql://root:hunter2@db/x", foreign("mysql")),
        ("postgres://root:hunter2@db/x", foreign("postgres")),
        ("sqlite+pysqlite:///x.db", foreign("sqlite+pysqlite")),
        ("sqlite://", NO_FILE),
        ("sqlite:///", NO_FILE),
        ("sqlite:///:memory:", NO_FILE),
        ("sqlite://var/countries.db", NO_HOST),
        ("sqlite://:1/countries.db", NO_HOST),
        ("sqlite://root@/countries.db", NO_HOST),
        ("sqlite://:hunter2@/countries.db", NO_HOST),
        ("sqlite:///x.db?timeout=soon", NO_OPTIONS),
        ("sqlite:///file::memory:?uri=true", NO_OPTIONS),
    ],
)
def test_bad_url(url: str, message: str) -> None:
    """A URL that cannot be used is refused at once, with what to write instead and no secret."""
    with pytest.raises(InvalidSetting) as caught:
        Database(url, seconds_busy=1)
    assert str(caught.value) == message
