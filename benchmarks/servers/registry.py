"""The compared servers; each runs in its own process on its own core."""

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

from tests.support.environments import build_environment
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, PROGRAM, Process, running_process

SERVERS_DIR = Path(__file__).parent
INSTALL_DIR = ROOT / "var" / "servers"
"""Folder of the Node servers and their packages."""
_TIMEOUT = 60.0
"""Seconds until a server must have started."""
_NPM_TIMEOUT = 300.0

OURS, PLAIN, BARE = "this project", "plain Strawberry", "bare ASGI"
NODE_PROGRAMS = {"GraphQL Yoga": "yoga.mjs", "Apollo Server": "apollo.mjs", "Mercurius, JIT": "mercurius.mjs"}
"""Programs of the servers on Node, by name."""


@dataclass(frozen=True, slots=True)
class BenchmarkServer:
    """A running server."""

    url: str
    """URL of its GraphQL endpoint."""

    def post_json(self, body: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the parsed response."""
        return json.loads(self.post(body))

    def post(self, body: str) -> bytes:
        """Return the uncompressed bytes of the response."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        response = httpx.post(self.url, content=body, headers=headers, trust_env=False, timeout=_TIMEOUT)
        return response.raise_for_status().content


def taskset_commands() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the commands that pin server and load to a core; empty without taskset."""
    available_cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(available_cores) < 2 or shutil.which("taskset") is None:  # noqa: PLR2004 - one each
        return (), ()
    server_taskset, load_taskset = (("taskset", "--cpu-list", str(core)) for core in available_cores[:2])
    return server_taskset, load_taskset


@contextmanager
def leave_core_to_server(taskset: Sequence[str]) -> Iterator[None]:
    """Keep this process, and those that it starts, off the core of the server's `taskset`. Without one, do nothing."""
    if not taskset:
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {int(taskset[-1])})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def run_project(taskset: Sequence[str]) -> Iterator[BenchmarkServer]:
    """Run this project in production mode on its bundled data."""
    production = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": "sqlite:///var/countries.db",
        "ADMIN_TOKEN": "no-request-here-needs-it",
        "PUBLIC_URL": "https://countries.example",
        "LOG_LEVEL": "warning",
    }
    settings = {**BUNDLED_SOURCES, **production}
    with _start_server([*taskset, *PROGRAM, "serve"], settings) as server:
        yield server


@contextmanager
def run_asgi(module: str, taskset: Sequence[str], variables: Mapping[str, str]) -> Iterator[BenchmarkServer]:
    """Run an application of `benchmarks/servers` on uvicorn, as fast as that goes."""
    options = ("--no-access-log", "--log-level", "warning", "--port")
    program = (sys.executable, "-m", "uvicorn", f"benchmarks.servers.{module}:app", *options)
    with _start_server([*taskset, *program], variables) as server:
        yield server


@contextmanager
def run_node(program: str, taskset: Sequence[str], variables: Mapping[str, str]) -> Iterator[BenchmarkServer]:
    """Run a program of `benchmarks/servers` on Node, whose packages are installed."""
    settings = {"NODE_ENV": "production", **variables}
    with _start_server([*taskset, "node", f"{INSTALL_DIR / program}"], settings) as server:
        yield server


def has_node() -> bool:
    """Return whether Node and npm are installed."""
    return shutil.which("npm") is not None and shutil.which("node") is not None


def install_node_servers() -> None:
    """Install the servers on Node, unless they are installed."""
    INSTALL_DIR.mkdir(parents=True, exist_ok=True)
    with (INSTALL_DIR / "install.lock").open("w") as lock_file:
        # Tests run in several processes; one of them installs.
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        for path in SERVERS_DIR.iterdir():
            if path.suffix in (".graphql", ".json", ".mjs"):
                shutil.copy(path, INSTALL_DIR)
        _install_packages()


def _install_packages() -> None:
    package_lock = SERVERS_DIR / "package-lock.json"
    # Written last, so that an interrupted installation is repeated.
    installed_lock = INSTALL_DIR / "installed.json"
    if not installed_lock.exists() or installed_lock.read_bytes() != package_lock.read_bytes():
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],  # noqa: S607 - of PATH
            cwd=INSTALL_DIR,
            check=True,
            capture_output=True,
            timeout=_NPM_TIMEOUT,
        )
        shutil.copy(package_lock, installed_lock)


@contextmanager
def _start_server(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[BenchmarkServer]:
    port = _free_port()
    # uvicorn takes its port as an argument.
    full_command = [*command, str(port)] if command[-1] == "--port" else command
    settings = build_environment({"PORT": str(port), **variables})
    with tempfile.TemporaryDirectory() as folder, running_process(full_command, Path(folder), settings) as process:
        server = BenchmarkServer(f"http://127.0.0.1:{port}/graphql")
        _wait_until_ready(server, process)
        yield server


def _wait_until_ready(server: BenchmarkServer, process: Process) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while True:
        try:
            server.post_json('{"query": "{ countries(first: 1) { totalCount } }"}')
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{server.url} did not start: {process.stderr}") from None
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
