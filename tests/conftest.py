"""Fixtures that any test may ask for."""

from collections.abc import Iterator

import pytest

from tests.upstream.server import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Lend a server that plays the sources, on a port of its own."""
    with Upstream() as server:
        yield server
