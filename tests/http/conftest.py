"""One running application per module, for the tests that change nothing."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.serving import HELD, Server, given, serving
from tests.upstream.server import Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Lend a server of the bundled data, version 1-250, whose live sources never answer."""
    path = tmp_path_factory.mktemp("server") / "countries.db"
    with Upstream() as upstream:
        upstream.answer("countries", HELD)
        upstream.answer("rates", HELD)
        async with serving(given(path, upstream)) as started:
            yield started
