"""The npm packages of the browser tests are pinned, whatever the registry."""

import json
from pathlib import Path

HERE = Path(__file__).parent


def test_lock_names_no_registry() -> None:
    """The lock file has exact versions and hashes, and no registry."""
    dependencies = json.loads((HERE / "package.json").read_text())["dependencies"]
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == dependencies
    assert {path: package["version"] for path, package in packages.items()} == {
        f"node_modules/{name}": version for name, version in dependencies.items()
    }
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert all("resolved" not in package for package in packages.values())
