"""Waiting for another process: it may die between its rows and the end of its lease."""

import pytest

from tests.support.db_servers.mariadb import MariaDB
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import make_source_config, running_instance


async def test_died_after_it_had_written(
    mariadb: MariaDB, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """A lease whose rows are written is not waited for until it runs out, a minute later."""
    url = mariadb.url(mariadb.create_database())
    async with (
        running_instance(url, make_source_config(upstream), name="dead") as dead,
        running_instance(url, make_source_config(upstream), name="next") as successor,
    ):
        async with dead.service._finish_lock:  # its tail does not come to pass
            await dead.service.refresh()
            report = await successor.service.refresh()
        assert (report.id, report.version.revision, report.unchanged) == ("next-1", 2, 250)
    assert "The process of refresh dead-1 has died; it had written." in caplog.messages
