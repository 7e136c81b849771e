"""Clients of the database servers: the drivers as they are, without the project around them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncmy
import asyncpg
from sqlalchemy import make_url

Ask = Callable[[str], Awaitable[list[tuple[Any, ...]]]]
"""Sends SQL, and returns the rows."""


@asynccontextmanager
async def asking_mariadb(url: str, **options: Any) -> AsyncIterator[Ask]:  # noqa: ANN401 - asyncmy's
    """Lend a connection on which every statement is a transaction."""
    there = make_url(url)
    connection = await asyncmy.connect(
        host=there.host,
        port=there.port,
        user=there.username,
        password=there.password,
        database=there.database,
        autocommit=True,
        **options,
    )

    async def ask(sql: str) -> list[tuple[Any, ...]]:
        async with connection.cursor() as cursor:
            await cursor.execute(sql)
            return list(await cursor.fetchall()) if cursor.description else []

    try:
        yield ask
    finally:
        await connection.ensure_closed()


@asynccontextmanager
async def asking_postgresql(url: str, **options: Any) -> AsyncIterator[Ask]:  # noqa: ANN401 - asyncpg's
    """Lend a connection on which every statement is a transaction."""
    connection = await asyncpg.connect(url, **options)

    async def ask(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await connection.fetch(sql)]

    try:
        yield ask
    finally:
        connection.terminate()
