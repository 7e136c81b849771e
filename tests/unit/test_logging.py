"""Format and levels of the log, tested in a process of its own because logging is global."""

import json
import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

LOGGING_PROGRAM = """
import logging, sys
from graphql_api.logging import configure_logging

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
OWN_LINES = ["DEBUG   our debug", "INFO    our info", "WARNING our warning", "ERROR   our error"]
LIBRARY_LINES = ["WARNING their warning", "ERROR   their error"]


def run_and_capture_log(level_or_format: str, program: str = LOGGING_PROGRAM) -> tuple[str, list[str]]:
    """Run a program with one argument; return its stdout and the lines of its stderr."""
    result = subprocess.run(
        [sys.executable, "-c", program, level_or_format],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    return result.stdout, result.stderr.removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", [*OWN_LINES[:3], LIBRARY_LINES[0], OWN_LINES[3], LIBRARY_LINES[1], "WARNING early"]),
        ("info", [*OWN_LINES[1:3], LIBRARY_LINES[0], OWN_LINES[3], LIBRARY_LINES[1], "WARNING early"]),
        ("error", [OWN_LINES[3], LIBRARY_LINES[1]]),
    ],
)
def test_levels(level: str, expected: list[str]) -> None:
    """Lines on stderr have time and level; libraries log warnings and errors only."""
    stdout, lines = run_and_capture_log(level)
    traceback_start = lines.index("  Traceback (most recent call last):")
    messages = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines[:traceback_start]]
    assert stdout == ""
    assert messages == [*expected, "ERROR   it broke"]
    assert lines[-1] == "  SystemExit: gone"


HOSTILE_PROGRAM = """
import logging, sys
from graphql_api.logging import configure_logging, extra_fields

configure_logging("info", sys.argv[1])
ours = logging.getLogger("graphql_api.ours")
hostile = "a\\nb\\r\\x1b[31m\\x7f\\x85\\xad\\u200b\\u202e\\u2028\\u2066\\ufeff\\ud83c\\U000e0041\\\"\\'é"
ours.info("it is %s", hostile, extra=extra_fields(name=hostile, at=1.5, nothing=None))
try:
    raise ValueError(f"00:00:00 ERROR   forged\\n00:00:00 ERROR   forged {hostile[3:]}")
except ValueError:
    ours.exception("it broke")
"""


def test_console_lines_stay_whole() -> None:
    """Text from a client cannot break a line, imitate one, reorder its text, or control the terminal."""
    _, lines = run_and_capture_log("console", HOSTILE_PROGRAM)
    escaped = r"\r\x1b[31m\x7f\x85\xad\u200b\u202e\u2028\u2066\ufeff\ud83c\U000e0041" + "\"'é"
    assert lines[0][9:] == rf"INFO    it is a\nb{escaped}"
    assert lines[1][9:] == "ERROR   it broke"
    assert [line for line in lines[2:] if not line.startswith("  ")] == []
    assert "  ValueError: 00:00:00 ERROR   forged" in lines
    assert lines[-1] == f"  00:00:00 ERROR   forged {escaped}"
    assert [line for line in lines if not line.isprintable()] == []


def test_json() -> None:
    """Each event is one ASCII line, a JSON object with its fields, whatever their text."""
    _, lines = run_and_capture_log("json", HOSTILE_PROGRAM)
    records = [json.loads(record) for record in lines]
    times = [record.pop("time") for record in records]
    hostile = "a\nb\r\x1b[31m\x7f\x85\xad\u200b\u202e\u2028\u2066\ufeff\ud83c\U000e0041\"'é"
    assert records[0] == {
        "level": "info",
        "logger": "graphql_api.ours",
        "message": f"it is {hostile}",
        "name": hostile,
        "at": 1.5,
        "nothing": None,
    }
    exception = records[1].pop("exception")
    assert records[1:] == [{"level": "error", "logger": "graphql_api.ours", "message": "it broke"}]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith(f"forged\n00:00:00 ERROR   forged {hostile[3:]}\n")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    assert [record for record in lines if not (record.isascii() and record.isprintable())] == []
