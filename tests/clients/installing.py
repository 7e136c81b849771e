"""Foreign clients from npm: installed once at the pinned versions, and used in folders of tests."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import PATIENCE

FOLDER = Path(__file__).parent
_INSTALLING = 300.0
"""Seconds for npm, which downloads."""


def install(folder: Path) -> None:
    """Install what package-lock.json pins into a folder, unless it is there already."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("install nodejs and npm to try foreign clients")
    lock = FOLDER / "package-lock.json"
    installed = folder / "installed.json"
    with (folder / "busy").open("w") as busy:
        # Tests run in several processes, and one of them is enough for this.
        fcntl.flock(busy, fcntl.LOCK_EX)
        if installed.exists() and installed.read_bytes() == lock.read_bytes():
            return
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, folder)
        command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_INSTALLING)
        shutil.copy(lock, installed)


def run(folder: Path, *command: str) -> str:
    """Run a program of the packages in a folder, and return what it printed; it succeeds."""
    program = folder / "node_modules" / ".bin" / command[0]
    done = subprocess.run(
        [str(program) if program.exists() else command[0], *command[1:]],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE * 2,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
