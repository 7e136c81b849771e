"""Opening databases for tests, and closing them before the event loop ends."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event

from graphql_api.storage.engine import Database


@asynccontextmanager
async def opened(url: str, *, seconds_busy: float = 10) -> AsyncIterator[Database]:
    """Lend a database, not migrated, and close it."""
    database = Database(url, seconds_busy=seconds_busy)
    try:
        yield database
    finally:
        await database.dispose()


async def connections_ended() -> None:
    """Wait for the threads of closed connections; aiosqlite does not, where opening failed."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join)


def statements(database: Database) -> list[str]:
    """Return a list to which the text of every statement is added from now on."""
    seen: list[str] = []

    def add(_connection: object, _cursor: object, text: str, *_: object) -> None:
        seen.append(text)

    event.listen(database.engine.sync_engine, "before_cursor_execute", add)
    return seen
