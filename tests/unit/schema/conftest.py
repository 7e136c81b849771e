"""A process's worth of the project, for the tests that change data."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.database import wait_for_connection_threads
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import ServiceInstance, make_source_config, running_instance


@pytest.fixture
async def instance(tmp_path: Path, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Lend a process's worth that asks the upstream server, and nobody after it."""
    async with running_instance(
        tmp_path / "countries.db", make_source_config(upstream)
    ) as instance:
        yield instance
    await wait_for_connection_threads()
