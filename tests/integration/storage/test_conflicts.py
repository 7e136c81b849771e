"""Conflicting writers: they retry as a whole, lose nothing, and give up in time."""

import asyncio
from contextlib import AsyncExitStack, suppress
from functools import partial

import pytest
from sqlalchemy import update

from graphql_api.domain.country import Country
from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import countries
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.tables import countries as table
from tests.support.database import SERVERS, begin_transaction, open_database
from tests.support.factories import make_country

pytestmark = pytest.mark.slow

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CODES = [f"{first}{second}" for first in LETTERS for second in LETTERS][:250]


async def load_rows(database: Database) -> list[Country]:
    """Return the rows, in order of code."""
    return sorted(await database.run(countries.load), key=lambda row: row.code)


async def test_eight_writers(database: Database, database_url: str) -> None:
    """After eight writers with twenty-five upserts each at once, the highest revision is stored."""

    async def write(writer: Database, number: int) -> None:
        for turn in range(25):
            # Each revision once, mixed over the writers.
            revision = 1 + (turn * 8 + number) * 7 % 200
            rows = [make_country(code, revision=revision, name=f"{revision}") for code in CODES]
            with suppress(countries.StaleWriteError):
                await writer.run(partial(countries.upsert, rows=rows))

    async with AsyncExitStack() as stack:
        writers = [await stack.enter_async_context(open_database(database_url, timeout=60)) for _ in range(8)]
        await asyncio.gather(*(write(writer, number) for number, writer in enumerate(writers)))
    assert await load_rows(database) == [make_country(code, revision=200, name="200") for code in sorted(CODES)]


# SQLite has one writer at a time, so no deadlocks, and no server that closes connections.
on_servers = pytest.mark.parametrize("new_url", SERVERS, indirect=True)


@on_servers
async def test_deadlock(database: Database, replica: Database) -> None:
    """Two transactions that lock two rows in opposite order both succeed, one after a retry."""
    rows = [make_country("FR", population=0), make_country("TR", population=0)]
    await database.run(lambda connection: countries.upsert(connection, rows))
    barrier = asyncio.Barrier(2)
    attempts = 0

    async def add(connection: DatabaseConnection, first: str, second: str) -> None:
        nonlocal attempts
        attempts += 1
        statement = update(table).values(population=table.c.population + 1)
        await connection.execute(statement.where(table.c.code == first))
        if attempts <= 2:
            await barrier.wait()
        await connection.execute(statement.where(table.c.code == second))

    await asyncio.gather(
        database.run(database.in_transaction(lambda connection: add(connection, "FR", "TR"))),
        replica.run(replica.in_transaction(lambda connection: add(connection, "TR", "FR"))),
    )
    assert attempts == 3
    assert [row.population for row in await load_rows(database)] == [2, 2]


async def test_gives_up(database: Database, database_url: str) -> None:
    """A blocking writer is waited for no longer than the timeout."""
    await database.run(lambda connection: countries.upsert(connection, [make_country()]))
    async with open_database(database_url, timeout=1) as impatient_database, begin_transaction(database) as connection:
        await connection.execute(update(table).values(name="mine"))
        with pytest.raises(DatabaseUnavailable):
            await impatient_database.run(lambda connection: countries.upsert(connection, [make_country()]))
        # The client may have given up just before its server does, which looks once a second.
        await asyncio.sleep(2)
    assert [row.name for row in await load_rows(database)] == ["mine"]


@on_servers
async def test_connection_that_died(database: Database) -> None:
    """A pooled connection that the server closed meanwhile is replaced without an error."""
    await database.run(lambda connection: countries.upsert(connection, [make_country()]))
    async with open_database(database.engine.url.render_as_string(hide_password=False)) as other:
        async with database.connect() as connection:
            dead_id = await fetch_connection_id(connection)
        async with other.connect() as connection:
            await connection.exec_driver_sql(KILL_CONNECTION[database.engine.dialect.name].format(dead_id))
        assert await load_rows(database) == [make_country()]
        async with database.connect() as connection:
            assert await fetch_connection_id(connection) != dead_id


@on_servers
async def test_connection_that_dies_at_work(database: Database, replica: Database) -> None:
    """A connection that dies in use is replaced, and the operation is retried."""
    async with database.connect() as connection, replica.connect() as other:
        for operation in (lambda lent: countries.upsert(lent, [make_country()]), countries.prepare_statements) * 3:
            connection_id = await database.retrying(connection, fetch_connection_id)
            kill = KILL_CONNECTION[database.engine.dialect.name].format(connection_id)
            await other.exec_driver_sql(kill)
            await database.retrying(connection, operation)
        assert await load_rows(database) == [make_country()]


@on_servers
async def test_server_that_only_reads(database: Database) -> None:
    """A connection to a former primary server is replaced, to reach its successor."""
    async with database.connect() as connection:
        read_only_id = await fetch_connection_id(connection)
        await connection.exec_driver_sql(MAKE_READ_ONLY[database.engine.dialect.name])
    await database.run(lambda connection: countries.upsert(connection, [make_country()]))
    assert await load_rows(database) == [make_country()]
    async with database.connect() as connection:
        assert await fetch_connection_id(connection) != read_only_id


MAKE_READ_ONLY = {"mysql": "SET SESSION TRANSACTION READ ONLY", "postgresql": "SET default_transaction_read_only = on"}
KILL_CONNECTION = {"mysql": "KILL {}", "postgresql": "SELECT pg_terminate_backend({})"}
CONNECTION_ID = {"mysql": "SELECT CONNECTION_ID()", "postgresql": "SELECT pg_backend_pid()"}


async def fetch_connection_id(connection: DatabaseConnection) -> int:
    """Return the id of a connection on the server."""
    result = await connection.exec_driver_sql(CONNECTION_ID[connection.dialect.name])
    return int(result.scalar_one())
