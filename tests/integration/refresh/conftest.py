"""One process's worth of the project, for most tests of a refresh."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import ServiceInstance, make_source_config, running_instance


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the database is."""
    return tmp_path / "countries.db"


@pytest.fixture
async def instance(path: Path, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Lend a process's worth that asks the upstream server, and nobody after it."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        yield instance


@pytest.fixture
async def fallback_instance(path: Path, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Lend one that has the bundled data after the upstream server."""
    async with running_instance(path, make_source_config(upstream, bundled=True)) as instance:
        yield instance
