"""Limits of open connections: which one makes room, and when the new one is rejected."""

from dataclasses import dataclass

from graphql_api.http.client_counts import ClientCounts
from graphql_api.server.connection_limits import ConnectionLimits


@dataclass(eq=False)
class FakeConnection:
    """A connection that notes that it was closed."""

    address: str | None
    idle_since: float | None
    is_closed: bool = False

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def test_client_is_full() -> None:
    """A client's idlest connection makes room; without an idle one of its own, the new one is rejected."""
    limits = ConnectionLimits(100, ClientCounts(3))
    idle = [FakeConnection("192.0.2.1", time) for time in (5.0, 4.0)]
    busy, other = FakeConnection("192.0.2.1", None), FakeConnection("192.0.2.2", 1.0)
    connections = [*idle, busy, other]
    assert [limits.admit(connection, (), count=4) for connection in connections] == [None] * 4
    assert limits.admit(FakeConnection("192.0.2.1", 9.0), connections, count=5) is None
    assert [connection.is_closed for connection in connections] == [False, True, False, False]
    rejection = limits.admit(FakeConnection("192.0.2.1", 9.0), [busy, other], count=5)
    assert rejection is not None
    assert (rejection.status, rejection.headers) == (429, {"Retry-After": "1"})
    assert "too many connections from your address; at most 3 are served" in str(rejection)
    assert other.is_closed is False


def test_worker_is_full() -> None:
    """If all are too many, the idlest connection of any client makes room, or the new one is rejected with 503."""
    limits = ConnectionLimits(2, ClientCounts(3))
    connections = [FakeConnection("192.0.2.1", 5.0), FakeConnection("192.0.2.2", 4.0)]
    assert limits.admit(FakeConnection("192.0.2.3", 9.0), connections, count=3) is None
    assert [connection.is_closed for connection in connections] == [False, True]
    rejection = limits.admit(FakeConnection("192.0.2.3", 9.0), [FakeConnection("192.0.2.1", None)], count=3)
    assert rejection is not None
    assert rejection.status == 503
