"""Processes of the program: a command run to its end, or a server that runs during a test."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import httpx

from graphql_api.settings import Settings
from tests.support import http_client
from tests.support.environments import build_environment
from tests.support.fork_server import ForkedProgram, shared_fork_server
from tests.support.wait import WAIT_TIMEOUT, wait_until

PROGRAM = (sys.executable, "-m", "graphql_api")

BUNDLED_SOURCES = {"COUNTRIES_SOURCES": "bundled", "RATES_SOURCES": "bundled", "STATISTICS_SOURCES": "bundled"}
"""Settings without requests to providers."""
UNREACHABLE_SOURCES = {
    # No server listens on port 1.
    "COUNTRIES_SOURCES": "geonames=http://127.0.0.1:1/countries,bundled",
    "RATES_SOURCES": "er-api=http://127.0.0.1:1/rates,bundled",
    "STATISTICS_SOURCES": "world-bank=http://127.0.0.1:1/statistics,bundled",
}
"""Settings with providers that refuse connections."""


class CommandResult(NamedTuple):
    """Exit code and output of a command."""

    exit_code: int
    stdout: str
    stderr: str


def inherited_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without pytest, make and settings, but with `variables`."""
    own_names = {"PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    own_names |= {name for name in os.environ if name.startswith("PYTEST_")}
    own_names |= {name.upper() for name in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name not in own_names}
    return {**inherited, **BUNDLED_SOURCES, **variables}


def run_command(folder: Path, *arguments: str, **variables: str) -> CommandResult:
    """Run a command to its end in a folder."""
    completed = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=build_environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=WAIT_TIMEOUT,
    )
    return CommandResult(completed.returncode, completed.stdout, completed.stderr)


def run_redirected(folder: Path, redirection: str, *arguments: str, **variables: str) -> CommandResult:
    """Run a command to its end, with its streams redirected in the syntax of a shell."""
    completed = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, *arguments],
        cwd=folder,
        env=build_environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=WAIT_TIMEOUT,
    )
    return CommandResult(completed.returncode, completed.stdout, completed.stderr)


@dataclass(frozen=True)
class Process:
    """A running program. Its output goes to files, so that it never blocks."""

    _process: subprocess.Popen[bytes] | ForkedProgram
    _stdout: IO[bytes]
    _stderr: IO[bytes]

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """Return its stderr so far."""
        return _read_output(self._stderr)

    @property
    def stdout(self) -> str:
        """Return its stdout so far."""
        return _read_output(self._stdout)

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait until stderr has a match of `pattern`, and return it."""
        match: re.Match[str] | None = None

        def has_match_or_exited() -> bool:
            nonlocal match
            has_exited = self._process.poll() is not None
            match = re.search(pattern, self.stderr)
            return match is not None or has_exited

        with suppress(TimeoutError):
            wait_until(has_match_or_exited)
        assert match is not None, f"no match of {pattern!r} in {self.stderr!r}"
        return match

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal and return at once."""
        self._process.send_signal(signum)

    def wait(self) -> CommandResult:
        """Wait until the process has exited."""
        return CommandResult(self._process.wait(WAIT_TIMEOUT), self.stdout, self.stderr)

    def stop(self, signum: signal.Signals) -> CommandResult:
        """Send a signal and wait until the process has exited."""
        self.send_signal(signum)
        return self.wait()

    @cached_property
    def url(self) -> str:
        """Return the base URL of a server, once it has logged it."""
        return self.wait_for_log(r"(http://127\.0\.0\.1:\d+)\b.* \((Ctrl-C stops|Press CTRL)")[1]

    @property
    def port(self) -> int:
        """Return the port that a server listens on."""
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Send a GET request over a new connection."""
        return http_client.get(f"{self.url}{path}", headers=headers)

    def query(self, document: str, **headers: str) -> dict[str, Any]:
        """Send a query over a new connection, and return the JSON body of the response."""
        response = http_client.post(f"{self.url}/graphql", json={"query": document}, headers=headers)
        body: dict[str, Any] = response.json()
        return body


def wait_for_port(port: int, *, listening: bool) -> None:
    """Wait until a server listens on a port, or none does."""

    def is_listening() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionError:
            return False
        return True

    wait_until(lambda: is_listening() is listening, f"port {port}: listening is not {listening}")


def wait_until_ready(url: str) -> None:
    """Wait until a server has data to serve."""

    def is_ready() -> bool:
        with suppress(httpx.TransportError):
            response = http_client.get(f"{url}/readyz")
            return response.status_code == 200
        return False

    wait_until(is_ready, f"{url} is not ready")


@contextmanager
def running_process(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Iterator[Process]:
    """Run a command in a folder, and kill it at the end of the context if it still runs."""
    with (
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        ) as process,
    ):
        try:
            yield Process(process, stdout, stderr)
        finally:
            process.kill()


def running_command(folder: Path, *arguments: str, **variables: str) -> AbstractContextManager[Process]:
    """Run a command of the program in a folder, at most until the end of the context."""
    return running_process([*PROGRAM, *arguments], folder, build_environment(variables))


def running_server(folder: Path, **variables: str) -> AbstractContextManager[Process]:
    """Run a server in a folder, on a free port, until the end of the context. A fork starts four times as fast."""
    return _running_fork(folder, "serve", **{"PORT": "0", **variables})


def run_forked(folder: Path, *arguments: str, **variables: str) -> CommandResult:
    """Run a command to its end in a folder, in a fork of a process that has imported the program."""
    with _running_fork(folder, *arguments, **variables) as process:
        return process.wait()


@contextmanager
def _running_fork(folder: Path, *arguments: str, **variables: str) -> Iterator[Process]:
    with tempfile.NamedTemporaryFile() as stdout, tempfile.NamedTemporaryFile() as stderr:
        files = (Path(stdout.name), Path(stderr.name))
        program = shared_fork_server().fork(folder, arguments, build_environment(variables), *files)
        try:
            yield Process(program, stdout, stderr)
        finally:
            program.kill()
            program.wait(WAIT_TIMEOUT)


def _read_output(file: IO[bytes]) -> str:
    # The process shares the file's position, which must stay at its end.
    return os.pread(file.fileno(), 1_000_000, 0).decode()


def list_paths(folder: Path) -> list[str]:
    """Return the relative paths of all files and folders below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
