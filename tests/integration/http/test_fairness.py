"""One client's long queries: those of others overtake them, and new connections are served meanwhile."""

import json
import select
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.expensive_queries import FIELDS
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import RawConnection, is_usable, open_connection, request_head

COUNT = 64


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server whose first refresh is over."""
    with running_server(tmp_path_factory.mktemp("fairness"), **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process


def build_long_query(number: int) -> bytes:
    """Return a request of a new document whose response is 800 KB."""
    selection = " ".join(f"a{number}x{index}: countries {{ nodes {{ {FIELDS} }} }}" for index in range(19))
    body = json.dumps({"query": f"{{ {selection} }}"}).encode()
    return request_head(Content_Length=str(len(body)), X_Forwarded_For="192.0.2.1") + body


def count_responses(connections: list[RawConnection]) -> int:
    """Return how many connections have at least the start of a response."""
    readable, _, _ = select.select([connection.socket for connection in connections], [], [], 0)
    return len(readable)


def test_others_overtake(server: Process) -> None:
    """With 64 long queries under way, a known query, a long one of another client and 20 probes are served at once."""
    with ExitStack() as stack:
        busy = [stack.enter_context(open_connection(server)) for _ in range(COUNT)]
        known, other = (stack.enter_context(open_connection(server)) for _ in range(2))
        assert is_usable(known)
        for number, connection in enumerate(busy):
            connection.send(build_long_query(number))
        other.send(build_long_query(COUNT).replace(b"192.0.2.1", b"192.0.2.2"))
        assert is_usable(known)
        probes = [stack.enter_context(open_connection(server)) for _ in range(20)]
        for probe in probes:
            probe.send(request_head("GET /healthz"))
        assert [probe.read_response("GET").status for probe in probes] == [200] * 20
        assert other.read_response().status == 200
        assert count_responses(busy) < COUNT // 2
        assert [connection.read_response().status for connection in busy] == [200] * COUNT
