"""The build backend: flit's, with the files of the playground from npm in the wheel and in the sdist.

They are not in the repository: npm installs packages by the lock file's hashes, and `playground/build.mjs` bundles
them. pip installs the bundle where the server looks for it: in `share/graphql-api/playground` of the environment. An
editable install has none; `make run` installs it.
"""

import logging
import shutil
import subprocess
import sys
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
_PLAYGROUND = _DATA / "share" / "graphql-api" / "playground" / "dist"

_DATA.mkdir(parents=True, exist_ok=True)  # flit reads no configuration without it


def build_wheel(
    wheel_directory: str, config_settings: Mapping[str, object] | None = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel. Without npm it has no playground."""
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
    """Build the playground in a temporary folder. False without npm."""
    shutil.rmtree(_DATA)
    _DATA.mkdir()
    npm = shutil.which("npm")
    if npm is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("playground", folder, dirs_exist_ok=True)
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        for command in (install, [npm, "run", "build"]):
            subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)  # noqa: S603 - the arguments are constants
        shutil.copytree(Path(folder) / "dist", _PLAYGROUND)
    return True
