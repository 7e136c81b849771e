"""A folder in which Node finds the client libraries."""

import shutil
from pathlib import Path

import pytest

from tests.support.npm.install import CLIENTS_DIR, install_packages


@pytest.fixture
def home(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    """Return a folder with the scripts of this one and the packages that they import."""
    cache = pytestconfig.cache
    assert cache is not None
    packages = cache.mkdir("clients")
    install_packages(packages)
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    for file in CLIENTS_DIR.iterdir():
        if file.suffix in (".json", ".mjs", ".ts"):
            shutil.copy(file, tmp_path)
    return tmp_path
