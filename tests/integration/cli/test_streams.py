"""Commands whose output cannot be written do their work, and say so by their exit code."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import http_client
from tests.support.environments import build_environment
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.processes import BUNDLED_SOURCES, PROGRAM, CommandResult, run_command, run_redirected
from tests.support.stored_refresh import StoredState, read_state
from tests.support.wait import WAIT_TIMEOUT

pytestmark = pytest.mark.slow

DATABASE = "countries.db"
REFRESH = "mutation { refreshCountries { totalCountries } }"
SETTINGS = {**BUNDLED_SOURCES, "DATABASE_URL": f"sqlite:///{DATABASE}"}
REFRESHED = StoredState(250, ["SUCCEEDED"], is_lease_held=False)
LOST = "graphql-api: The command is done, but its output could not be written: No space left on device.\n"
PRINTING_COMMANDS = ["refresh", "migrate", "schema", "--help", "--version", "refresh --help"]


def test_reader_that_leaves(tmp_path: Path, upstream: Upstream) -> None:
    """A refresh whose reader leaves in the middle goes on to its end, and exits as by SIGPIPE."""
    has_left = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=has_left.is_set))
    with subprocess.Popen(
        [*PROGRAM, "refresh"],
        cwd=tmp_path,
        env=build_environment({**SETTINGS, **upstream.environment}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"Started\n"
        process.stdout.close()
        has_left.set()
        _, stderr = process.communicate(timeout=WAIT_TIMEOUT)
    assert (process.returncode, stderr) == (128 + signal.SIGPIPE, b"")
    assert read_state(tmp_path / DATABASE) == REFRESHED


@pytest.mark.parametrize("command", PRINTING_COMMANDS)
def test_no_reader(tmp_path: Path, command: str) -> None:
    """A command whose output has no reader exits as by SIGPIPE, silently."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = subprocess.run(
            [*PROGRAM, *command.split()],
            cwd=tmp_path,
            env=build_environment(SETTINGS),
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=subprocess.PIPE,
            check=False,
            timeout=WAIT_TIMEOUT,
        )
    finally:
        os.close(write_end)
    assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("command", PRINTING_COMMANDS)
def test_full_disk(tmp_path: Path, command: str) -> None:
    """A command whose output fits on no disk says so in one line, and exits with 1."""
    result = run_redirected(tmp_path, ">/dev/full", *command.split(), **SETTINGS)
    assert result == CommandResult(1, "", LOST)


def test_full_disk_loses_no_refresh(tmp_path: Path) -> None:
    """A refresh is stored whole even if none of its output can be written."""
    assert run_redirected(tmp_path, ">/dev/full 2>&1", "refresh", **SETTINGS).exit_code == 1
    assert read_state(tmp_path / DATABASE) == REFRESHED


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, redirection: str) -> None:
    """A closed stream counts as the null device, and the database does not get its number."""
    result = run_redirected(tmp_path, redirection, "refresh", **SETTINGS)
    is_stdout_closed = ">&- " in f"{redirection} ".replace("2>&-", "")
    assert (result.exit_code, result.stdout == "", result.stderr) == (0, is_stdout_closed, "")
    assert read_state(tmp_path / DATABASE) == REFRESHED


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", ">&- 2>&-", ">/dev/full 2>&1"])
def test_failure_keeps_its_exit_code(tmp_path: Path, redirection: str) -> None:
    """A wrong setting exits with 2 and a wrong command too, although the reason cannot be written."""
    assert run_redirected(tmp_path, redirection, "migrate", PORT="http") == CommandResult(2, "", "")
    assert run_redirected(tmp_path, redirection, "migraet") == CommandResult(2, "", "")


def test_characters_that_the_terminal_lacks(tmp_path: Path) -> None:
    """Output that the encoding of stdout cannot represent is escaped."""
    code = "from graphql_api.cli.streams import *\nwith protected_streams(): print('\\xe9'); sys.exit(3)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=build_environment({"PYTHONIOENCODING": "ascii"}),
        capture_output=True,
        check=False,
        timeout=WAIT_TIMEOUT,
    )
    assert (result.returncode, result.stdout, result.stderr) == (3, b"\\xe9\n", b"")


def test_pipe_that_does_not_block(tmp_path: Path) -> None:
    """All output arrives through a non-blocking pipe, however slowly it is read."""
    expected = run_command(tmp_path, "schema").stdout
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # The smallest pipe: less than the schema.
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    with subprocess.Popen(
        [*PROGRAM, "schema"],
        cwd=tmp_path,
        env=build_environment({}),
        stdin=subprocess.DEVNULL,
        stdout=write_end,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(write_end)
        with os.fdopen(read_end, "rb", buffering=0) as pipe:
            chunks = list(iter(lambda: pipe.read(1000), b""))
        _, stderr = process.communicate(timeout=WAIT_TIMEOUT)
    assert (process.returncode, stderr, b"".join(chunks).decode()) == (0, b"", expected)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_without_its_log(tmp_path: Path, workers: str) -> None:
    """A server whose log has lost its reader serves on, and stops with exit code 0."""
    with subprocess.Popen(
        [*PROGRAM, "serve"],
        cwd=tmp_path,
        env=build_environment({**SETTINGS, "PORT": "0", "WORKERS": workers}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        greeting = next(line for line in process.stderr if "Ctrl-C stops" in line)
        process.stderr.close()
        (url,) = re.findall(r"http://127\.0\.0\.1:\d+/graphql", greeting)
        for _ in range(3):
            # A mutation is logged.
            response = http_client.post(url, json={"query": REFRESH})
            assert response.json()["data"] == {"refreshCountries": {"totalCountries": 250}}
        process.terminate()
        assert process.wait(WAIT_TIMEOUT) == 0
