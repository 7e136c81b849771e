"""Limits of open connections: of all clients, and of each one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from graphql_api.http.client_counts import ClientCounts
from graphql_api.http.errors import HTTPRejection, build_too_many, build_unavailable


class Connection(Protocol):
    """An HTTP connection."""

    address: str | None
    """IP address of the other end."""

    @property
    def idle_since(self) -> float | None:
        """Return the monotonic time since which the client has to send; None while it is served."""

    def close(self) -> None:
        """Close once the client has read what is written."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a worker has, and which one makes room for a new one."""

    max_connections: int
    per_client: ClientCounts

    def admit(self, new: Connection, others: Iterable[Connection], *, count: int) -> HTTPRejection | None:
        """Count a new connection of `count`, WebSockets included. One too many closes the one that is idle longest.

        Return the rejection of the new one if none of the others is idle.
        """
        has_room = self.per_client.add(new.address)
        if count > self.max_connections:
            rejection = build_unavailable("There are too many connections; try again.")
        elif not has_room:
            others = [connection for connection in others if connection.address == new.address]
            rejection = build_too_many("connections", self.per_client.maximum)
        else:
            return None
        idle = {connection: connection.idle_since for connection in others}
        times = {connection: since for connection, since in idle.items() if since is not None}
        if not times:
            return rejection
        min(times, key=lambda connection: times[connection]).close()
        return None
