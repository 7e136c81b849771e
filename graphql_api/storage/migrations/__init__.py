"""Migrations: bring the tables to this version, once, even if several processes try."""

import asyncio
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, text

from graphql_api.errors import DatabaseUnavailable
from graphql_api.storage.database import Database, DatabaseConnection
from graphql_api.storage.lease import FIRST_LEASE
from graphql_api.storage.tables import leases, metadata

HEAD = max(path.name for path in (Path(__file__).parent / "versions").glob("0*.py"))[:4]
"""The newest revision. Files in versions/ start with their revision."""

VERSION_TABLE = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own table. It is not left to Alembic: MariaDB warns about the name of its primary key."""

_MAX_CHECKS = 8
_POLL_INTERVAL = 0.25
"""Seconds between two checks for the end of another process's migration."""


async def migrate(database: Database) -> bool:
    """Migrate the database to `HEAD`. Return whether there was anything to do.

    Raises:
        DatabaseUnavailable: it cannot be opened, has the schema of a newer version, or has foreign
            tables under this project's names.
    """
    if await database.run(_read_revision) == HEAD:
        return False
    try:
        return await _upgrade(database)
    except DatabaseUnavailable as error:
        # In a cluster, the lock of one server does not stop processes on another: wait for them.
        # An error without a cause is from `_upgrade` itself.
        if error.__cause__ is None or not await _wait_until_migrated(database):
            raise
        return False


async def _upgrade(database: Database) -> bool:
    async with database.connect() as connection, database.dialect.migration_lock(connection):
        # Another process may have migrated during the wait for the lock.
        revision = await _read_revision(connection)
        if revision == HEAD:
            return False
        if await connection.run_sync(_create_if_empty):
            return True
        from graphql_api.storage.migrations import upgrade  # noqa: PLC0415 - Alembic costs 0.3 s and 11 MB

        if not upgrade.is_known_revision(revision):
            raise DatabaseUnavailable(
                f"The database at {database} has the schema {revision!r} of a newer version; "
                "run that version, or set DATABASE_URL to another database.",
                permanent=True,
            )
        foreign_table = await connection.run_sync(upgrade.find_foreign_table) if revision is None else None
        if foreign_table is not None:
            raise DatabaseUnavailable(
                f"The database at {database} has a table {foreign_table!r} that this program did "
                "not create; set DATABASE_URL to an empty database.",
                permanent=True,
            )
        await connection.run_sync(upgrade.to_head, from_base=revision is None)
    return True


def _create_if_empty(connection: Connection) -> bool:
    """Create the tables of `HEAD` at once in a database that has none of them. Return whether it had none.

    MySQL commits each table by itself. The lease comes first: it tells other processes that the tables are new. The
    revision comes last: migrations complete what was interrupted.
    """
    if {VERSION_TABLE.name, *metadata.tables} & set(inspect(connection).get_table_names()):
        return False
    leases.create(connection)
    connection.execute(insert(leases).values(FIRST_LEASE))
    metadata.create_all(connection)
    VERSION_TABLE.create(connection)
    connection.execute(insert(VERSION_TABLE).values(version_num=HEAD))
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


async def _read_revision(connection: DatabaseConnection) -> str | None:
    def read_version(connection: Connection) -> str | None:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            return None
        version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        # Each migration leaves a table that exists as it is, so all of them together restore a lost one.
        return None if version == HEAD and not tables >= metadata.tables.keys() else version

    return await connection.run_sync(read_version)
