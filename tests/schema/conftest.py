"""A process's worth of the project, for the tests that change data."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.databases import connections_ended
from tests.refresh.running import Running, asking, running
from tests.upstream.server import Upstream


@pytest.fixture
async def home(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Running]:
    """Lend a process's worth that asks the upstream server, and nobody after it."""
    async with running(tmp_path / "countries.db", asking(upstream)) as started:
        yield started
    await connections_ended()
