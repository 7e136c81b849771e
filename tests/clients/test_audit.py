"""The official audit of GraphQL over HTTP, run against a real server by the client that has it."""

from pathlib import Path

import pytest

from tests.cli.running import BUNDLED, serving
from tests.clients.installing import run


@pytest.mark.slow
def test_audit(home: Path) -> None:
    """All 61 checks pass, those that are optional, too."""
    with serving(home, **BUNDLED) as server:
        lines = run(home, "node", "audit.mjs", f"{server.url}/graphql").splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert len(lines) == 61
