"""The servers that are compared, each in a process of its own, on a core of its own."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.cli.running import BUNDLED, PROGRAM, ROOT, Process, environment, running

PEERS = Path(__file__).parent / "peers"
INSTALLED = ROOT / "var" / "peers"
"""Where they are copied to, and their packages installed."""
_PATIENCE = 60.0
"""Seconds that a server has to start in."""
_NPM_PATIENCE = 300.0

OURS, PLAIN, BARE = "this project", "plain Strawberry", "bare ASGI"
NODE = {
    "GraphQL Yoga": "yoga.mjs",
    "Apollo Server": "apollo.mjs",
    "Mercurius, JIT": "mercurius.mjs",
}
"""The servers that run on Node, and their programs."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs."""

    url: str
    """Of its GraphQL."""

    def answer(self, body: str) -> Any:  # noqa: ANN401 - whatever it says
        """Return what it answers."""
        return json.loads(self.bytes(body))

    def bytes(self, body: str) -> bytes:
        """Return the same as it comes, without compression."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        response = httpx.post(
            self.url, content=body, headers=headers, trust_env=False, timeout=_PATIENCE
        )
        return response.raise_for_status().content


def cores() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what chooses the core of a server, and that of the load: nothing, without taskset."""
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(available) < 2 or shutil.which("taskset") is None:  # noqa: PLR2004 - one each
        return (), ()
    server, load = (("taskset", "--cpu-list", str(core)) for core in available[:2])
    return server, load


@contextmanager
def ours(pinned: Sequence[str]) -> Iterator[Contender]:
    """Run this project as in production, on its bundled data."""
    production = {
        "ENVIRONMENT": "production",
        "ADMIN_TOKEN": "no-request-here-needs-it",
        "PUBLIC_URL": "https://countries.example",
        "LOG_LEVEL": "warning",
    }
    settings = {**BUNDLED, **production}
    with _started([*pinned, *PROGRAM, "serve"], settings) as contender:
        yield contender


@contextmanager
def asgi(module: str, pinned: Sequence[str], variables: Mapping[str, str]) -> Iterator[Contender]:
    """Run an application of `peers` on uvicorn, as fast as that goes."""
    options = ("--no-access-log", "--log-level", "warning", "--port")
    program = (sys.executable, "-m", "uvicorn", f"benchmarks.peers.{module}:app", *options)
    with _started([*pinned, *program], variables) as contender:
        yield contender


@contextmanager
def node(program: str, pinned: Sequence[str], variables: Mapping[str, str]) -> Iterator[Contender]:
    """Run a program of `peers` on Node, whose packages are installed."""
    settings = {"NODE_ENV": "production", **variables}
    with _started([*pinned, "node", f"{INSTALLED / program}"], settings) as contender:
        yield contender


def has_node() -> bool:
    """Tell whether there is Node, with npm."""
    return shutil.which("npm") is not None and shutil.which("node") is not None


def install() -> None:
    """Install the servers that run on Node, unless they are; there is Node."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "busy").open("w") as busy:
        # Tests run in several processes, and one of them is enough for this.
        fcntl.flock(busy, fcntl.LOCK_EX)
        for path in PEERS.iterdir():
            if path.suffix in (".graphql", ".json", ".mjs"):
                shutil.copy(path, INSTALLED)
        _install_packages()


def _install_packages() -> None:
    lock = PEERS / "package-lock.json"
    # Written last: what was interrupted is done again.
    done = INSTALLED / "installed.json"
    if not done.exists() or done.read_bytes() != lock.read_bytes():
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],  # noqa: S607 - of PATH
            cwd=INSTALLED,
            check=True,
            capture_output=True,
            timeout=_NPM_PATIENCE,
        )
        shutil.copy(lock, done)


@contextmanager
def _started(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[Contender]:
    port = _free_port()
    # uvicorn takes its port as an argument.
    complete = [*command, str(port)] if command[-1] == "--port" else command
    settings = environment({"PORT": str(port), **variables})
    with (
        tempfile.TemporaryDirectory() as folder,
        running(complete, Path(folder), settings) as process,
    ):
        contender = Contender(f"http://127.0.0.1:{port}/graphql")
        _wait_for(contender, process)
        yield contender


def _wait_for(contender: Contender, process: Process) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            contender.answer('{"query": "{ countries(first: 1) { totalCount } }"}')
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{contender.url} has not started: {process.said}") from None
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
