"""The official audit of GraphQL over HTTP, run against a real server."""

from pathlib import Path

import pytest

from tests.support.npm.install import run_program
from tests.support.processes import BUNDLED_SOURCES, running_server


@pytest.mark.slow
def test_audit(home: Path) -> None:
    """All 61 checks pass, the optional ones too."""
    with running_server(home, **BUNDLED_SOURCES) as server:
        lines = run_program(home, "node", "audit.mjs", f"{server.url}/graphql").splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert len(lines) == 61
