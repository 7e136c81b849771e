"""The limit of open files: raised if allowed; otherwise MAX_CONNECTIONS is lowered, and the log says so."""

import re
import socket
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.support.environments import build_environment
from tests.support.processes import BUNDLED_SOURCES, PROGRAM, Process, running_process

pytestmark = pytest.mark.slow

REFRESH = "mutation { refreshCountries { totalCountries } }"
WITH_10_CONNECTIONS = {**BUNDLED_SOURCES, "DATABASE_POOL_SIZE": "4", "DATABASE_MAX_OVERFLOW": "6", "PORT": "0"}
"""Settings for which 120 files are reserved."""


def running_with_limit(folder: Path, limit: str, **variables: str) -> AbstractContextManager[Process]:
    """Run a server in a folder, after `ulimit` with these arguments."""
    command = ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", *PROGRAM, "serve"]
    return running_process(command, folder, build_environment({**WITH_10_CONNECTIONS, **variables}))


def soft_limit(server: Process) -> int:
    """Return the soft limit of open files of a process."""
    limits = Path(f"/proc/{server.pid}/limits").read_text("ascii")
    return int(re.findall(r"^Max open files +(\d+)", limits, re.MULTILINE)[0])


@pytest.mark.parametrize(("max_connections", "expected"), [("500", 620), ("80", 200), ("79", 200)])
def test_soft_limit(tmp_path: Path, max_connections: str, expected: int) -> None:
    """The soft limit is raised as far as MAX_CONNECTIONS needs, silently."""
    with running_with_limit(tmp_path, "-Sn 200", MAX_CONNECTIONS=max_connections) as server:
        assert server.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250}}
        assert soft_limit(server) == expected
        assert "MAX_CONNECTIONS" not in server.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_hard_limit(tmp_path: Path, workers: str) -> None:
    """Below a hard limit, more clients than it allows neither stop refreshes nor new clients."""
    with ExitStack() as stack:
        server = stack.enter_context(running_with_limit(tmp_path, "-n 200", WORKERS=workers))
        address = ("127.0.0.1", server.port)
        for _ in range(600):
            stack.enter_context(socket.create_connection(address))
        for _ in range(5):
            assert server.query(REFRESH)["data"] == {"refreshCountries": {"totalCountries": 250}}
        warning = (
            "WARNING MAX_CONNECTIONS is 80 instead of 500: the limit of open files is 200 (ulimit -n), "
            "and the database and others may need 120. Raise the limit to 620.\n"
        )
        assert server.stderr.count(warning) == 1
        assert re.findall("ERROR|Too many open files|Traceback", server.stderr) == []


def test_no_room(tmp_path: Path) -> None:
    """A limit that leaves no room for a connection is refused with the numbers."""
    with running_with_limit(tmp_path, "-n 120") as server:
        exit_code, stdout, stderr = server.wait()
    assert (exit_code, stdout) == (2, "")
    assert stderr == (
        "graphql-api: MAX_CONNECTIONS is 500, but the limit of open files is 120 (ulimit -n), and the database and "
        "others may need 120. Raise the limit to 620, or lower DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW.\n"
    )
