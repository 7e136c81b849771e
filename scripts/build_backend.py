"""The build backend: flit's, with the files of the playground from npm in the wheel and in the sdist.

They are not in the repository: npm checks them against the lock file's hashes. pip installs them where the server looks
for them: in `share/graphql-api/playground` of the environment. An editable install has none; `make run` installs them.
"""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from flit_core import buildapi  # type: ignore[import-untyped]  # it has no types
from flit_core.buildapi import (  # type: ignore[import-untyped]  # it has no types
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = (
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
)

# ruff: noqa: INP001 - a script, not a package

logger = logging.getLogger(__name__)

_DATA = Path("build/data")
"""The folder of pyproject.toml's `external-data`, relative to the source tree, in which a backend runs."""
_PLAYGROUND = _DATA / "share" / "graphql-api" / "playground" / "node_modules"
_PATTERNS = (
    "umd/react*.production.min.js",
    "graphiql.min.js",
    "graphiql.min.css",
    "dist/*.min.js",
    "dist/index.umd.js",
    "dist/style.css",
    "flags/4x3/??.svg",
    "LICENSE*",
)
"""The files that pages load, and their licences."""

_DATA.mkdir(parents=True, exist_ok=True)  # flit reads no configuration without it


def build_wheel(
    wheel_directory: str, config_settings: Mapping[str, object] | None = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel. Without npm it has no playground, and the page loads its files from a CDN."""
    if not _is_sdist() and not _collect_playground():
        logger.warning("npm is not installed; the wheel will not have the files of the playground.")
    name: str = buildapi.build_wheel(wheel_directory, config_settings, metadata_directory)
    return name


def build_editable(
    wheel_directory: str, config_settings: Mapping[str, object] | None = None, metadata_directory: str | None = None
) -> str:
    """Build an editable wheel, without the playground."""
    shutil.rmtree(_DATA)
    _DATA.mkdir()
    name: str = buildapi.build_editable(wheel_directory, config_settings, metadata_directory)
    return name


def build_sdist(sdist_directory: str, config_settings: Mapping[str, object] | None = None) -> str:
    """Build an sdist, from which a wheel can be built without npm.

    Raises:
        RuntimeError: npm is not installed.
    """
    if not _is_sdist() and not _collect_playground():
        raise RuntimeError("Install npm. The sdist needs it for the files of the playground.")
    name: str = buildapi.build_sdist(sdist_directory, config_settings)
    return name


def _is_sdist() -> bool:
    return Path("PKG-INFO").exists()


def _collect_playground() -> bool:
    """Install the playground's packages in a temporary folder, and keep what the page loads. False without npm."""
    shutil.rmtree(_DATA)
    _DATA.mkdir()
    npm = shutil.which("npm")
    if npm is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("playground", folder, dirs_exist_ok=True)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - the arguments are constants
        modules = Path(folder) / "node_modules"
        for file in modules.rglob("*"):
            if file.is_file() and any(file.match(pattern) for pattern in _PATTERNS):
                target = _PLAYGROUND / file.relative_to(modules)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
    return True
