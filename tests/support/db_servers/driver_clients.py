"""Clients of the database servers: plain drivers, without the project's code."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncmy
import asyncpg
from sqlalchemy import make_url

ExecuteSQL = Callable[[str], Awaitable[list[tuple[Any, ...]]]]
"""Sends SQL and returns the rows."""


@asynccontextmanager
async def mysql_client(url: str, **options: Any) -> AsyncIterator[ExecuteSQL]:  # noqa: ANN401 - asyncmy's
    """Return a connection in autocommit mode."""
    parsed_url = make_url(url)
    connection = await asyncmy.connect(
        host=parsed_url.host,
        port=parsed_url.port,
        user=parsed_url.username,
        password=parsed_url.password,
        database=parsed_url.database,
        autocommit=True,
        **options,
    )

    async def execute(sql: str) -> list[tuple[Any, ...]]:
        async with connection.cursor() as cursor:
            await cursor.execute(sql)
            return list(await cursor.fetchall()) if cursor.description else []

    try:
        yield execute
    finally:
        await connection.ensure_closed()


@asynccontextmanager
async def postgresql_client(url: str, **options: Any) -> AsyncIterator[ExecuteSQL]:  # noqa: ANN401 - asyncpg's
    """Return a connection in autocommit mode."""
    connection = await asyncpg.connect(url, **options)

    async def execute(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await connection.fetch(sql)]

    try:
        yield execute
    finally:
        connection.terminate()
