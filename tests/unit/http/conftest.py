"""One application per module, for the tests that change nothing."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.app import HANGING_RESPONSE, AppClient, make_settings, running_client
from tests.support.fake_providers.server import Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppClient]:
    """Run a server of the bundled data, version 1-250, whose live sources never respond."""
    path = tmp_path_factory.mktemp("server") / "countries.db"
    with Upstream() as upstream:
        upstream.set_responses("countries", HANGING_RESPONSE)
        upstream.set_responses("rates", HANGING_RESPONSE)
        async with running_client(make_settings(path, upstream)) as app_client:
            yield app_client
