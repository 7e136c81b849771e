"""Explicit transactions on autocommit connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection


@asynccontextmanager
async def transaction(connection: AsyncConnection, begin: str) -> AsyncIterator[None]:
    """Commit the statements of the context, or none of them after an exception."""
    try:
        await connection.exec_driver_sql(begin)
        yield
        await connection.exec_driver_sql("COMMIT")
    except BaseException:
        # A connection with an open transaction must not return to the pool.
        await connection.invalidate()
        # Lets the caller go on: the next statement opens a new connection.
        await connection.rollback()
        raise
