"""Stock clients with persisted queries by GET, over an HTTP cache, as the server sees them."""

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
        """Ask this one."""
        self._process = process

    def load(self, page: str) -> str:
        """Load a page, and return what it shows."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{page}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip()


@contextmanager
def start_page_loader(home: Path, recording: ProxyRecording) -> Iterator[PageLoader]:
    """Start a program whose HTTP cache lasts as long as the context."""
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
    # Which of the media types a client prefers decides on the status; see decision 59.
    "apollo": [f"GET hash: 400 {NOT_FOUND}", "POST hash and document: 200"],
    "urql": [f"GET hash: 200 {NOT_FOUND}", "GET hash and document: 200"],
}
"""What a client does with a query that the server does not know."""
UNKNOWN_MUTATION_EXCHANGES = {
    "apollo": ["POST hash and document: 200", f"POST hash: 400 {NOT_FOUND}"],
    "urql": ["POST hash and document: 200", f"POST hash: 200 {NOT_FOUND}"],
}
"""What it does with a mutation that is not known."""


SAFELISTED_HEADERS = {
    *("accept-encoding", "connection", "content-length", "host", "if-none-match", "user-agent"),
    "accept",
}
"""Headers that pages do not set, or may set without asking first."""


@pytest.fixture
def database(tmp_path: Path, upstream: Upstream) -> dict[str, str]:
    """Return the settings of servers of live data, which do not refresh when they start."""
    settings = {**upstream.environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'shared.db'}"}
    assert run_command(tmp_path, "refresh", **settings).exit_code == 0
    return settings


@pytest.mark.slow
@pytest.mark.parametrize("client", ["apollo", "urql"])
def test_pages(home: Path, database: dict[str, str], client: str) -> None:
    """A hash is sent, then once its document, then hashes by GET alone, answered by 304."""
    with (
        running_server(home, **database) as server,
        recording_proxy(server) as recording,
        start_page_loader(home, recording) as page_loader,
    ):
        # Two documents are not known; the second is asked with other variables, too.
        assert page_loader.load(client) == "250 France New Zealand"
        assert recording.take_exchanges() == sorted(
            [*UNKNOWN_QUERY_EXCHANGES[client], *UNKNOWN_QUERY_EXCHANGES[client], "GET hash: 200"]
        )
        # What came by GET alone is in the HTTP cache. What came with its document is not.
        assert page_loader.load(client) == "250 France New Zealand"
        assert recording.take_exchanges() == [
            "GET hash and tag: 304",
            "GET hash: 200",
            "GET hash: 200",
        ]
        assert page_loader.load(client) == "250 France New Zealand"
        assert recording.take_exchanges() == ["GET hash and tag: 304"] * 3
        assert page_loader.load(f"{client} delete") == "FR"
        assert recording.take_exchanges() == UNKNOWN_MUTATION_EXCHANGES[client]
        # The data has changed, and so the tags are others.
        assert page_loader.load(client) == "249 undefined New Zealand"
        assert recording.take_exchanges() == ["GET hash and tag: 200"] * 3
        assert page_loader.load(client) == "249 undefined New Zealand"
        assert recording.take_exchanges() == ["GET hash and tag: 304"] * 3
        # What a page from elsewhere has to be allowed is no more than this.
        assert recording.header_names - SAFELISTED_HEADERS == {"content-type"}


@pytest.mark.slow
def test_replicas(home: Path, database: dict[str, str]) -> None:
    """At worst each hash goes to the replica that never got the document: all is answered."""
    with (
        running_server(home, **database) as first_replica,
        running_server(home, **database) as second_replica,
        recording_proxy(first_replica, second_replica) as recording,
        start_page_loader(home, recording) as page_loader,
    ):
        # By turns: one is asked by hash, and two gets the document.
        for _ in range(2):
            assert page_loader.load("apollo") == "250 France New Zealand"
            assert recording.take_exchanges() == sorted(UNKNOWN_QUERY_EXCHANGES["apollo"] * 3)
