"""Client libraries from npm, installed once at the pinned versions."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.wait import WAIT_TIMEOUT

CLIENTS_DIR = ROOT / "tests" / "e2e" / "clients"
_NPM_TIMEOUT = 300.0
"""Seconds for npm, which downloads."""


def install_packages(folder: Path) -> None:
    """Install what package-lock.json pins into a folder, unless it is there already."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("install nodejs and npm to try foreign clients")
    package_lock = CLIENTS_DIR / "package-lock.json"
    installed_lock = folder / "installed.json"
    with (folder / "busy").open("w") as lock_file:
        # Tests run in several processes; one of them installs.
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if installed_lock.exists() and installed_lock.read_bytes() == package_lock.read_bytes():
            return
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS_DIR / name, folder)
        command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_NPM_TIMEOUT)
        shutil.copy(package_lock, installed_lock)


def run_program(folder: Path, *command: str) -> str:
    """Run a program of the packages in a folder, and return its output; it must succeed."""
    program = folder / "node_modules" / ".bin" / command[0]
    completed = subprocess.run(
        [str(program) if program.exists() else command[0], *command[1:]],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=WAIT_TIMEOUT * 2,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout
