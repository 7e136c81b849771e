"""Stock clients that use Server-Sent Events instead of WebSockets."""

import subprocess
from pathlib import Path

import pytest

from tests.support.processes import BUNDLED_SOURCES, running_server
from tests.support.wait import WAIT_TIMEOUT, wait_until

pytestmark = pytest.mark.slow

CLIENTS = ("graphql-sse", "urql with graphql-sse", "urql alone")


def test_clients(home: Path, tmp_path: Path) -> None:
    """graphql-sse's client, urql over it and urql alone execute a query, get an error, and follow a refresh."""
    with running_server(tmp_path, **BUNDLED_SOURCES, REFRESH_MIN_INTERVAL="0") as server:
        for name in CLIENTS:
            command = ["node", "event_streams.mjs", f"{server.url}/graphql", name]
            with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True) as program:
                assert program.stdout
                lines = [program.stdout.readline() for _ in range(3)]
                expected = ["New Zealand", "Cannot query field 'nothing' on type 'Query'.", "subscribed"]
                assert [line.rstrip() for line in lines] == expected, name
                # The subscription may begin a little later than its client says: refresh until it has seen one.

                def has_ended(program: subprocess.Popen[str] = program) -> bool:
                    server.query("mutation { refreshCountries { id } }")
                    return program.poll() is not None

                wait_until(has_ended)
                assert program.stdout.read() == "DONE 250\n", name
                assert program.wait(WAIT_TIMEOUT) == 0
        assert "Traceback" not in server.stderr
