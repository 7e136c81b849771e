"""Bringing the database to the tables of this version, once, whoever else is trying."""

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.engine import Database

HEAD = "0001"
"""The newest revision in versions/; a test compares."""


async def migrate(database: Database) -> bool:
    """Bring the database to `HEAD`, and tell whether there was anything to do.

    Raises:
        DatabaseUnavailable: it cannot be opened, or was migrated by a newer version.
    """
    async with database.connect() as connection:
        if await _revision(connection) == HEAD:
            return False
    # Importing Alembic costs a third of a second, so only here.
    from graphql_api.storage.migrations import upgrade  # noqa: PLC0415

    async with database.transaction() as connection:
        # Whoever else was migrating has finished: the transaction waited for it.
        found = await _revision(connection)
        if found == HEAD:
            return False
        if not upgrade.knows(found):
            raise DatabaseUnavailable(
                f"The database at {database} has the schema {found!r} of a newer version; "
                "run that version, or set DATABASE_URL to another database."
            )
        await connection.run_sync(upgrade.to_head)
    return True


async def _revision(connection: AsyncConnection) -> str | None:
    def read(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found

    return await connection.run_sync(read)
