"""Bringing the database to the tables of this version, once, whoever else is trying."""

import asyncio

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.database import Database

HEAD = "0003"
"""The newest revision in versions/; a test compares."""

_MAX_CHECKS = 8
_POLL_INTERVAL = 0.25
"""Seconds between two looks whether another process finishes what this one could not."""


async def migrate(database: Database) -> bool:
    """Bring the database to `HEAD`, and tell whether there was anything to do.

    Raises:
        DatabaseUnavailable: it cannot be opened, was migrated by a newer version, or has tables
            of somebody else's under our names.
    """
    if await database.run(_read_revision) == HEAD:
        return False
    try:
        return await _upgrade(database)
    except DatabaseUnavailable as error:
        # On a cluster the lock of one server does not keep out the processes on another; what has
        # no cause is our own refusal.
        if error.__cause__ is None or not await _wait_until_migrated(database):
            raise
        return False


async def _upgrade(database: Database) -> bool:
    from graphql_api.storage.migrations import upgrade  # noqa: PLC0415 - Alembic costs 0.3 s

    async with database.connect_for_migration() as connection:
        # Whoever else was migrating has finished: the lock was waited for.
        revision = await _read_revision(connection)
        if revision == HEAD:
            return False
        if not upgrade.is_known_revision(revision):
            raise DatabaseUnavailable(
                f"The database at {database} has the schema {revision!r} of a newer version; "
                "run that version, or set DATABASE_URL to another database.",
                permanent=True,
            )
        foreign_table = (
            await connection.run_sync(upgrade.find_foreign_table) if revision is None else None
        )
        if foreign_table is not None:
            raise DatabaseUnavailable(
                f"The database at {database} has a table {foreign_table!r} of somebody else's; "
                "set DATABASE_URL to an empty database.",
                permanent=True,
            )
        await connection.run_sync(upgrade.to_head)
    return True


async def _wait_until_migrated(database: Database) -> bool:
    for _ in range(_MAX_CHECKS):
        try:
            if await database.run(_read_revision) == HEAD:
                return True
        except DatabaseUnavailable:
            return False
        await asyncio.sleep(_POLL_INTERVAL)
    return False


async def _read_revision(connection: AsyncConnection) -> str | None:
    def read_version(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return version

    return await connection.run_sync(read_version)
