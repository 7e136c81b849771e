"""The PostgreSQL of tests: it is what a test asks for, it can be read along, and broken at will."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asyncpg import InvalidPasswordError

from tests.servers.clients import asking_postgresql
from tests.servers.postgresql import PostgreSQL

New = Callable[..., PostgreSQL]


async def test_answers_at_its_url(postgresql: PostgreSQL) -> None:
    """The URL, with all that had to be encoded, leads to the database as its owner."""
    name = postgresql.create_database()
    url = postgresql.url(name)
    assert url == (
        f"postgresql://tester:p%40ss%3A%2F%3F%23%25%20%2B%26%3D@127.0.0.1:{postgresql.port}/{name}"
    )
    async with asking_postgresql(url) as ask:
        assert await ask("SELECT current_database(), current_user") == [(name, "tester")]


async def test_asks_for_the_password(postgresql: PostgreSQL) -> None:
    """Whoever does not know the password is refused."""
    url = postgresql.url("postgres").replace("p%40ss", "pass")
    with pytest.raises(InvalidPasswordError, match='authentication failed for user "tester"'):
        async with asking_postgresql(url):
            pass


async def test_databases_are_new_and_apart(postgresql: PostgreSQL) -> None:
    """Each database has a name of its own, and what is made in one is not in another."""
    first, second = postgresql.create_database(), postgresql.create_database()
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    async with asking_postgresql(postgresql.url(first)) as ask:
        await ask("CREATE TABLE t (a INT)")
        assert await ask(tables) == [("t",)]
    async with asking_postgresql(postgresql.url(second)) as ask:
        assert await ask(tables) == []


def test_master_asks_and_is_told(postgresql: PostgreSQL) -> None:
    """SQL of the superuser is run in any database, its rows are returned, or its error."""
    name = postgresql.create_database()
    asked = "SELECT current_database(), 1 UNION ALL SELECT '日本', 2"
    assert postgresql.execute(asked, name) == f"{name}\t1\n日本\t2"
    with pytest.raises(RuntimeError, match="syntax error"):
        postgresql.execute("SELEKT")


async def test_queries_are_read_along(postgresql: PostgreSQL) -> None:
    """Each statement is there as it was sent, in order, by database; the superuser's are not."""
    name, other = postgresql.create_database(), postgresql.create_database()
    hard = "SELECT '😀\ntester test_1 LOG:  statement: SELECT 1\n', '\\\t--',\n\t1;  "
    before = len(postgresql.queries())
    async with (
        asking_postgresql(postgresql.url(name)) as ask,
        asking_postgresql(postgresql.url(other)) as too,
    ):
        await ask(hard)
        await too("SELECT 'too'")
        await ask("SELECT 2")
        postgresql.execute("SELECT 'master'", name)
    assert postgresql.queries(name) == [hard, "SELECT 2"]
    assert postgresql.queries(other) == ["SELECT 'too'"]
    assert postgresql.queries()[before:] == [hard, "SELECT 'too'", "SELECT 2"]


async def test_queries_are_whole_while_others_are_sent(postgresql: PostgreSQL) -> None:
    """Long statements of several connections at once are each there once, and whole."""
    name = postgresql.create_database()
    long = "x\n" * 50_000
    sent = [f"SELECT {number}, '{long}'" for number in range(20)]

    async def send(texts: list[str]) -> None:
        async with asking_postgresql(postgresql.url(name)) as ask:
            for text in texts:
                await ask(text)
                assert text in postgresql.queries(name)

    await asyncio.gather(*(send(sent[start::4]) for start in range(4)))
    assert sorted(postgresql.queries(name)) == sorted(sent)


async def test_takes_arguments(new_postgresql: New) -> None:
    """What is given to the program holds."""
    with new_postgresql("--max_connections=7", "--timezone=Asia/Kathmandu") as server:
        shown = "SELECT current_setting('max_connections'), current_setting('timezone')"
        async with asking_postgresql(server.url(server.create_database())) as ask:
            assert await ask(shown) == [("7", "Asia/Kathmandu")]


def test_says_why_it_does_not_start(new_postgresql: New) -> None:
    """An argument that the program does not know is in the error, and nothing is left."""
    server = new_postgresql("--no_such=thing")
    with (
        pytest.raises(RuntimeError, match=r'(?s)ended with 1: .*configuration parameter "no_such"'),
        server,
    ):
        pass
    assert not server._folder.exists()


async def test_outlives_kills_and_stops(new_postgresql: New) -> None:
    """After each end it is gone; started again, on the same port, all is as it was written."""
    with new_postgresql() as server:
        name = server.create_database()
        async with asking_postgresql(server.url(name)) as ask:
            await ask("CREATE TABLE t (a INT)")
            await ask("INSERT INTO t VALUES (1)")
            for end in (server.kill, server.stop):
                end()
                end()
                with pytest.raises(ConnectionRefusedError):
                    async with asking_postgresql(server.url(name)):
                        pass
                server.start()
                async with asking_postgresql(server.url(name)) as again:
                    assert await again("SELECT a FROM t") == [(1,)]
        assert server.queries(name) == [
            "CREATE TABLE t (a INT)",
            "INSERT INTO t VALUES (1)",
            "SELECT a FROM t",
            "SELECT a FROM t",
        ]


async def test_hangs_while_paused(new_postgresql: New) -> None:
    """A paused server answers nobody, old or new, and goes on with both when it is resumed."""
    with new_postgresql() as server:
        url = server.url(server.create_database())

        async def connect() -> list[tuple[Any, ...]]:
            async with asking_postgresql(url) as ask:
                return await ask("SELECT 2")

        async with asking_postgresql(url) as ask:
            server.pause()
            waiting = [asyncio.ensure_future(ask("SELECT 1")), asyncio.ensure_future(connect())]
            assert (await asyncio.wait(waiting, timeout=0.1))[0] == set()
            server.resume()
            assert await asyncio.gather(*waiting) == [[(1,)], [(2,)]]
        server.pause()


def test_leaves_nothing(new_postgresql: New) -> None:
    """After the context no process and no file is left, however the server ended."""
    with new_postgresql() as server:
        folder, process = server._folder, server._process
    assert process is not None
    assert process.returncode == 0
    assert not folder.exists()


def test_makes_its_own_data_without_a_template() -> None:
    """Outside a session of tests it needs nothing but the program."""
    if PostgreSQL.find() is None:
        pytest.skip(PostgreSQL.missing)
    with PostgreSQL() as server:
        assert server.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'tester'") == "f"


def test_is_found_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The program is found in PATH first, then where Debian puts it: the newest."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tests.servers.postgresql._DEBIAN", tmp_path)
    assert PostgreSQL.find() is None
    for version in ("9", "15"):
        program = tmp_path / version / "bin" / "postgres"
        program.parent.mkdir(parents=True)
        program.touch()
    assert PostgreSQL.find() == program
    (tmp_path / "postgres").touch(0o755)
    assert PostgreSQL.find() == tmp_path / "postgres"
