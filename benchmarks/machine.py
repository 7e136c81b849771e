"""What a figure depends on: the machine, and the versions of all that takes part."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from tests.servers.mariadb import MariaDB

_PACKAGES = ("asyncmy", "SQLAlchemy", "PyMySQL", "uvicorn", "strawberry-graphql")


def describe() -> Mapping[str, str]:
    """Return each thing's name, and which it is; MariaDB is installed."""
    packages = {name: version(name) for name in _PACKAGES}
    return {
        "Python": platform.python_version(),
        **packages,
        "MariaDB": _mariadb(),
        "on": f"{os.cpu_count()} cores of {_processor()}, {platform.system()}",
    }


def _mariadb() -> str:
    said = subprocess.run(
        [f"{MariaDB.find()}", "--version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"Ver ([\d.]+)", said.stdout)
    return found[1] if found else said.stdout.strip()


def _processor() -> str:
    try:
        known = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:  # only Linux tells
        known = ""
    found = re.search(r"^model name\s*: (.+)$", known, re.MULTILINE)
    return found[1] if found else platform.machine()
