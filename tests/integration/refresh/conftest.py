"""Databases of each kind for refreshes."""

from pathlib import Path

import pytest

from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.postgresql import PostgreSQL


@pytest.fixture(params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest) -> MariaDB | PostgreSQL:
    """Return a server, one of each kind in turn."""
    database_server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return database_server


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """Return the URL of a database that does not exist yet, one of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    database_server: MariaDB | PostgreSQL = request.getfixturevalue(request.param)
    return database_server.url(database_server.create_database())
