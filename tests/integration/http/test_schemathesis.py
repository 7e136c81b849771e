"""Schemathesis, a fuzzer, finds no response of a real server that is the server's fault."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import BUNDLED_SOURCES, running_server

EXAMPLES = 50
"""Documents drawn for each root field."""


@pytest.mark.slow
def test_no_failure_of_the_server(tmp_path: Path) -> None:
    """No drawn document, refreshes included, makes the server fail."""
    program = Path(sys.executable).with_name("schemathesis")
    with running_server(tmp_path, **BUNDLED_SOURCES) as server:
        server.wait_for_log("Ctrl-C stops")
        completed = subprocess.run(
            [
                *(program, "run", f"{server.url}/graphql", "--checks", "not_a_server_error"),
                *("--max-examples", str(EXAMPLES), "--no-color", "--phases", "fuzzing"),
                # It does not know COUNTRY_NOT_FOUND, and takes it for a failure of the server.
                *("--exclude-name", "Mutation.deleteCountry"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert " ERROR " not in server.stderr
    match = re.search(r"(\d+) generated, (\d+) passed\n", completed.stdout)
    assert completed.returncode == 0, completed.stdout
    assert match is not None, completed.stdout
    assert match[1] == match[2]
    assert int(match[1]) > EXAMPLES
