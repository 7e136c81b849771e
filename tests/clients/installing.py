"""Foreign clients from npm: installed once per run, outside the project, at the pinned versions."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
_PATIENCE = 300.0
"""Seconds for npm, which downloads."""


def install(folder: Path) -> None:
    """Install what package-lock.json pins into a folder, beside the scripts that use it."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("install nodejs and npm to try foreign clients")
    for file in FOLDER.iterdir():
        if file.suffix in (".json", ".mjs"):
            shutil.copy(file, folder)
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=_PATIENCE,
    )
