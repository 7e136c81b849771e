"""npm packages of the tests are pinned."""

import json
import re

from tests.support.npm.install import CLIENTS_DIR


def test_lock_names_no_registry() -> None:
    """Every package is pinned by version and hash, without an address."""
    lock = (CLIENTS_DIR / "package-lock.json").read_text()
    packages = json.loads(lock)["packages"]
    installed_packages = {name: package for name, package in packages.items() if name}
    assert "resolved" not in lock
    assert [name for name, package in installed_packages.items() if package.keys() < {"version", "integrity"}] == []
    assert [package for package in installed_packages.values() if not package["integrity"].startswith("sha512-")] == []


def test_direct_versions_are_exact() -> None:
    """Each package that a test uses has one exact version."""
    dependencies = json.loads((CLIENTS_DIR / "package.json").read_text())["dependencies"]
    unpinned = [dependency for dependency in dependencies.items() if not re.fullmatch(r"\d+\.\d+\.\d+", dependency[1])]
    assert unpinned == []
