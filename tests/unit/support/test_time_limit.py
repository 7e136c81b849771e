"""The time limit of tests: a hang is a failure of the test that hangs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.processes import inherited_environment
from tests.support.wait import WAIT_TIMEOUT

HANGING_TESTS = """
import asyncio, time, pytest

@pytest.mark.timeout(0.5)
def test_blocks():
    time.sleep(200)

@pytest.mark.timeout(0.5)
async def test_waits():
    await asyncio.sleep(200)

def test_goes_on():
    pass
"""


@pytest.mark.slow
def test_hang(tmp_path: Path) -> None:
    """A test that hangs fails under its name after the limit, and the next test runs."""
    (tmp_path / "test_hanging.py").write_text(HANGING_TESTS)
    options = ["-q", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=ROOT,
        env=inherited_environment(),
        capture_output=True,
        check=False,
        text=True,
    )
    failures = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    assert [failure.split("::")[1].split(" ")[0] for failure in failures] == ["test_blocks", "test_waits"]
    assert result.stdout.count("Failed: Timeout (>0.5s) from pytest-timeout.") >= 2
    assert "2 failed, 1 passed" in result.stdout


def test_limits(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> None:
    """Every test has a limit, which is longer than any wait of its helpers."""
    assert WAIT_TIMEOUT < float(pytestconfig.getini("timeout")) == 180
    assert request.node.get_closest_marker("timeout") is None


@pytest.mark.slow
def test_slow_limit(request: pytest.FixtureRequest) -> None:
    """A slow test has a longer limit."""
    assert request.node.get_closest_marker("timeout").args == (900,)
