"""One process's worth of the project, for most tests of a refresh."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.refresh.running import Running, asking, running
from tests.upstream.server import Upstream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "countries.db"


@pytest.fixture
async def home(path: Path, upstream: Upstream) -> AsyncIterator[Running]:
    """Lend a process's worth that asks the upstream server, and nobody after it."""
    async with running(path, asking(upstream)) as started:
        yield started


@pytest.fixture
async def careful(path: Path, upstream: Upstream) -> AsyncIterator[Running]:
    """Lend one that has the bundled data after the upstream server."""
    async with running(path, asking(upstream, bundled=True)) as started:
        yield started
