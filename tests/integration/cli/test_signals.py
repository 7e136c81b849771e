"""Ctrl-C, SIGTERM and the end of a terminal, in each phase of a command: what it held is given back."""

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.environments import build_environment
from tests.support.fake_providers.server import COUNTRIES, FakeResponse, Upstream
from tests.support.process_state import child_pids, open_files
from tests.support.processes import (
    PROGRAM,
    CommandResult,
    Process,
    list_paths,
    running_command,
    running_process,
    running_server,
)
from tests.support.stored_refresh import StoredState, read_state
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow

DATABASE = "countries.db"
DATABASE_SETTINGS = {"DATABASE_URL": f"sqlite:///{DATABASE}", "DATABASE_TIMEOUT": "100"}
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
HANGING = FakeResponse(hold_until=threading.Event().is_set)
EMPTY = StoredState(0, [], is_lease_held=False)
ON_ALL_SIGNALS = pytest.mark.parametrize("signum", SIGNALS)


def wait_for_stdout(process: Process, text: str) -> None:
    """Wait until a command has printed a text."""
    wait_until(lambda: text in process.stdout, f"{text!r} is missing")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing to a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@ON_ALL_SIGNALS
@pytest.mark.parametrize("module", ["click", "sqlalchemy"])
def test_import(tmp_path: Path, signum: signal.Signals, module: str) -> None:
    """A signal while modules are imported ends a command without a traceback."""
    command = [sys.executable, "-X", "importtime", *PROGRAM[1:], "refresh"]
    with running_process(command, tmp_path, build_environment(DATABASE_SETTINGS)) as process:
        process.wait_for_log(rf"\| +{module}\.\w+\n")
        result = process.stop(signum)
    other_lines = [line for line in result.stderr.splitlines() if not line.startswith("import time:")]
    assert (result.exit_code, result.stdout, other_lines) == (128 + signum, "", [])
    assert list_paths(tmp_path) == []


@ON_ALL_SIGNALS
def test_fetch(tmp_path: Path, upstream: Upstream, signum: signal.Signals) -> None:
    """A signal while a provider hangs ends the refresh, which gives its lease back and stores nothing."""
    upstream.set_responses("countries", HANGING)
    with running_command(tmp_path, "refresh", **DATABASE_SETTINGS, **upstream.environment) as process:
        upstream.wait_for_requests("countries")
        wait_until(lambda: read_state(tmp_path / DATABASE).is_lease_held)
        result = process.stop(signum)
    assert (result.exit_code, result.stderr) == (128 + signum, "")
    assert read_state(tmp_path / DATABASE) == EMPTY


@ON_ALL_SIGNALS
def test_write(tmp_path: Path, upstream: Upstream, signum: signal.Signals) -> None:
    """A signal during the upsert waits for it: the refresh is stored, recorded, and gives its lease back."""
    may_respond = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=may_respond.is_set))
    with running_command(tmp_path, "refresh", **DATABASE_SETTINGS, **upstream.environment) as process:
        upstream.wait_for_requests("countries")
        wait_until(lambda: read_state(tmp_path / DATABASE).is_lease_held)
        with locked(tmp_path / DATABASE):
            may_respond.set()
            wait_for_stdout(process, "Writing 250 countries")
            process.send_signal(signum)
            assert read_state(tmp_path / DATABASE).countries == 0
        result = process.wait()
    assert (result.exit_code, result.stderr) == (128 + signum, "")
    assert read_state(tmp_path / DATABASE) == StoredState(250, ["SUCCEEDED"], is_lease_held=False)


def test_second_signal(tmp_path: Path, upstream: Upstream) -> None:
    """A second signal ends at once a refresh that waits for its database."""
    may_respond = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=may_respond.is_set))
    with running_command(tmp_path, "refresh", **DATABASE_SETTINGS, **upstream.environment) as process:
        upstream.wait_for_requests("countries")
        wait_until(lambda: read_state(tmp_path / DATABASE).is_lease_held)
        with locked(tmp_path / DATABASE):
            may_respond.set()
            wait_for_stdout(process, "Writing 250 countries")
            process.send_signal(signal.SIGINT)
            # Another one: the system merges two of a kind.
            result = process.stop(signal.SIGTERM)
    assert (result.exit_code, result.stderr) == (143, "")
    assert read_state(tmp_path / DATABASE).countries == 0


CLOSING = """
import asyncio, os
from graphql_api.cli.interruption import run_until_stopped
async def main(): pass
async def close():
    print("closing", flush=True)
    while not os.path.exists("may_close"): await asyncio.sleep(0.01)
    print("closed", flush=True)
run_until_stopped(main(), close)
print("a report")
"""


@ON_ALL_SIGNALS
def test_close(tmp_path: Path, signum: signal.Signals) -> None:
    """A signal while a command that is done gives back what it holds does not break that off."""
    with running_process([sys.executable, "-c", CLOSING], tmp_path, build_environment({})) as process:
        wait_for_stdout(process, "closing")
        process.send_signal(signum)
        (tmp_path / "may_close").touch()
        result = process.wait()
    assert result == CommandResult(128 + signum, "closing\nclosed\n", "")


@ON_ALL_SIGNALS
def test_migration(tmp_path: Path, signum: signal.Signals) -> None:
    """A signal while a migration waits for its lock ends it; nothing is migrated."""
    (tmp_path / DATABASE).touch()
    with locked(tmp_path / DATABASE), running_command(tmp_path, "migrate", **DATABASE_SETTINGS) as process:
        wait_until(lambda: DATABASE in open_files(process.pid))
        result = process.stop(signum)
    assert result == CommandResult(128 + signum, "", "")
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_hangup_that_is_turned_off(tmp_path: Path, upstream: Upstream) -> None:
    """Under nohup, the end of the terminal does not stop a refresh."""
    may_respond = threading.Event()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=may_respond.is_set))
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *PROGRAM, "refresh"]
    environment = build_environment({**DATABASE_SETTINGS, **upstream.environment})
    with running_process(command, tmp_path, environment) as process:
        upstream.wait_for_requests("countries")
        process.send_signal(signal.SIGHUP)
        may_respond.set()
        result = process.wait()
    assert (result.exit_code, result.stderr) == (0, "")
    assert read_state(tmp_path / DATABASE) == StoredState(250, ["SUCCEEDED"], is_lease_held=False)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_server_whose_terminal_closes(tmp_path: Path, upstream: Upstream, workers: str) -> None:
    """SIGHUP stops a server as SIGTERM does, and a running refresh gives its lease back."""
    upstream.set_responses("countries", HANGING)
    settings = {**DATABASE_SETTINGS, **upstream.environment, "WORKERS": workers}
    with running_server(tmp_path, **settings) as server:
        upstream.wait_for_requests("countries")
        wait_until(lambda: read_state(tmp_path / DATABASE).is_lease_held)
        for pid in child_pids(server.pid):
            os.kill(pid, signal.SIGHUP)
        result = server.stop(signal.SIGHUP)
    assert (result.exit_code, "ERROR" in result.stderr, "Traceback" in result.stderr) == (0, False, False)
    assert read_state(tmp_path / DATABASE) == StoredState(250, ["SUCCEEDED"], is_lease_held=False)
