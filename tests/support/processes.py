"""Running the real program: a command to its end, or a server for as long as a test needs it."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import httpx

from graphql_api.settings import Settings
from tests.support.paths import ROOT
from tests.support.wait import WAIT_TIMEOUT, wait_until

PROGRAM = (sys.executable, "-m", "graphql_api")

BUNDLED_SOURCES = {"COUNTRIES_SOURCES": "bundled", "RATES_SOURCES": "bundled"}
"""Settings with which nobody is asked."""
UNREACHABLE_SOURCES = {
    # Nobody listens on port 1.
    "COUNTRIES_SOURCES": "geonames=http://127.0.0.1:1/countries,bundled",
    "RATES_SOURCES": "er-api=http://127.0.0.1:1/rates,bundled",
}
"""Settings with which nobody answers."""


class CommandResult(NamedTuple):
    """What came of a command."""

    exit_code: int
    stdout: str
    stderr: str


def build_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that runs this tree and has these settings alone."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}


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


@dataclass(frozen=True)
class Process:
    """A program that runs; what it says goes into files that are in nobody's way."""

    _process: subprocess.Popen[bytes]
    _stdout: IO[bytes]
    _stderr: IO[bytes]

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """Return what it has said on stderr so far."""
        return _read_output(self._stderr)

    @property
    def stdout(self) -> str:
        """Return what it has printed so far."""
        return _read_output(self._stdout)

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait until stderr has a match of `pattern`, and return it."""
        deadline = time.monotonic() + WAIT_TIMEOUT
        while time.monotonic() < deadline:
            has_exited = self._process.poll() is not None
            if match := re.search(pattern, self.stderr):
                return match
            if has_exited:
                break
            time.sleep(0.005)
        raise AssertionError(f"no match of {pattern!r} in {self.stderr!r}")

    def send_signal(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(signum)

    def wait(self) -> CommandResult:
        """Wait for its end."""
        return CommandResult(self._process.wait(WAIT_TIMEOUT), self.stdout, self.stderr)

    def stop(self, signum: signal.Signals) -> CommandResult:
        """Send it a signal, and wait for its end."""
        self.send_signal(signum)
        return self.wait()

    @cached_property
    def url(self) -> str:
        """Return where a server listens, once it has said so."""
        return self.wait_for_log(r"(http://127\.0\.0\.1:\d+)\S* \((Ctrl-C stops|Press CTRL)")[1]

    @property
    def port(self) -> int:
        """Return the port that a server listens on."""
        return int(self.url.rpartition(":")[2])

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask over a socket."""
        return httpx.get(
            f"{self.url}{path}", headers=headers, trust_env=False, timeout=WAIT_TIMEOUT
        )

    def query(self, document: str, **headers: str) -> dict[str, Any]:
        """Ask a query over a socket, and return the whole answer."""
        response = httpx.post(
            f"{self.url}/graphql",
            json={"query": document},
            headers=headers,
            trust_env=False,
            timeout=WAIT_TIMEOUT,
        )
        body: dict[str, Any] = response.json()
        return body


def wait_for_port(port: int, *, listening: bool) -> None:
    """Wait until somebody listens on a port, or nobody does."""

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
            response = httpx.get(f"{url}/readyz", trust_env=False, timeout=WAIT_TIMEOUT)
            return response.status_code == 200
        return False

    wait_until(is_ready, f"{url} is not ready")


@contextmanager
def running_process(
    command: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> Iterator[Process]:
    """Run a command in a folder; it is killed when the context ends, if it still runs."""
    with (
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        ) as process,
    ):
        try:
            yield Process(process, stdout, stderr)
        finally:
            process.kill()


def running_command(
    folder: Path, *arguments: str, **variables: str
) -> AbstractContextManager[Process]:
    """Start a command of the program in a folder, for at most as long as the context lasts."""
    return running_process([*PROGRAM, *arguments], folder, build_environment(variables))


def running_server(folder: Path, **variables: str) -> AbstractContextManager[Process]:
    """Start a server in a folder, on a port that is free, for as long as the context lasts."""
    return running_command(folder, "serve", **{"PORT": "0", **variables})


def _read_output(file: IO[bytes]) -> str:
    # The process shares the file's position, which must stay at its end.
    return os.pread(file.fileno(), 1_000_000, 0).decode()


def list_paths(folder: Path) -> list[str]:
    """Return what is in a folder and below it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
