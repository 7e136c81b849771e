"""After an error, clients are told whether nothing was changed or the database did not confirm it."""

from collections.abc import Iterator

import pytest

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import countries
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.migrations import migrate
from tests.support.database import SERVERS, migrated_sqlite, open_database
from tests.support.db_servers.process import DatabaseServer
from tests.support.factories import make_country
from tests.support.tcp_proxy import TCPProxy

NOT_DONE = "The database did not execute the operation; nothing was changed."
UNCONFIRMED = "The database did not confirm the operation; it was done completely or not at all."
ROWS = [make_country("FR", name="F" * 200), make_country("TR", alpha3="TUR", name="T" * 200)]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Return a server of each kind in turn."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def proxy(server: DatabaseServer) -> Iterator[TCPProxy]:
    """Lend a proxy in front of the server."""
    with TCPProxy(server.port) as proxy:
        yield proxy


async def store(connection: DatabaseConnection) -> None:
    """Write the rows."""
    await countries.upsert(connection, ROWS)


async def get_public_message(database: Database) -> str:
    """Return what clients are told when the rows cannot be written."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        await database.run(store)
    return exc_info.value.public_message


async def count_rows(database: Database) -> int:
    """Return the number of stored rows."""
    return len(await database.run(countries.load))


async def test_rejected_statement(database: Database) -> None:
    """A statement that the database rejects changes nothing, and clients are told so."""
    await database.run(lambda connection: connection.exec_driver_sql("ALTER TABLE countries RENAME TO hidden"))
    assert await get_public_message(database) == NOT_DONE
    await database.run(lambda connection: connection.exec_driver_sql("ALTER TABLE hidden RENAME TO countries"))
    assert await count_rows(database) == 0


async def test_full_disk(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A write to a full disk changes nothing, and clients are told so."""
    path = tmp_path_factory.mktemp("full") / "countries.db"
    async with migrated_sqlite(path) as database:
        async with database.connect() as connection:
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            rows = [make_country(f"{number:02}", name="x" * 200) for number in range(100)]
            with pytest.raises(DatabaseUnavailable) as exc_info:
                await database.retrying(connection, lambda connection: countries.upsert(connection, rows))
        assert str(exc_info.value) == f"The database at {database} failed: database or disk is full."
        assert exc_info.value.public_message == NOT_DONE
        assert await count_rows(database) == 0


async def test_refused_connection(server: DatabaseServer, proxy: TCPProxy) -> None:
    """A database that cannot be reached has changed nothing, and clients are told so."""
    proxy.refuse()
    async with open_database(server.url(server.create_database(), port=proxy.port)) as database:
        assert await get_public_message(database) == NOT_DONE


@pytest.mark.slow
async def test_lost_response(server: DatabaseServer, proxy: TCPProxy) -> None:
    """If the response to a statement is lost, clients are told that it may have been done, also after retries."""
    url = server.url(server.create_database(), port=proxy.port)
    async with open_database(url, timeout=2, pool_size=1, max_overflow=0) as database:
        await migrate(database)
        async with database.connect() as connection:
            await store(connection)
            proxy.cut_after(from_server=1)
            with pytest.raises(DatabaseUnavailable) as exc_info:
                await database.retrying(connection, store)
        proxy.cut_after()
        assert exc_info.value.public_message == UNCONFIRMED
        assert await count_rows(database) == len(ROWS)


async def test_rejected_retry(server: DatabaseServer, proxy: TCPProxy) -> None:
    """A retry that is rejected does not hide that the first attempt may have been done."""
    attempts = []

    async def operation(connection: DatabaseConnection) -> None:
        attempts.append(connection)
        if len(attempts) == 1:
            await store(connection)
        else:
            await connection.exec_driver_sql("SELECT 1 FROM nowhere")

    async with open_database(server.url(server.create_database(), port=proxy.port)) as database:
        await migrate(database)
        async with database.connect() as connection:
            await store(connection)
            proxy.cut_after(from_server=1, once=True)
            with pytest.raises(DatabaseUnavailable) as exc_info:
                await database.retrying(connection, operation)
    assert (len(attempts), exc_info.value.public_message) == (2, UNCONFIRMED)
