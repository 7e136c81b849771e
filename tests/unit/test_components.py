"""Components: what they share, and what closing them closes."""

import asyncio
from pathlib import Path

from graphql_api import __version__
from graphql_api.components import Components
from tests.support.app import ExplicitSettings


def build_components(folder: Path) -> Components:
    """Return components over a database file that is never opened."""
    return Components(ExplicitSettings(database_url=f"sqlite:///{folder / 'countries.db'}"))


async def test_http_client(tmp_path: Path) -> None:
    """All providers share one HTTP client with the server's name, which is closed at the end."""
    components = build_components(tmp_path)
    clients = await asyncio.gather(*(components.http_client.get() for _ in range(3)))
    assert {id(client) for client in clients} == {id(clients[0])}
    assert components.refresh_service.http_client is components.http_client
    assert clients[0].headers["User-Agent"] == f"graphql-api/{__version__}"
    assert not clients[0].is_closed
    await components.close()
    assert clients[0].is_closed


async def test_http_client_that_was_not_needed(tmp_path: Path) -> None:
    """Closing components that fetched nothing creates no HTTP client."""
    components = build_components(tmp_path)
    await components.close()
    assert components.http_client.value is None
