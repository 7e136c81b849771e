"""Databases of each kind for refreshes."""

from pathlib import Path

import pytest

from tests.support.database import SERVERS
from tests.support.db_servers.process import DatabaseServer


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Return a server, one of each kind in turn."""
    database_server: DatabaseServer = request.getfixturevalue(request.param)
    return database_server


@pytest.fixture(params=["sqlite", *SERVERS])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    """Return the URL of a database that does not exist yet, one of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    database_server: DatabaseServer = request.getfixturevalue(request.param)
    return database_server.url(database_server.create_database())
