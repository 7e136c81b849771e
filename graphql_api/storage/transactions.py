"""Explicit transactions on connections that otherwise commit each statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection


@asynccontextmanager
async def transaction(connection: AsyncConnection, begin: str) -> AsyncIterator[None]:
    """Keep all statements of the context, or, after an exception, none of them."""
    try:
        await connection.exec_driver_sql(begin)
        yield
        await connection.exec_driver_sql("COMMIT")
    except BaseException:
        # A connection with an open transaction must never go back to the pool.
        await connection.invalidate()
        # Whoever goes on has another one in its place.
        await connection.rollback()
        raise
