"""MySQL and MariaDB: one INSERT on the wire, packet sizes, and session settings."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from sqlalchemy import func, select
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.dialects.mysql.pymysql import dialect as mysql_dialect

from graphql_api.domain.country import Country
from graphql_api.errors import DatabaseUnavailable
from graphql_api.refresh import lease_session
from graphql_api.storage import countries, lease, refreshes
from graphql_api.storage.database import Database
from graphql_api.storage.dialects.mysql import MySQL as MySQLDialect
from graphql_api.storage.migrations import migrate
from graphql_api.storage.tables import countries as table
from tests.support.attempts import REPORT
from tests.support.database import insert_country, open_database
from tests.support.db_servers.mysql import MySQL
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.factories import make_country
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import make_source_config, running_instance
from tests.support.stored_rows import HOSTILE_TEXTS, assert_round_trip, few_round_trips, stored_rows

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
CODES = [f"{first}{second}" for first in ALPHABET for second in ALPHABET]
COLUMNS = ("code", "name", "capital", "revision")


@pytest.fixture
def database_url(mysql_family: MySQLFamilyServer) -> str:
    """Return the URL of an unused database."""
    return mysql_family.url(mysql_family.create_database())


def make_rows(number: int, *, text: str = "Z", revision: int = 1) -> list[Country]:
    """Return `count` rows, each with a text of that size, in order of code."""
    return [make_country(code, name=text, revision=revision) for code in sorted(CODES)[:number]]


async def load_rows(database: Database) -> list[Country]:
    """Return the rows, in order of code."""
    return sorted(await database.run(countries.load), key=lambda row: row.code)


async def test_one_insert_on_the_wire(mysql_family: MySQLFamilyServer, database: Database) -> None:
    """The server's log has one INSERT for 250 rows, without a transaction."""
    rows = make_rows(250)
    async with database.connect() as connection:
        count_before = len(mysql_family.queries(database.engine.url.database))
        assert await countries.upsert(connection, rows) == 1
        assert await countries.upsert(connection, rows) == 1
    executed = mysql_family.queries(database.engine.url.database)[count_before:]
    assert [statement.split("(")[0] for statement in executed] == ["INSERT INTO countries "] * 2
    assert [statement.count("https://flags.example/") for statement in executed] == [250, 250]
    assert await load_rows(database) == rows


def compile_upsert(version: tuple[int, ...], *, is_mariadb: bool) -> str:
    """Return the upsert for a server of that version."""
    dialect: MySQLDialect_pymysql = mysql_dialect()
    dialect.server_version_info = version
    dialect._set_mariadb(is_mariadb, version)
    dialect._requires_alias_for_on_duplicate_key = not is_mariadb and version >= (8, 0, 20)
    statement = MySQLDialect().upsert(table, COLUMNS, key="code", fence="revision")
    return " ".join(str(statement.compile(dialect=dialect, column_keys=list(COLUMNS))).split())


def test_text_for_mysql_8() -> None:
    """MySQL 8 gets a row alias, and null for a revision that is too low."""
    assert compile_upsert((8, 4, 0), is_mariadb=False) == (
        "INSERT INTO countries (code, name, capital, revision) "
        "VALUES (%s, %s, %s, %s) AS new ON DUPLICATE KEY UPDATE "
        "name = new.name, capital = new.capital, "
        "revision = IF(new.revision >= countries.revision, new.revision, NULL)"
    )


def test_text_for_mariadb() -> None:
    """MariaDB and older MySQL get VALUES()."""
    expected = (
        "INSERT INTO countries (code, name, capital, revision) "
        "VALUES (%s, %s, %s, %s) ON DUPLICATE KEY UPDATE "
        "name = VALUES(name), capital = VALUES(capital), "
        "revision = IF(VALUES(revision) >= countries.revision, VALUES(revision), NULL)"
    )
    assert compile_upsert((10, 11, 6), is_mariadb=True) == expected
    assert compile_upsert((5, 7, 44), is_mariadb=False) == expected


HOSTILE_SERVER = (
    "--sql-mode=NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT",
    "--character-set-server=latin1",
    "--loose-skip-character-set-client-handshake",  # MariaDB's
    "--collation-server=latin1_swedish_ci",
    "--default-storage-engine=MyISAM",
    "--default-time-zone=+05:30",
)


@pytest.fixture(scope="module")
def hostile_server(new_mysql_family: Callable[..., MySQLFamilyServer]) -> Iterator[MySQLFamilyServer]:
    """Lend a server with unusual defaults for text, quotes, tables and times."""
    with new_mysql_family(*HOSTILE_SERVER) as server:
        yield server


@pytest.fixture
async def hostile_database(hostile_server: MySQLFamilyServer) -> AsyncIterator[Database]:
    """Lend a migrated database of the hostile server."""
    async with open_database(hostile_server.url(hostile_server.create_database())) as database:
        await migrate(database)
        yield database


async def test_hostile_text_on_a_hostile_server(hostile_database: Database) -> None:
    """On any server defaults, hostile text is loaded unchanged and injects nothing."""
    expected_rows = [make_country(code, name=text) for code, text in zip(CODES, HOSTILE_TEXTS, strict=False)]
    async with hostile_database.connect() as connection:
        await countries.upsert(connection, expected_rows)
    assert await load_rows(hostile_database) == sorted(expected_rows, key=lambda row: row.code)


@few_round_trips
@given(row=stored_rows)
async def test_round_trip_on_a_hostile_server(row: Country, hostile_database: Database) -> None:
    """Any row is loaded unchanged from that server too."""
    await assert_round_trip(hostile_database, row)


async def test_tables_on_a_hostile_server(hostile_server: MySQLFamilyServer, hostile_database: Database) -> None:
    """The tables are transactional and hold any text, on any server defaults."""
    output = hostile_server.execute(
        "SELECT table_name, engine, table_collation FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name <> 'alembic_version' ORDER BY 1",
        str(hostile_database.engine.url.database),
    )
    assert output.split("\n") == [
        f"{name}\tInnoDB\tutf8mb4_bin" for name in ("answers", "countries", "leases", "refreshes")
    ]


async def test_interrupted_migration(mysql_family: MySQLFamilyServer, database_url: str) -> None:
    """An interrupted migration continues, as MySQL commits each table by itself."""
    async with open_database(database_url) as database:
        await migrate(database)
        name = str(database.engine.url.database)
        mysql_family.execute(
            "DROP TABLE refreshes; DROP TABLE leases; DROP TABLE answers; DELETE FROM alembic_version", name
        )
        await database.run(lambda connection: countries.upsert(connection, make_rows(3, revision=7)))
        assert await migrate(database) is True
        assert await load_rows(database) == make_rows(3, revision=7)
        assert mysql_family.execute("SELECT name, revision FROM leases", name) == "refresh\t7"


@pytest.fixture(scope="module")
def small_packet_server(new_mysql_family: Callable[..., MySQLFamilyServer]) -> Iterator[MySQLFamilyServer]:
    """Lend a server with packets of at most 64 kB."""
    with new_mysql_family("--max-allowed-packet=64K") as server:
        yield server


async def test_many_rows(small_packet_server: MySQLFamilyServer) -> None:
    """More rows than fit a packet are sent in batches below the limit, in one transaction."""
    async with open_database(small_packet_server.url(small_packet_server.create_database())) as database:
        await migrate(database)
        expected_rows = make_rows(1000, text="'" * 200)
        async with database.connect() as connection:
            count_before = len(small_packet_server.queries(database.engine.url.database))
            statement_count = await countries.upsert(connection, expected_rows)
        executed = small_packet_server.queries(database.engine.url.database)[count_before:]
        assert [text.split(" ")[0].split("(")[0] for text in executed] == [
            "START",
            *["INSERT"] * statement_count,
            "COMMIT",
        ]
        assert statement_count == 20
        assert max(len(text.encode()) for text in executed) < 64 * 1024
        assert await load_rows(database) == expected_rows


async def test_drivers_own_limit(mysql_family: MySQLFamilyServer, database: Database) -> None:
    """With ten thousand bytes per row, no statement is so long that the driver splits it."""
    expected_rows = make_rows(1296, text="\N{EARTH GLOBE EUROPE-AFRICA}" * 200)
    async with database.connect() as connection:
        count_before = len(mysql_family.queries(database.engine.url.database))
        statement_count = await countries.upsert(connection, expected_rows)
    executed = mysql_family.queries(database.engine.url.database)[count_before:]
    assert len(executed) == statement_count + 2
    assert statement_count == 4
    assert await load_rows(database) == expected_rows


async def test_failure_in_the_last_batch(mysql_family: MySQLFamilyServer, database: Database) -> None:
    """If the last of many batches fails none is written, and the connection is not used again."""
    name = str(database.engine.url.database)
    old_rows = make_rows(10)
    await database.run(lambda connection: countries.upsert(connection, old_rows))
    new_rows = make_rows(1296, text="\N{EARTH GLOBE EUROPE-AFRICA}" * 200, revision=2)
    mysql_family.execute(
        "DELIMITER //\nCREATE TRIGGER refuse BEFORE INSERT ON countries FOR EACH ROW "
        f"IF NEW.code = '{new_rows[-1].code}' THEN SIGNAL SQLSTATE '45000' "
        "SET MESSAGE_TEXT = 'not this one'; END IF//",
        name,
    )
    async with database.connect() as connection:
        old_id = await connection.scalar(select(func.connection_id()))
    with pytest.raises(DatabaseUnavailable) as exc_info:
        await database.run(lambda connection: countries.upsert(connection, new_rows))
    assert str(exc_info.value) == f"The database at {database} failed: not this one (1644)."
    assert await load_rows(database) == old_rows
    async with database.connect() as connection:
        new_id = await connection.scalar(select(func.connection_id()))
    assert new_id != old_id


async def test_nothing_is_cut_short(database: Database) -> None:
    """A strict session rejects a value that does not fit instead of truncating it."""
    with pytest.raises(DatabaseUnavailable) as exc_info:
        async with database.connect() as connection:
            await insert_country(connection, replace(make_country("FR"), name="n" * 201))
    assert str(exc_info.value) == (
        f"The database at {database} failed: Data too long for column 'name' at row 1 (1406)."
    )


async def test_round_trips_of_a_connection(mysql_family: MySQLFamilyServer, database: Database) -> None:
    """A further connection costs three statements: session, packet size and character set."""
    async with database.connect(), database.connect():
        count_before = len(mysql_family.queries(database.engine.url.database))
        async with database.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
    executed = mysql_family.queries(database.engine.url.database)[count_before:]
    assert [text.split(" ")[0] for text in executed] == ["SET", "SELECT", "SET", "SELECT"]


async def test_nothing_returned(mysql_family: MySQLFamilyServer, database: Database) -> None:
    """No statement uses RETURNING, which MariaDB has and MySQL lacks."""
    name = str(database.engine.url.database)
    count_before = len(mysql_family.queries(name))
    async with database.connect() as connection:
        await lease.acquire(connection, holder="me", refresh_id="report", ttl=60)
        await refreshes.append(connection, REPORT)
        await lease.release(connection, refresh_id="report")
    executed = mysql_family.queries(name)[count_before:]
    assert [text.split("(")[0] for text in executed if text.startswith("INSERT")] == ["INSERT INTO refreshes "]
    assert [text for text in executed if "RETURNING" in text.upper()] == []


async def test_quiet(mysql_family: MySQLFamilyServer, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """Neither start nor pool nor refresh cause a warning of the server, which the driver would log."""
    caplog.set_level(logging.WARNING)
    async with running_instance(mysql_family.url(mysql_family.create_database()), make_source_config(upstream)) as one:
        await one.database.warm_pool(lease_session.WARM_CONNECTIONS, lease_session.prepare_statements)
        await one.service.refresh()
    assert caplog.messages == []


@pytest.fixture(scope="module")
def managed_mysql(new_mysql: Callable[..., MySQL]) -> Iterator[MySQL]:
    """Lend a MySQL with the defaults of managed services, and binary logs."""
    with new_mysql(
        "--sql-require-primary-key=ON", "--log-bin", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"
    ) as server:
        yield server


@pytest.mark.slow
async def test_primary_keys_required(managed_mysql: MySQL, upstream: Upstream) -> None:
    """The tables are created where each must have a primary key, as on Aiven and DigitalOcean."""
    async with running_instance(
        managed_mysql.url(managed_mysql.create_database()), make_source_config(upstream)
    ) as one:
        assert (await one.service.refresh()).inserted == 250


@pytest.mark.slow
async def test_primary_that_becomes_a_replica(managed_mysql: MySQL) -> None:
    """A write to a server that became read-only changes nothing, and its connection is dropped."""
    async with open_database(managed_mysql.url(managed_mysql.create_database()), timeout=1) as database:
        await migrate(database)
        async with database.connect() as connection:
            old_id = await connection.scalar(select(func.connection_id()))
        managed_mysql.execute("SET GLOBAL super_read_only = ON")
        try:
            with pytest.raises(DatabaseUnavailable) as exc_info:
                await database.run(lambda connection: countries.upsert(connection, make_rows(3)))
        finally:
            managed_mysql.execute("SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF")
        assert (str(exc_info.value), exc_info.value.permanent) == (
            (
                f"The database at {database} failed: The MySQL server is running with the --super-read-only option so "
                "it cannot execute this statement (1290)."
            ),
            False,
        )
        assert await load_rows(database) == []
        async with database.connect() as connection:
            assert await connection.scalar(select(func.connection_id())) != old_id
        await database.run(lambda connection: countries.upsert(connection, make_rows(3)))
        assert await load_rows(database) == make_rows(3)
