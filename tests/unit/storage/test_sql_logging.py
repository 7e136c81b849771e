"""SQL statements are logged on demand, with their duration and without their values."""

import logging
import re
from pathlib import Path

import pytest
from sqlalchemy import text

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.database import DatabaseConnection
from tests.support.database import open_database

SECRET = "hunter2"


async def select(connection: DatabaseConnection) -> None:
    """Send a statement of two lines with a value."""
    await connection.execute(text("SELECT\n  :value AS result"), {"value": SECRET})


async def fail(connection: DatabaseConnection) -> None:
    """Send a failing statement with a value."""
    await connection.execute(text("SELECT :value FROM nowhere"), {"value": SECRET})


async def test_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A statement that succeeds or fails is one log line with its duration and no value."""
    caplog.set_level(logging.INFO)
    async with open_database(f"sqlite:///{tmp_path / 'file.db'}") as database:
        database.log_statements()
        await database.run(select)
        with pytest.raises(DatabaseUnavailable):
            await database.run(fail)
    messages = [re.sub(r"\d+\.\d ms", "T ms", message) for message in caplog.messages]
    assert messages == ["SQL took T ms: SELECT ? AS result", "SQL took T ms and failed: SELECT ? FROM nowhere"]
    durations = [record.__dict__["fields"]["duration_ms"] for record in caplog.records]
    assert [duration for duration in durations if not 0 <= duration < 60_000] == []


async def test_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By default no listener is registered and nothing is logged."""
    caplog.set_level(logging.DEBUG, "graphql_api")
    async with open_database(f"sqlite:///{tmp_path / 'file.db'}") as database:
        assert not database.engine.sync_engine.dispatch.before_cursor_execute
        await database.run(select)
    assert caplog.messages == []
