"""What a figure depends on: the machine, and the versions of all that takes part."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path


def describe(versions: Mapping[str, str]) -> Mapping[str, str]:
    """Return each thing's name, and which it is; `versions` are of what takes part."""
    on = f"{os.cpu_count()} cores of {_processor()}, {platform.system()}"
    return {"Python": platform.python_version(), **versions, "on": on}


def packages(*names: str) -> Mapping[str, str]:
    """Return the versions of installed packages."""
    return {name: version(name) for name in names}


def program(*command: str) -> str:
    """Return the version that a program tells of itself."""
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    said = done.stdout or done.stderr
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else said.strip()


def _processor() -> str:
    try:
        known = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:  # only Linux tells
        known = ""
    found = re.search(r"^model name\s*: (.+)$", known, re.MULTILINE)
    return found[1] if found else platform.machine()
