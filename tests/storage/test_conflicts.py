"""Writers in one another's way: they try again as a whole, lose nothing, and give up in time."""

import asyncio
from contextlib import AsyncExitStack, suppress
from functools import partial

import pytest
from sqlalchemy import update

from graphql_api.domain.country import Country
from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import countries
from graphql_api.storage.engine import Connection, Database
from graphql_api.storage.tables import countries as table
from tests.databases import opened
from tests.rows import make_country

pytestmark = pytest.mark.slow

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CODES = [f"{one}{two}" for one in LETTERS for two in LETTERS][:250]


async def stored(database: Database) -> list[Country]:
    """Return the rows, in order of code."""
    return sorted(await database.run(countries.load), key=lambda row: row.code)


async def test_eight_writers(database: Database, database_url: str) -> None:
    """Eight writers, twenty-five upserts of all rows each, at once: the highest revision stays."""

    async def write(writer: Database, number: int) -> None:
        for turn in range(25):
            # Each revision once, in no order that any writer keeps.
            revision = 1 + (turn * 8 + number) * 7 % 200
            rows = [make_country(code, revision=revision, name=f"{revision}") for code in CODES]
            with suppress(countries.Overtaken):
                await writer.run(partial(countries.upsert, rows=rows))

    async with AsyncExitStack() as stack:
        writers = [
            await stack.enter_async_context(opened(database_url, seconds=60)) for _ in range(8)
        ]
        await asyncio.gather(*(write(writer, number) for number, writer in enumerate(writers)))
    assert await stored(database) == [
        make_country(code, revision=200, name="200") for code in sorted(CODES)
    ]


# SQLite has one writer at a time, so nobody can wait for two; and no server to close a connection.
of_servers = pytest.mark.parametrize("new_url", ["mariadb", "postgresql"], indirect=True)


@of_servers
async def test_deadlock(database: Database, replica: Database) -> None:
    """Two transactions that lock two rows in opposite order both succeed, one after a new try."""
    rows = [make_country("FR", population=0), make_country("TR", population=0)]
    await database.run(lambda connection: countries.upsert(connection, rows))
    both = asyncio.Barrier(2)
    begun = 0

    async def add(connection: Connection, first: str, second: str) -> None:
        nonlocal begun
        begun += 1
        one = update(table).values(population=table.c.population + 1)
        await connection.execute(one.where(table.c.code == first))
        if begun <= 2:
            await both.wait()
        await connection.execute(one.where(table.c.code == second))

    await asyncio.gather(
        database.run(database.whole(lambda connection: add(connection, "FR", "TR"))),
        replica.run(replica.whole(lambda connection: add(connection, "TR", "FR"))),
    )
    assert begun == 3
    assert [row.population for row in await stored(database)] == [2, 2]


async def test_gives_up(database: Database, database_url: str) -> None:
    """A writer that stays in the way is waited for no longer than the database's time."""
    await database.run(lambda connection: countries.upsert(connection, [make_country()]))
    async with opened(database_url, seconds=1) as impatient, database.transaction() as connection:
        await connection.execute(update(table).values(name="mine"))
        with pytest.raises(DatabaseUnavailable):
            await impatient.run(lambda connection: countries.upsert(connection, [make_country()]))
    assert [row.name for row in await stored(database)] == ["mine"]


@of_servers
async def test_connection_that_died(database: Database) -> None:
    """A pooled connection that the server has closed meanwhile is replaced, and nobody notices."""
    await database.run(lambda connection: countries.upsert(connection, [make_country()]))
    async with opened(database.engine.url.render_as_string(hide_password=False)) as other:
        async with database.connect() as connection:
            dead = await identity(connection)
        async with other.connect() as connection:
            await connection.exec_driver_sql(KILL[database.engine.dialect.name].format(dead))
        assert await stored(database) == [make_country()]
        async with database.connect() as connection:
            assert await identity(connection) != dead


@of_servers
async def test_connection_that_dies_at_work(database: Database, replica: Database) -> None:
    """A connection that is lent and dies is replaced amid the work over it."""
    async with database.connect() as connection, replica.connect() as other:
        for work in (lambda one: countries.upsert(one, [make_country()]), countries.rehearse) * 3:
            number = await database.persist(connection, identity)
            kill = KILL[database.engine.dialect.name].format(number)
            await other.exec_driver_sql(kill)
            await database.persist(connection, work)
        assert await stored(database) == [make_country()]


@of_servers
async def test_server_that_only_reads(database: Database) -> None:
    """A connection to what was the primary server is replaced: its name leads to another one."""
    async with database.connect() as connection:
        only_reading = await identity(connection)
        await connection.exec_driver_sql(READ[database.engine.dialect.name])
    await database.run(lambda connection: countries.upsert(connection, [make_country()]))
    assert await stored(database) == [make_country()]
    async with database.connect() as connection:
        assert await identity(connection) != only_reading


READ = {
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "postgresql": "SET default_transaction_read_only = on",
}
KILL = {"mysql": "KILL {}", "postgresql": "SELECT pg_terminate_backend({})"}
IDENTITY = {"mysql": "SELECT CONNECTION_ID()", "postgresql": "SELECT pg_backend_pid()"}


async def identity(connection: Connection) -> int:
    """Return the server's number of a connection."""
    found = await connection.exec_driver_sql(IDENTITY[connection.dialect.name])
    return int(found.scalar_one())
