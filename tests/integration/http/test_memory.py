"""Unique queries, documents and hashes: a server grows by no more than what its caches may hold."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.process_state import resident_bytes
from tests.support.processes import BUNDLED_SOURCES, Process, running_command
from tests.support.raw_http import RawConnection, open_connection

pytestmark = pytest.mark.slow

RESPONSE_CACHE_BYTES = 8_000_000
DOCUMENT_BYTES = 16_000_000
PERSISTED_BYTES = 8_000_000
PREPARED_BYTES = 16_000_000
"""Bounds of the other caches, which have no setting."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    """Run a server with a small response cache, whose first refresh is over."""
    with running_command(
        tmp_path, "serve", PORT="0", **BUNDLED_SOURCES, RESPONSE_CACHE_BYTES=str(RESPONSE_CACHE_BYTES)
    ) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process


def build_query(number: int) -> dict[str, object]:
    """Return a request of a known document for each two numbers, which is cached, with an answer of 40 bytes."""
    query = "query ($n: Int) { countries(first: $n) { totalCount } }"
    return {"query": query, "variables": {"n": number % 250}, "number": number // 2}


def build_document(number: int) -> dict[str, object]:
    """Return a document that has not been sent before."""
    return {"query": f"{{ a{number}: countries(first: 2) {{ nodes {{ code name }} totalCount }} }}"}


def build_persisted(number: int) -> dict[str, object]:
    """Return a document that has not been sent before, with its hash."""
    query = f'{{ b{number}: country(code: "FR") {{ name }} }} # {"x" * 9_000}'
    digest = hashlib.sha256(query.encode()).hexdigest()
    return {"query": query, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}


def send_all(connection: RawConnection, build: Callable[[int], dict[str, object]], numbers: range) -> None:
    """Send requests one after the other, each of which must get data."""
    for number in numbers:
        response = connection.post(json.dumps(build(number)).encode())
        assert (response.status, response.body.startswith(b'{"data":')) == (200, True), response.body


@pytest.mark.parametrize(
    ("build", "count", "limit"),
    [
        (build_query, 32_000, RESPONSE_CACHE_BYTES),
        (build_document, 900, RESPONSE_CACHE_BYTES + DOCUMENT_BYTES),
        (build_persisted, 1_200, DOCUMENT_BYTES + PERSISTED_BYTES),
    ],
)
def test_growth(server: Process, build: Callable[[int], dict[str, object]], count: int, limit: int) -> None:
    """A server that gets more than its caches hold grows by at most 1.3 times their limits."""
    with open_connection(server) as connection:
        for warm_up in (build_query, build_document, build_persisted):
            send_all(connection, warm_up, range(1_000_000, 1_000_100))
        before = resident_bytes(server.pid)
        send_all(connection, build, range(count))
        assert resident_bytes(server.pid) - before < 1.3 * limit
