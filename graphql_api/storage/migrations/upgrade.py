"""Runs Alembic without an alembic.ini. Imported only if there is something to migrate."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, inspect, update

from graphql_api.storage.migrations import VERSION_TABLE
from graphql_api.storage.tables import countries, leases, metadata


def to_head(connection: Connection, *, from_base: bool) -> None:
    """Run the pending migrations on this connection, or with `from_base` all of them."""
    VERSION_TABLE.create(connection, checkfirst=True)
    if from_base:
        connection.execute(delete(VERSION_TABLE))
        _mark_new(connection)
    config = create_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _mark_new(connection: Connection) -> None:
    """If the table of countries is lost but not the lease, let the lease tell other processes that it is created again.

    They would serve an empty list until the rows are restored.
    """
    tables = set(inspect(connection).get_table_names())
    if leases.name in tables and countries.name not in tables:
        connection.execute(update(leases).values(revision=0))


def is_known_revision(revision: str | None) -> bool:
    """Return whether `revision` is None, for an empty database, or in versions/."""
    scripts = ScriptDirectory.from_config(create_config())
    return revision in {None, *(script.revision for script in scripts.walk_revisions())}


def find_foreign_table(connection: Connection) -> str | None:
    """Return a table that has a name of this project but not its columns; None without any.

    A table with all required columns is from an interrupted migration: MySQL commits each table by itself, and later
    migrations add columns that may be null.
    """
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        if inspector.has_table(table.name):
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            if not {column.name for column in table.columns if not column.nullable} <= columns:
                return table.name
    return None


def create_config() -> Config:
    """Return a configuration for this folder."""
    config = Config()
    # Alembic interpolates percent signs.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
