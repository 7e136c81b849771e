"""The MariaDB of tests: it is what a test asks for, it can be read along, and broken at will."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asyncmy.errors import OperationalError

from tests.support.db_servers.driver_clients import mariadb_client
from tests.support.db_servers.mariadb import MariaDB

ServerFactory = Callable[..., MariaDB]


async def test_answers_at_its_url(mariadb: MariaDB) -> None:
    """The URL, with all that had to be encoded, leads to the database as its user."""
    name = mariadb.create_database()
    url = mariadb.url(name)
    assert url == (
        f"mysql://tester:p%40ss%3A%2F%3F%23%25%20%2B%26%3D@127.0.0.1:{mariadb.port}/{name}"
    )
    async with mariadb_client(url) as execute:
        assert await execute("SELECT DATABASE(), CURRENT_USER()") == [(name, "tester@%")]


async def test_asks_for_the_password(mariadb: MariaDB) -> None:
    """Whoever does not know the password is refused."""
    url = mariadb.url("").replace("p%40ss", "pass")
    with pytest.raises(OperationalError, match="Access denied for user 'tester'"):
        async with mariadb_client(url):
            pass


async def test_databases_are_new_and_apart(mariadb: MariaDB) -> None:
    """Each database has a name of its own, and what is made in one is not in another."""
    first, second = mariadb.create_database(), mariadb.create_database()
    async with mariadb_client(mariadb.url(first)) as execute:
        await execute("CREATE TABLE t (a INT)")
        assert await execute("SHOW TABLES") == [("t",)]
    async with mariadb_client(mariadb.url(second)) as execute:
        assert await execute("SHOW TABLES") == []


def test_root_asks_and_is_told(mariadb: MariaDB) -> None:
    """SQL of the server's master is run in any database, its rows are returned, or its error."""
    name = mariadb.create_database()
    assert mariadb.execute("SELECT DATABASE(), 1 UNION SELECT '日本', 2", name) == (
        f"{name}\t1\n日本\t2"
    )
    with pytest.raises(RuntimeError, match="You have an error in your SQL syntax"):
        mariadb.execute("SELEKT")


async def test_queries_are_read_along(mariadb: MariaDB) -> None:
    """Each statement is there as it was sent, in order, by database; those of root are not."""
    name, other = mariadb.create_database(), mariadb.create_database()
    tricky_sql = "SELECT '😀\n\t\t   7 Quit\n', '\\\\\t--',\n1"
    before = len(mariadb.queries())
    async with (
        mariadb_client(mariadb.url(name)) as execute,
        mariadb_client(mariadb.url(other)) as execute_other,
    ):
        await execute(tricky_sql)
        await execute_other("SELECT 'too'")
        await execute("SELECT 2")
        mariadb.execute("SELECT 'root'", name)
        await execute(f"USE {other}")
        await execute("SELECT 'moved'")
    assert mariadb.queries(name) == [tricky_sql, "SELECT 2", f"USE {other}"]
    assert mariadb.queries(other) == ["SELECT 'too'", "SELECT 'moved'"]
    assert mariadb.queries()[before:] == [
        tricky_sql,
        "SELECT 'too'",
        "SELECT 2",
        f"USE {other}",
        "SELECT 'moved'",
    ]


async def test_queries_are_whole_while_others_are_sent(mariadb: MariaDB) -> None:
    """Long statements of several connections at once are each there once, and whole."""
    name = mariadb.create_database()
    long_text = "x\n" * 50_000
    statements = [f"SELECT {number}, '{long_text}'" for number in range(20)]

    async def send_all(batch: list[str]) -> None:
        async with mariadb_client(mariadb.url(name)) as execute:
            for sql in batch:
                await execute(sql)
                assert sql in mariadb.queries(name)

    await asyncio.gather(*(send_all(statements[start::4]) for start in range(4)))
    assert sorted(mariadb.queries(name)) == sorted(statements)


async def test_takes_arguments(new_mariadb: ServerFactory) -> None:
    """What is given to the program holds, and the rest is as the server makes it."""
    arguments = ["--sql-mode=NO_BACKSLASH_ESCAPES", "--max-allowed-packet=1M"]
    with new_mariadb(*arguments, "--character-set-server=utf8mb4") as server:
        async with mariadb_client(server.url(server.create_database())) as execute:
            assert await execute(
                "SELECT @@sql_mode, @@max_allowed_packet, @@character_set_database, '\\'"
            ) == [("NO_BACKSLASH_ESCAPES", 1_048_576, "utf8mb4", "\\")]


def test_says_why_it_does_not_start(new_mariadb: ServerFactory) -> None:
    """An argument that the program does not know is in the error, and nothing is left."""
    server = new_mariadb("--no-such-thing")
    with (
        pytest.raises(RuntimeError, match=r"(?s)ended with 2: .*unknown option '--no-such"),
        server,
    ):
        pass
    assert not server._folder.exists()


async def test_outlives_kills_and_stops(new_mariadb: ServerFactory) -> None:
    """After each end it is gone; started again, on the same port, all is as it was written."""
    with new_mariadb() as server:
        name = server.create_database()
        async with mariadb_client(server.url(name)) as execute:
            await execute("CREATE TABLE t (a INT)")
            await execute("INSERT INTO t VALUES (1)")
        for shut_down in (server.kill, server.stop):
            shut_down()
            shut_down()
            with pytest.raises(OperationalError, match="Can't connect"):
                async with mariadb_client(server.url(name)):
                    pass
            server.start()
            async with mariadb_client(server.url(name)) as execute:
                assert await execute("SELECT a FROM t") == [(1,)]
        assert server.queries(name) == [
            "CREATE TABLE t (a INT)",
            "INSERT INTO t VALUES (1)",
            "SELECT a FROM t",
            "SELECT a FROM t",
        ]


async def test_hangs_while_paused(new_mariadb: ServerFactory) -> None:
    """A paused server answers nobody, old or new, and goes on with both when it is resumed."""
    with new_mariadb() as server:
        url = server.url(server.create_database())

        async def connect_and_query() -> list[tuple[Any, ...]]:
            async with mariadb_client(url) as execute:
                return await execute("SELECT 2")

        async with mariadb_client(url) as execute:
            server.pause()
            tasks = [
                asyncio.ensure_future(execute("SELECT 1")),
                asyncio.ensure_future(connect_and_query()),
            ]
            assert (await asyncio.wait(tasks, timeout=0.1))[0] == set()
            server.resume()
            assert await asyncio.gather(*tasks) == [[(1,)], [(2,)]]
        server.pause()


def test_leaves_nothing(new_mariadb: ServerFactory) -> None:
    """After the context no process and no file is left, however the server ended."""
    with new_mariadb() as server:
        folder, process = server._folder, server._process
        assert process is not None
    assert process.returncode == 0
    assert not folder.exists()


def test_makes_its_own_data_without_a_template() -> None:
    """Outside a session of tests it needs nothing but the program."""
    if MariaDB.find_program() is None:
        pytest.skip(MariaDB.install_hint)
    with MariaDB() as server:
        assert server.execute("SELECT COUNT(*) FROM mysql.user WHERE user = 'tester'") == "1"


def test_is_found_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program is found in PATH first."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "mariadbd").touch(0o755)
    assert MariaDB.find_program() == tmp_path / "mariadbd"


def test_is_killed_when_it_does_not_end(
    new_mariadb: ServerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not heed the signal to end is killed after a while."""
    with new_mariadb() as server:
        process = server._process
        assert process is not None
        monkeypatch.setattr(server, "stop_signal", signal.SIGCONT)
        monkeypatch.setattr("tests.support.db_servers.process.WAIT_TIMEOUT", 0.5)
        server.stop()
    assert process.returncode == -signal.SIGKILL
