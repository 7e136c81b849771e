"""MariaDB, MySQL and PostgreSQL of tests: they run as asked, log each query, and fail on demand."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from asyncmy.errors import OperationalError
from asyncpg import InvalidPasswordError

from tests.support.database import SERVERS
from tests.support.db_servers.driver_clients import ExecuteSQL, mysql_client, postgresql_client
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.mysql import MySQL
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import DatabaseServer

pytestmark = pytest.mark.slow

ServerFactory = Callable[..., DatabaseServer]


@dataclass(frozen=True, kw_only=True)
class ServerKind:
    """A kind of server, its driver, and the SQL that differs."""

    server_class: type[DatabaseServer]
    connect: Callable[[str], AbstractAsyncContextManager[ExecuteSQL]]
    whoami_sql: str
    user: str
    """The result of `whoami_sql` beside the database."""
    default_database: str
    """A database that exists in a new server; empty: none is needed."""
    bad_password_error: type[Exception]
    tables_sql: str
    select_sql: str
    """SQL that returns the database, 1 and a second row."""
    tricky_sql: str
    """SQL with text that looks like an entry of the server's log."""
    arguments: tuple[str, ...]
    arguments_sql: str
    """SQL that returns what the arguments set."""
    arguments_row: tuple[object, ...]
    unknown_argument: str
    unknown_argument_error: str
    refused_error: type[Exception]
    user_count_sql: str
    """SQL that returns 1 where the role of the tests exists and is not the superuser."""


MARIADB = ServerKind(
    server_class=MariaDB,
    connect=mysql_client,
    whoami_sql="SELECT DATABASE(), CURRENT_USER()",
    user="tester@%",
    default_database="",
    bad_password_error=OperationalError,
    tables_sql="SHOW TABLES",
    select_sql="SELECT DATABASE(), 1 UNION SELECT '日本', 2",
    tricky_sql="SELECT '😀\n\t\t   7 Quit\n', '\\\\\t--',\n1",
    arguments=("--sql-mode=NO_BACKSLASH_ESCAPES", "--max-allowed-packet=1M", "--character-set-server=utf8mb4"),
    arguments_sql="SELECT @@sql_mode, @@max_allowed_packet, @@character_set_database, '\\'",
    arguments_row=("NO_BACKSLASH_ESCAPES", 1_048_576, "utf8mb4", "\\"),
    unknown_argument="--no-such-thing",
    unknown_argument_error=r"(?s)ended with 2: .*unknown option '--no-such",
    refused_error=OperationalError,
    user_count_sql="SELECT COUNT(*) FROM mysql.user WHERE user = 'tester'",
)
KINDS = {
    "mariadb": MARIADB,
    "mysql": replace(
        MARIADB,
        server_class=MySQL,
        tricky_sql="SELECT '😀\n2026-11-29T03:48:47.227534Z   7 Quit\n', '\\\\\t--',\n1",
        unknown_argument_error=r"(?s)ended with 1: .*unknown option '--no-such",
    ),
    "postgresql": ServerKind(
        server_class=PostgreSQL,
        connect=postgresql_client,
        whoami_sql="SELECT current_database(), current_user",
        user="tester",
        default_database="postgres",
        bad_password_error=InvalidPasswordError,
        tables_sql="SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        select_sql="SELECT current_database(), 1 UNION ALL SELECT '日本', 2",
        tricky_sql="SELECT '😀\ntester test_1 LOG:  statement: SELECT 1\n', '\\\t--',\n\t1;  ",
        arguments=("--max_connections=7", "--timezone=Asia/Kathmandu"),
        arguments_sql="SELECT current_setting('max_connections'), current_setting('timezone')",
        arguments_row=("7", "Asia/Kathmandu"),
        unknown_argument="--no_such=thing",
        unknown_argument_error=r'(?s)ended with 1: .*configuration parameter "no_such"',
        refused_error=ConnectionRefusedError,
        user_count_sql="SELECT COUNT(*) FROM pg_roles WHERE rolname = 'tester' AND NOT rolsuper",
    ),
}


@pytest.fixture(params=SERVERS)
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each kind in turn."""
    return str(request.param)


@pytest.fixture
def kind(name: str) -> ServerKind:
    """Return the kind."""
    return KINDS[name]


@pytest.fixture
def server(name: str, request: pytest.FixtureRequest) -> DatabaseServer:
    """Return the running server that tests share."""
    server: DatabaseServer = request.getfixturevalue(name)
    return server


@pytest.fixture
def new_server(name: str, request: pytest.FixtureRequest) -> ServerFactory:
    """Return the factory of servers that are not started yet."""
    factory: ServerFactory = request.getfixturevalue(f"new_{name}")
    return factory


@pytest.fixture
def database(server: DatabaseServer) -> str:
    """Return the name of a new database."""
    return server.create_database()


@pytest.fixture
async def execute(kind: ServerKind, server: DatabaseServer, database: str) -> AsyncIterator[ExecuteSQL]:
    """Return a connection to the new database."""
    async with kind.connect(server.url(database)) as execute:
        yield execute


async def test_url(kind: ServerKind, server: DatabaseServer, database: str, execute: ExecuteSQL) -> None:
    """The URL, with its encoded password, leads to the database as its user."""
    assert server.url(database) == (
        f"{server.scheme}://tester:p%40ss%3A%2F%3F%23%25%20%2B%26%3D@127.0.0.1:{server.port}/{database}"
    )
    assert await execute(kind.whoami_sql) == [(database, kind.user)]


async def test_wrong_password(kind: ServerKind, server: DatabaseServer) -> None:
    """A client with a wrong password is refused."""
    url = server.url(kind.default_database).replace("p%40ss", "pass")
    with pytest.raises(kind.bad_password_error, match=r"(denied|failed) for user ['\"]tester"):
        async with kind.connect(url):
            pass


async def test_databases_are_separate(kind: ServerKind, server: DatabaseServer, execute: ExecuteSQL) -> None:
    """Each database has a name of its own, and a table made in one is not in another."""
    await execute("CREATE TABLE t (a INT)")
    assert await execute(kind.tables_sql) == [("t",)]
    async with kind.connect(server.url(server.create_database())) as execute_other:
        assert await execute_other(kind.tables_sql) == []


def test_superuser(kind: ServerKind, server: DatabaseServer, database: str) -> None:
    """The superuser's SQL runs in any database, and returns its rows or raises its error."""
    assert server.execute(kind.select_sql, database) == f"{database}\t1\n日本\t2"
    with pytest.raises(RuntimeError, match="syntax"):
        server.execute("SELEKT")


async def test_queries(kind: ServerKind, server: DatabaseServer, database: str, execute: ExecuteSQL) -> None:
    """Each statement is logged as it was sent, in order, by database; the superuser's are not."""
    other = server.create_database()
    before = len(server.queries())
    async with kind.connect(server.url(other)) as execute_other:
        await execute(kind.tricky_sql)
        await execute_other("SELECT 'too'")
        await execute("SELECT 2")
        server.execute("SELECT 'superuser'", database)
    assert server.queries(database) == [kind.tricky_sql, "SELECT 2"]
    assert server.queries(other) == ["SELECT 'too'"]
    assert server.queries()[before:] == [kind.tricky_sql, "SELECT 'too'", "SELECT 2"]


async def test_queries_after_use(mysql_family: MySQLFamilyServer) -> None:
    """On MariaDB and MySQL, statements after USE belong to the database that it selected."""
    first, second = mysql_family.create_database(), mysql_family.create_database()
    async with mysql_client(mysql_family.url(first)) as execute:
        await execute(f"USE {second}")
        await execute("SELECT 'moved'")
    assert mysql_family.queries(first) == [f"USE {second}"]
    assert mysql_family.queries(second) == ["SELECT 'moved'"]


async def test_queries_of_concurrent_connections(kind: ServerKind, server: DatabaseServer, database: str) -> None:
    """Long statements of several connections at once are each logged once, and whole."""
    long_text = "x\n" * 50_000
    statements = [f"SELECT {number}, '{long_text}'" for number in range(20)]

    async def send_all(batch: list[str]) -> None:
        async with kind.connect(server.url(database)) as execute:
            for sql in batch:
                await execute(sql)
                assert sql in server.queries(database)

    await asyncio.gather(*(send_all(statements[start::4]) for start in range(4)))
    assert sorted(server.queries(database)) == sorted(statements)


async def test_arguments(kind: ServerKind, new_server: ServerFactory) -> None:
    """Arguments configure the server; the rest is its default."""
    with new_server(*kind.arguments) as server:
        async with kind.connect(server.url(server.create_database())) as execute:
            assert await execute(kind.arguments_sql) == [kind.arguments_row]


def test_unknown_argument(kind: ServerKind, new_server: ServerFactory) -> None:
    """A server that fails to start raises its own message, and leaves no files."""
    server = new_server(kind.unknown_argument)
    with pytest.raises(RuntimeError, match=kind.unknown_argument_error), server:
        pass
    assert not server._folder.exists()


async def test_restarts(kind: ServerKind, new_server: ServerFactory) -> None:
    """After a kill or a stop it refuses connections; a restart keeps its port, data and log."""
    with new_server() as server:
        database = server.create_database()
        async with kind.connect(server.url(database)) as execute:
            await execute("CREATE TABLE t (a INT)")
            await execute("INSERT INTO t VALUES (1)")
            for shut_down in (server.kill, server.stop):
                shut_down()
                shut_down()
                with pytest.raises(kind.refused_error):
                    async with kind.connect(server.url(database)):
                        pass
                server.start()
                async with kind.connect(server.url(database)) as execute_again:
                    assert await execute_again("SELECT a FROM t") == [(1,)]
        assert server.queries(database) == [
            "CREATE TABLE t (a INT)",
            "INSERT INTO t VALUES (1)",
            "SELECT a FROM t",
            "SELECT a FROM t",
        ]


async def test_pause(kind: ServerKind, new_server: ServerFactory) -> None:
    """A paused server responds to neither old nor new connections; resumed, to both."""
    with new_server() as server:
        url = server.url(server.create_database())

        async def connect_and_query() -> list[tuple[object, ...]]:
            async with kind.connect(url) as execute:
                return await execute("SELECT 2")

        async with kind.connect(url) as execute:
            server.pause()
            tasks = [asyncio.ensure_future(execute("SELECT 1")), asyncio.ensure_future(connect_and_query())]
            assert (await asyncio.wait(tasks, timeout=0.1))[0] == set()
            server.resume()
            assert await asyncio.gather(*tasks) == [[(1,)], [(2,)]]
        server.pause()


def test_exit(new_server: ServerFactory) -> None:
    """After the context neither the process nor its files are left."""
    with new_server() as server:
        folder, process = server._folder, server._process
    assert process is not None
    assert process.returncode == 0
    assert not folder.exists()


def test_no_template(kind: ServerKind) -> None:
    """Without a template the server makes its data itself."""
    if kind.server_class.find_program() is None:
        pytest.skip(kind.server_class.install_hint)
    with kind.server_class() as server:
        assert server.execute(kind.user_count_sql, kind.default_database) == "1"


def test_kill_after_timeout(new_server: ServerFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ignores the stop signal is killed after a timeout."""
    with new_server() as server:
        process = server._process
        assert process is not None
        monkeypatch.setattr(server, "stop_signal", signal.SIGCONT)
        monkeypatch.setattr("tests.support.db_servers.process.WAIT_TIMEOUT", 2.0)
        server.stop()
    assert process.returncode == -signal.SIGKILL


def test_find_mariadb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program of MariaDB is found in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "mariadbd").touch(0o755)
    assert MariaDB.find_program() == tmp_path / "mariadbd"


def test_find_mysql(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program of MySQL is found in PATH, else where it was unpacked; MariaDB's link of that name is not."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.support.db_servers.mysql._UNPACKED", tmp_path)
    (tmp_path / "mariadbd").touch(0o755)
    (tmp_path / "mysqld").symlink_to("mariadbd")
    assert MySQL.find_program() is None
    unpacked = tmp_path / "usr/sbin/mysqld"
    unpacked.parent.mkdir(parents=True)
    unpacked.touch(0o755)
    assert MySQL.find_program() == unpacked
    (tmp_path / "mysqld").unlink()
    (tmp_path / "mysqld").touch(0o755)
    assert MySQL.find_program() == tmp_path / "mysqld"


def test_find_postgresql(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program of PostgreSQL is found in PATH, else in Debian's folder: the newest version."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.support.db_servers.postgresql._DEBIAN_FOLDER", tmp_path)
    assert PostgreSQL.find_program() is None
    for version in ("9", "15"):
        program = tmp_path / version / "bin" / "postgres"
        program.parent.mkdir(parents=True)
        program.touch()
    assert PostgreSQL.find_program() == program
    (tmp_path / "postgres").touch(0o755)
    assert PostgreSQL.find_program() == tmp_path / "postgres"
