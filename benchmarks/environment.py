"""The machine and the versions that figures depend on."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path


def describe_environment(versions: Mapping[str, str]) -> Mapping[str, str]:
    """Return Python's version, `versions`, and the machine, by name."""
    host = f"{os.cpu_count()} cores of {_processor()}, {platform.system()}"
    return {"Python": platform.python_version(), **versions, "on": host}


def package_versions(*names: str) -> Mapping[str, str]:
    """Return the versions of installed packages."""
    return {name: version(name) for name in names}


def program_version(*command: str) -> str:
    """Return the version in the output of a command."""
    completed = subprocess.run(command, capture_output=True, check=False, text=True)
    output = completed.stdout or completed.stderr
    match = re.search(r"\d+\.\d+(\.\d+)?", output)
    return match[0] if match else output.strip()


def _processor() -> str:
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:  # not Linux
        cpuinfo = ""
    match = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return match[1] if match else platform.machine()
