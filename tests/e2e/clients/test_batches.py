"""Stock clients that send batches, against a real server."""

import json
from pathlib import Path

import pytest

from tests.support.npm.install import run_program
from tests.support.npm.recording_proxy import recording_proxy
from tests.support.processes import BUNDLED_SOURCES, running_server


@pytest.mark.slow
def test_batches(home: Path) -> None:
    """Apollo's BatchHttpLink and graphql-request send one request each, and find each result at its place."""
    with running_server(home, **BUNDLED_SOURCES) as server:
        server.wait_for_log(r"250 countries \(0 new")
        with recording_proxy(server) as recording:
            lines = run_program(home, "node", "batches.mjs", f"{recording.url}/graphql").splitlines()
            assert recording.take_exchanges() == ["POST batch of 2: 200", "POST batch of 4: 200"]
    assert [json.loads(line) for line in lines] == [
        [
            {"country": {"name": "France"}},
            "GRAPHQL_VALIDATION_FAILED",
            {"deleteCountry": {"name": "Zimbabwe"}},
            {"countries": {"totalCount": 249}},
        ],
        [{"country": {"name": "New Zealand"}}, {"countries": {"totalCount": 249}}],
    ]
