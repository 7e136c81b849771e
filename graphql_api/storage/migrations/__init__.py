"""Bringing the database to the tables of this version, once, whoever else is trying."""

import asyncio

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.engine import Database

HEAD = "0003"
"""The newest revision in versions/; a test compares."""

_LOOKS = 8
_PAUSE = 0.25
"""Seconds between two looks whether another process finishes what this one could not."""


async def migrate(database: Database) -> bool:
    """Bring the database to `HEAD`, and tell whether there was anything to do.

    Raises:
        DatabaseUnavailable: it cannot be opened, was migrated by a newer version, or has tables
            of somebody else's under our names.
    """
    if await database.run(_revision) == HEAD:
        return False
    try:
        return await _upgrade(database)
    except DatabaseUnavailable as error:
        # On a cluster the lock of one server does not keep out the processes on another; what has
        # no cause is our own refusal.
        if error.__cause__ is None or not await _is_finished_by_another(database):
            raise
        return False


async def _upgrade(database: Database) -> bool:
    from graphql_api.storage.migrations import upgrade  # noqa: PLC0415 - Alembic costs 0.3 s

    async with database.exclusive() as connection:
        # Whoever else was migrating has finished: the lock was waited for.
        found = await _revision(connection)
        if found == HEAD:
            return False
        if not upgrade.knows(found):
            raise DatabaseUnavailable(
                f"The database at {database} has the schema {found!r} of a newer version; "
                "run that version, or set DATABASE_URL to another database.",
                lasting=True,
            )
        foreign = await connection.run_sync(upgrade.foreign_table) if found is None else None
        if foreign is not None:
            raise DatabaseUnavailable(
                f"The database at {database} has a table {foreign!r} of somebody else's; "
                "set DATABASE_URL to an empty database.",
                lasting=True,
            )
        await connection.run_sync(upgrade.to_head)
    return True


async def _is_finished_by_another(database: Database) -> bool:
    for _ in range(_LOOKS):
        try:
            if await database.run(_revision) == HEAD:
                return True
        except DatabaseUnavailable:
            return False
        await asyncio.sleep(_PAUSE)
    return False


async def _revision(connection: AsyncConnection) -> str | None:
    def read(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found

    return await connection.run_sync(read)
