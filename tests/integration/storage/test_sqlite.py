"""SQLite: its file, its modes and its locks."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import AdaptedConnection

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage import countries
from graphql_api.storage.database import Database
from graphql_api.storage.migrations import migrate
from tests.support.database import begin_transaction, insert_country, open_database, permanent_failure
from tests.support.factories import make_country


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Return the URL of a new file."""
    return f"sqlite:///{tmp_path}/countries.db"


async def test_journal_mode(database: Database) -> None:
    """Every connection of the pool is in WAL mode, in which a writer does not block readers."""
    async with database.connect() as first, database.connect() as second:
        modes = [
            (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one() for connection in (first, second)
        ]
    assert modes == ["wal", "wal"]


async def test_mode_is_changed_when_the_writer_has_ended(tmp_path: Path) -> None:
    """A file that another program writes in the old mode is waited for, like any lock."""
    path = tmp_path / "countries.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with open_database(f"sqlite:///{path}") as database:
        migrating = asyncio.create_task(migrate(database))
        await asyncio.sleep(0.1)
        other.execute("COMMIT")
        assert await migrating is True
    other.close()


async def test_transaction_excludes_other_writers(database: Database, replica: Database) -> None:
    """Transactions that read and then write run one after another, so no update is lost."""
    async with begin_transaction(database) as connection:
        await insert_country(connection, make_country(population=0))

    async def increment_population(writer: Database) -> None:
        async with begin_transaction(writer) as connection:
            (row,) = await countries.load(connection)
            await countries.remove(connection, row.code)
            await insert_country(connection, make_country(population=row.population + 1))

    async with asyncio.TaskGroup() as group:
        for writer in (database, replica) * 5:
            group.create_task(increment_population(writer))
    async with database.connect() as connection:
        assert await countries.load(connection) == [make_country(population=10)]


async def test_mode_cannot_be_changed(tmp_path: Path) -> None:
    """A file that stays locked in the old mode is unavailable after the timeout."""
    path = tmp_path / "countries.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with open_database(f"sqlite:///{path}", timeout=0.1) as database:
        with pytest.raises(DatabaseUnavailable) as exc_info:
            await migrate(database)
        assert str(exc_info.value) == f"The database at {database} failed: database is locked."
    other.close()


async def test_busy(database: Database, database_url: str) -> None:
    """A writer gives up after the timeout with nothing changed, and readers are not affected."""
    async with open_database(database_url, timeout=0.1) as impatient_database, begin_transaction(database):
        with pytest.raises(DatabaseUnavailable) as exc_info:
            async with impatient_database.connect() as connection:
                await countries.upsert(connection, [make_country()])
        assert str(exc_info.value) == f"The database at {impatient_database} failed: database is locked."
        async with impatient_database.connect() as connection:
            assert await countries.load(connection) == []


async def test_patient_writer(database: Database, replica: Database) -> None:
    """A writer waits for another one and then succeeds."""

    async def write() -> None:
        async with replica.connect() as connection:
            await countries.upsert(connection, [make_country()])

    async with begin_transaction(database):
        write_task = asyncio.create_task(write())
        await asyncio.sleep(0.1)
        assert not write_task.done()
    await write_task
    async with database.connect() as connection:
        assert await countries.load(connection) == [make_country()]


def test_nothing_is_opened_at_first(tmp_path: Path) -> None:
    """Creating a Database creates no folder and no file."""
    Database(f"sqlite:///{tmp_path}/new/countries.db", timeout=1)
    assert list_names(tmp_path) == []


async def test_folder_is_made(tmp_path: Path) -> None:
    """The first connection creates the folders of the file."""
    async with open_database(f"sqlite:///{tmp_path}/new/newer/countries.db") as database:
        assert await migrate(database) is True
    assert list_names(tmp_path / "new" / "newer") == ["countries.db"]


async def test_folder_cannot_be_made(tmp_path: Path) -> None:
    """A folder that cannot be created is reported with the reason and the setting to change."""
    (tmp_path / "file").write_text("mine")
    async with open_database(f"sqlite:///{tmp_path}/file/var/countries.db") as database:
        message = (
            f"Cannot create the folder {tmp_path}/file/var for the database (Not a directory); "
            "set DATABASE_URL to a writable path."
        )
        with permanent_failure(message):
            await migrate(database)
    assert (tmp_path / "file").read_text() == "mine"


async def test_file_is_a_folder(tmp_path: Path) -> None:
    """A folder in place of the file is unavailable, in one line."""
    async with open_database(f"sqlite:///{tmp_path}") as database:
        message = (
            f"The database at {database} failed: unable to open database file; "
            "DATABASE_URL must name a SQLite file that can be opened."
        )
        with permanent_failure(message):
            await migrate(database)


async def test_file_is_not_a_database(tmp_path: Path) -> None:
    """A file of another format is unavailable, in one line, and left unchanged."""
    path = tmp_path / "countries.db"
    path.write_text("Dear diary,\n" * 100)
    async with open_database(f"sqlite:///{path}") as database:
        message = (
            f"The database at {database} failed: file is not a database; "
            "DATABASE_URL must name a SQLite file that can be opened."
        )
        with permanent_failure(message):
            await migrate(database)
    assert path.read_text() == "Dear diary,\n" * 100


@pytest.mark.parametrize(
    ("url_path", "name"),
    [
        ("my countries.db", "my countries.db"),
        ("my%20countries.db", "my countries.db"),
        ("100%.db", "100%.db"),
        ("100%25.db", "100%.db"),
        ("what%3F.db", "what?.db"),
        ("a+b&c=d#e@f:g.db", "a+b&c=d#e@f:g.db"),
        ("Åland.db", "Åland.db"),
    ],
)
async def test_path(url_path: str, name: str, tmp_path: Path) -> None:
    """A path in the URL can have any character, with %3F for a question mark."""
    async with open_database(f"sqlite:///{tmp_path}/{url_path}") as database:
        assert await migrate(database) is True
    assert list_names(tmp_path) == [name]


async def test_file_that_must_not_be_written(database: Database, database_url: str) -> None:
    """A read-only database is reported with what DATABASE_URL needs."""
    del database  # migrated by it
    async with open_database(database_url) as read_only:

        @event.listens_for(read_only.engine.sync_engine, "connect")
        def set_read_only(connection: AdaptedConnection, _record: object) -> None:
            connection.run_async(lambda driver: driver.execute("PRAGMA query_only = 1"))

        message = (
            f"The database at {read_only} failed: attempt to write a readonly database; "
            "DATABASE_URL must name a SQLite file that can be written."
        )
        with permanent_failure(message):
            async with read_only.connect() as connection:
                await insert_country(connection, make_country())


def move_database(database_file: Path, folder: Path) -> None:
    """Move a database, with all its files, over another one."""
    for file in database_file.parent.glob(f"{database_file.name}*"):
        file.replace(folder / file.name)


async def test_file_is_removed_and_comes_back(tmp_path: Path) -> None:
    """Nothing is written to a deleted file, and a restored one is used at once."""
    path, elsewhere, new = (tmp_path / name for name in ("countries.db", "elsewhere", "new"))
    elsewhere.mkdir()
    new.mkdir()
    async with open_database(f"sqlite:///{path}") as database:
        await migrate(database)
        async with database.connect() as connection:
            await insert_country(connection, make_country())
        move_database(path, elsewhere)
        with pytest.raises(DatabaseUnavailable, match="no such table") as exc_info:
            async with database.connect() as connection:
                await insert_country(connection, make_country("TR"))
        assert exc_info.value.permanent is False
        move_database(path, new)
        move_database(elsewhere / path.name, tmp_path)
        async with database.connect() as connection:
            assert [row.code for row in await countries.load(connection)] == ["FR"]
