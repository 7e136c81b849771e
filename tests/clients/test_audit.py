"""The official audit of GraphQL over HTTP, run against a real server by the client that has it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import BUNDLED, PATIENCE, serving
from tests.clients.installing import FOLDER, install


@pytest.mark.slow
def test_audit(tmp_path: Path) -> None:
    """All 61 checks pass, those that are optional, too."""
    install(tmp_path)
    with serving(tmp_path, **BUNDLED) as server:
        done = subprocess.run(
            ["node", "audit.mjs", f"{server.url}/graphql"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
        )
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert (len(lines), done.returncode) == (61, 0)


def test_lock_names_no_registry() -> None:
    """What npm installs is pinned by version and hash, wherever it is downloaded from."""
    lock = (FOLDER / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert len(re.findall(r'"integrity": "sha512-', lock)) == lock.count("node_modules/")
