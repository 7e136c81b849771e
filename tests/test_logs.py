"""How the log looks, and whose news it leaves out; seen from outside, as logging is global."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = """
import logging, sys
from graphql_api.logs import configure_logging

early = logging.getLogger("graphql_api.early")
configure_logging(sys.argv[1])
ours = logging.getLogger("graphql_api.ours")
theirs = logging.getLogger("httpx")
for level in ("debug", "info", "warning", "error"):
    getattr(ours, level)("our %s", level)
    getattr(theirs, level)("their %s", level)
early.warning("early")
try:
    sys.exit("gone")
except SystemExit:
    ours.exception("it broke")
"""
OURS = ["DEBUG   our debug", "INFO    our info", "WARNING our warning", "ERROR   our error"]
THEIRS = ["WARNING their warning", "ERROR   their error"]


def log_at(level: str) -> tuple[str, list[str]]:
    """Return what a program logs at a level: on stdout, and the lines on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", [*OURS[:3], THEIRS[0], OURS[3], THEIRS[1], "WARNING early"]),
        ("info", [*OURS[1:3], THEIRS[0], OURS[3], THEIRS[1], "WARNING early"]),
        ("error", [OURS[3], THEIRS[1]]),
    ],
)
def test_levels(level: str, expected: list[str]) -> None:
    """Lines have a time and a level, on stderr; other libraries' news is left out."""
    stdout, lines = log_at(level)
    end = lines.index("Traceback (most recent call last):")
    masked = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines[:end]]
    assert stdout == ""
    assert masked == [*expected, "ERROR   it broke"]
    assert lines[-1] == "SystemExit: gone"
