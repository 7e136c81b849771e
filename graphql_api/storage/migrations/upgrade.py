"""Alembic, driven from code: there is no alembic.ini. Imported only when there is work to do."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, String, Table, inspect

from graphql_api.storage.tables import metadata

_VERSION_TABLE = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)


def to_head(connection: Connection) -> None:
    """Run every migration that the database lacks, on this connection."""
    # MariaDB warns of the name that Alembic would give to the primary key.
    _VERSION_TABLE.create(connection, checkfirst=True)
    config = create_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_known_revision(revision: str | None) -> bool:
    """Tell whether `revision` is one of ours, or None, the empty database."""
    scripts = ScriptDirectory.from_config(create_config())
    return revision in {None, *(script.revision for script in scripts.walk_revisions())}


def find_foreign_table(connection: Connection) -> str | None:
    """Return a table that has one of our names and lacks our columns; None without any.

    One that has them is our own: MySQL commits each table by itself, and may be interrupted.
    """
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        if inspector.has_table(table.name):
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            if not set(table.columns.keys()) <= columns:
                return table.name
    return None


def create_config() -> Config:
    """Return a configuration that points at this folder, wherever the package is installed."""
    config = Config()
    # Alembic interpolates percent signs.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
