"""Stock clients with persisted queries by GET, over an HTTP cache."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fake_providers.server import Upstream
from tests.support.npm.recording_proxy import ProxyRecording, recording_proxy
from tests.support.processes import run_command, running_server


class PageLoader:
    """A program that loads pages."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Use a running program."""
        self._process = process

    def load(self, page: str) -> str:
        """Load a page, and return its text."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{page}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip()


@contextmanager
def start_page_loader(home: Path, recording: ProxyRecording) -> Iterator[PageLoader]:
    """Start a program with an HTTP cache of its own."""
    with subprocess.Popen(
        ["node", "persisted.mjs", f"{recording.url}/graphql"],
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield PageLoader(process)
            assert process.stdin
            process.stdin.close()
            assert process.wait(30) == 0
        finally:
            process.kill()


NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
UNKNOWN_QUERY_EXCHANGES = {
    # The media type that a client prefers decides on the status; see decision 12.
    "apollo": [f"GET hash: 400 {NOT_FOUND}", "POST hash and document: 200"],
    "urql": [f"GET hash: 200 {NOT_FOUND}", "GET hash and document: 200"],
}
"""Exchanges of each client for a query that the server does not know."""
UNKNOWN_MUTATION_EXCHANGES = {
    "apollo": ["POST hash and document: 200", f"POST hash: 400 {NOT_FOUND}"],
    "urql": ["POST hash and document: 200", f"POST hash: 200 {NOT_FOUND}"],
}
"""Exchanges of each client for a mutation that the server does not know."""


SAFELISTED_HEADERS = {
    *("accept-encoding", "connection", "content-length", "host", "if-none-match", "user-agent"),
    "accept",
}
"""Headers that pages do not set, or may set without a preflight request."""


@pytest.fixture
def database(tmp_path: Path, upstream: Upstream) -> dict[str, str]:
    """Return the settings of servers of live data, which do not refresh when they start."""
    settings = {**upstream.environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}"}
    assert run_command(tmp_path, "refresh", **settings).exit_code == 0
    return settings


@pytest.mark.slow
@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_pages(home: Path, database: dict[str, str], client: str) -> None:
    """Clients send a hash, then once its document, then hashes by GET alone, and get 304."""
    with (
        running_server(home, **database) as server,
        recording_proxy(server) as recording,
        start_page_loader(home, recording) as page_loader,
    ):
        # Two documents are unknown; the second is requested with other variables, too.
        assert page_loader.load(client) == "250 France New Zealand"
        assert recording.take_exchanges() == sorted(
            [*UNKNOWN_QUERY_EXCHANGES[client], *UNKNOWN_QUERY_EXCHANGES[client], "GET hash: 200"]
        )
        # Responses to a GET are in the HTTP cache; responses to a document's POST are not.
        assert page_loader.load(client) == "250 France New Zealand"
        assert recording.take_exchanges() == ["GET hash and tag: 304", "GET hash: 200", "GET hash: 200"]
        assert page_loader.load(client) == "250 France New Zealand"
        assert recording.take_exchanges() == ["GET hash and tag: 304"] * 3
        assert page_loader.load(f"{client} delete") == "FR"
        assert recording.take_exchanges() == UNKNOWN_MUTATION_EXCHANGES[client]
        # The data has changed, and so have the ETags.
        assert page_loader.load(client) == "249 undefined New Zealand"
        assert recording.take_exchanges() == ["GET hash and tag: 200"] * 3
        assert page_loader.load(client) == "249 undefined New Zealand"
        assert recording.take_exchanges() == ["GET hash and tag: 304"] * 3
        # A page of another origin needs no other header allowed.
        assert recording.header_names - SAFELISTED_HEADERS == {"content-type"}


@pytest.mark.slow
def test_replicas(home: Path, database: dict[str, str]) -> None:
    """When each hash goes to the replica without the document, every query still succeeds."""
    with (
        running_server(home, **database) as first_replica,
        running_server(home, **database) as second_replica,
        recording_proxy(first_replica, second_replica) as recording,
        start_page_loader(home, recording) as page_loader,
    ):
        # In turn: one replica gets the hash, the other the document.
        for _ in range(2):
            assert page_loader.load("apollo") == "250 France New Zealand"
            assert recording.take_exchanges() == sorted(UNKNOWN_QUERY_EXCHANGES["apollo"] * 3)
