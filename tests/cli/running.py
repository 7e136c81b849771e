"""Running the real program: a command to its end, or a server for as long as a test needs it."""

import os
import re
import signal
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

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "graphql_api")
PATIENCE = 120.0
"""Seconds after which a wait is a failure of the test; no test that passes waits so long."""

BUNDLED = {"COUNTRIES_SOURCES": "bundled", "RATES_SOURCES": "bundled"}
"""Settings with which nobody is asked."""
UNREACHABLE = {
    # Nobody listens on port 1.
    "COUNTRIES_SOURCES": "geonames=http://127.0.0.1:1/countries,bundled",
    "RATES_SOURCES": "er-api=http://127.0.0.1:1/rates,bundled",
}
"""Settings with which nobody answers."""


class Ended(NamedTuple):
    """What came of a command."""

    code: int
    stdout: str
    stderr: str


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that runs this tree and has these settings alone."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}


def run(folder: Path, *arguments: str, **variables: str) -> Ended:
    """Run a command to its end in a folder."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


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
    def said(self) -> str:
        """Return what it has said on stderr so far."""
        return _read(self._stderr)

    @property
    def stdout(self) -> str:
        """Return what it has printed so far."""
        return _read(self._stdout)

    def wait_until_said(self, pattern: str) -> re.Match[str]:
        """Wait until stderr has a match of `pattern`, and return it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ended = self._process.poll() is not None
            if found := re.search(pattern, self.said):
                return found
            if ended:
                break
            time.sleep(0.005)
        raise AssertionError(f"{pattern!r} was not said, but {self.said!r}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> Ended:
        """Wait for its end."""
        return Ended(self._process.wait(PATIENCE), self.stdout, self.said)

    def end(self, number: signal.Signals) -> Ended:
        """Send it a signal, and wait for its end."""
        self.send(number)
        return self.wait()

    @cached_property
    def url(self) -> str:
        """Return where a server listens, once it has said so."""
        return self.wait_until_said(r"(http://127\.0\.0\.1:\d+)\S* \(Ctrl-C stops\)\W")[1]

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask over a socket."""
        return httpx.get(f"{self.url}{path}", headers=headers, trust_env=False, timeout=PATIENCE)

    def query(self, text: str, **headers: str) -> dict[str, Any]:
        """Ask a query over a socket, and return the whole answer."""
        response = httpx.post(
            f"{self.url}/graphql",
            json={"query": text},
            headers=headers,
            trust_env=False,
            timeout=PATIENCE,
        )
        answer: dict[str, Any] = response.json()
        return answer


def wait_until_ready(url: str) -> None:
    """Wait until a server has data to serve."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", trust_env=False, timeout=PATIENCE).status_code == 200:
                return
        time.sleep(0.02)
    raise AssertionError(f"{url} is not ready")


@contextmanager
def running(
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


def started(folder: Path, *arguments: str, **variables: str) -> AbstractContextManager[Process]:
    """Start a command of the program in a folder, for at most as long as the context lasts."""
    return running([*PROGRAM, *arguments], folder, environment(variables))


def serving(folder: Path, **variables: str) -> AbstractContextManager[Process]:
    """Start a server in a folder, on a port that is free, for as long as the context lasts."""
    return started(folder, "serve", **{"PORT": "0", **variables})


def _read(file: IO[bytes]) -> str:
    # The process shares the file's position, which must stay at its end.
    return os.pread(file.fileno(), 1_000_000, 0).decode()


def names(folder: Path) -> list[str]:
    """Return what is in a folder and below it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
