"""The PostgreSQL of tests: it is what a test asks for, it can be read along, and broken at will."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asyncpg import InvalidPasswordError

from tests.support.db_servers.driver_clients import postgresql_client
from tests.support.db_servers.postgresql import PostgreSQL

ServerFactory = Callable[..., PostgreSQL]


async def test_answers_at_its_url(postgresql: PostgreSQL) -> None:
    """The URL, with all that had to be encoded, leads to the database as its owner."""
    name = postgresql.create_database()
    url = postgresql.url(name)
    assert url == (
        f"postgresql://tester:p%40ss%3A%2F%3F%23%25%20%2B%26%3D@127.0.0.1:{postgresql.port}/{name}"
    )
    async with postgresql_client(url) as execute:
        assert await execute("SELECT current_database(), current_user") == [(name, "tester")]


async def test_asks_for_the_password(postgresql: PostgreSQL) -> None:
    """Whoever does not know the password is refused."""
    url = postgresql.url("postgres").replace("p%40ss", "pass")
    with pytest.raises(InvalidPasswordError, match='authentication failed for user "tester"'):
        async with postgresql_client(url):
            pass


async def test_databases_are_new_and_apart(postgresql: PostgreSQL) -> None:
    """Each database has a name of its own, and what is made in one is not in another."""
    first, second = postgresql.create_database(), postgresql.create_database()
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    async with postgresql_client(postgresql.url(first)) as execute:
        await execute("CREATE TABLE t (a INT)")
        assert await execute(tables) == [("t",)]
    async with postgresql_client(postgresql.url(second)) as execute:
        assert await execute(tables) == []


def test_master_asks_and_is_told(postgresql: PostgreSQL) -> None:
    """SQL of the superuser is run in any database, its rows are returned, or its error."""
    name = postgresql.create_database()
    query = "SELECT current_database(), 1 UNION ALL SELECT '日本', 2"
    assert postgresql.execute(query, name) == f"{name}\t1\n日本\t2"
    with pytest.raises(RuntimeError, match="syntax error"):
        postgresql.execute("SELEKT")


async def test_queries_are_read_along(postgresql: PostgreSQL) -> None:
    """Each statement is there as it was sent, in order, by database; the superuser's are not."""
    name, other = postgresql.create_database(), postgresql.create_database()
    tricky_sql = "SELECT '😀\ntester test_1 LOG:  statement: SELECT 1\n', '\\\t--',\n\t1;  "
    before = len(postgresql.queries())
    async with (
        postgresql_client(postgresql.url(name)) as execute,
        postgresql_client(postgresql.url(other)) as execute_other,
    ):
        await execute(tricky_sql)
        await execute_other("SELECT 'too'")
        await execute("SELECT 2")
        postgresql.execute("SELECT 'master'", name)
    assert postgresql.queries(name) == [tricky_sql, "SELECT 2"]
    assert postgresql.queries(other) == ["SELECT 'too'"]
    assert postgresql.queries()[before:] == [tricky_sql, "SELECT 'too'", "SELECT 2"]


async def test_queries_are_whole_while_others_are_sent(postgresql: PostgreSQL) -> None:
    """Long statements of several connections at once are each there once, and whole."""
    name = postgresql.create_database()
    long_text = "x\n" * 50_000
    statements = [f"SELECT {number}, '{long_text}'" for number in range(20)]

    async def send_all(batch: list[str]) -> None:
        async with postgresql_client(postgresql.url(name)) as execute:
            for sql in batch:
                await execute(sql)
                assert sql in postgresql.queries(name)

    await asyncio.gather(*(send_all(statements[start::4]) for start in range(4)))
    assert sorted(postgresql.queries(name)) == sorted(statements)


async def test_takes_arguments(new_postgresql: ServerFactory) -> None:
    """What is given to the program holds."""
    with new_postgresql("--max_connections=7", "--timezone=Asia/Kathmandu") as server:
        query = "SELECT current_setting('max_connections'), current_setting('timezone')"
        async with postgresql_client(server.url(server.create_database())) as execute:
            assert await execute(query) == [("7", "Asia/Kathmandu")]


def test_says_why_it_does_not_start(new_postgresql: ServerFactory) -> None:
    """An argument that the program does not know is in the error, and nothing is left."""
    server = new_postgresql("--no_such=thing")
    with (
        pytest.raises(RuntimeError, match=r'(?s)ended with 1: .*configuration parameter "no_such"'),
        server,
    ):
        pass
    assert not server._folder.exists()


async def test_outlives_kills_and_stops(new_postgresql: ServerFactory) -> None:
    """After each end it is gone; started again, on the same port, all is as it was written."""
    with new_postgresql() as server:
        name = server.create_database()
        async with postgresql_client(server.url(name)) as execute:
            await execute("CREATE TABLE t (a INT)")
            await execute("INSERT INTO t VALUES (1)")
            for shut_down in (server.kill, server.stop):
                shut_down()
                shut_down()
                with pytest.raises(ConnectionRefusedError):
                    async with postgresql_client(server.url(name)):
                        pass
                server.start()
                async with postgresql_client(server.url(name)) as execute_again:
                    assert await execute_again("SELECT a FROM t") == [(1,)]
        assert server.queries(name) == [
            "CREATE TABLE t (a INT)",
            "INSERT INTO t VALUES (1)",
            "SELECT a FROM t",
            "SELECT a FROM t",
        ]


async def test_hangs_while_paused(new_postgresql: ServerFactory) -> None:
    """A paused server answers nobody, old or new, and goes on with both when it is resumed."""
    with new_postgresql() as server:
        url = server.url(server.create_database())

        async def connect_and_query() -> list[tuple[Any, ...]]:
            async with postgresql_client(url) as execute:
                return await execute("SELECT 2")

        async with postgresql_client(url) as execute:
            server.pause()
            tasks = [
                asyncio.ensure_future(execute("SELECT 1")),
                asyncio.ensure_future(connect_and_query()),
            ]
            assert (await asyncio.wait(tasks, timeout=0.1))[0] == set()
            server.resume()
            assert await asyncio.gather(*tasks) == [[(1,)], [(2,)]]
        server.pause()


def test_leaves_nothing(new_postgresql: ServerFactory) -> None:
    """After the context no process and no file is left, however the server ended."""
    with new_postgresql() as server:
        folder, process = server._folder, server._process
    assert process is not None
    assert process.returncode == 0
    assert not folder.exists()


def test_makes_its_own_data_without_a_template() -> None:
    """Outside a session of tests it needs nothing but the program."""
    if PostgreSQL.find_program() is None:
        pytest.skip(PostgreSQL.install_hint)
    with PostgreSQL() as server:
        assert server.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'tester'") == "f"


def test_is_found_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program is found in PATH first, then where Debian puts it: the newest."""
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
