"""What npm installs for the tests is pinned, and is no part of the project."""

import json
import re

from tests.clients.installing import FOLDER


def test_lock_names_no_registry() -> None:
    """What npm installs is pinned by version and hash, wherever it is downloaded from."""
    lock = (FOLDER / "package-lock.json").read_text()
    packages = json.loads(lock)["packages"]
    installed = {name: one for name, one in packages.items() if name}
    assert "resolved" not in lock
    assert [name for name, one in installed.items() if one.keys() < {"version", "integrity"}] == []
    assert [one for one in installed.values() if not one["integrity"].startswith("sha512-")] == []


def test_direct_versions_are_exact() -> None:
    """Each package that a test names is asked for in one version."""
    asked = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    loose = [one for one in asked.items() if not re.fullmatch(r"\d+\.\d+\.\d+", one[1])]
    assert loose == []
