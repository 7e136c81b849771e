"""Alembic, driven from code: there is no alembic.ini. Imported only when there is work to do."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def to_head(connection: Connection) -> None:
    """Run every migration that the database lacks, on this connection."""
    config = create_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def knows(revision: str | None) -> bool:
    """Tell whether `revision` is one of ours, or None, the empty database."""
    scripts = ScriptDirectory.from_config(create_config())
    return revision in {None, *(script.revision for script in scripts.walk_revisions())}


def create_config() -> Config:
    """Return a configuration that points at this folder, wherever the package is installed."""
    config = Config()
    # Alembic interpolates percent signs.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
