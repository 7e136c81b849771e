"""Counts of what each client holds: connections, requests or WebSockets, up to a maximum."""

import math
from collections.abc import Callable

from graphql_api.http.errors import build_too_many, build_unavailable
from graphql_api.http.forwarded import group_address


class ClientCounts:
    """Counts by address, or by IPv6 network of 64 bits. Addresses that hold nothing take no memory."""

    def __init__(self, maximum: int, *, is_exempt: Callable[[str | None], bool] = lambda _: False) -> None:
        """Let each client hold `maximum`. Addresses that are exempt are not counted."""
        self.maximum = maximum
        self._is_exempt = is_exempt
        self._counts: dict[str, int] = {}

    def add(self, address: str | None) -> bool:
        """Count one more, and return whether the client may hold it."""
        if self._is_exempt(address):
            return True
        client = group_address(address or "")
        self._counts[client] = self._counts.get(client, 0) + 1
        return self._counts[client] <= self.maximum

    def remove(self, address: str | None) -> None:
        """Count one less."""
        if self._is_exempt(address):
            return
        client = group_address(address or "")
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]


class ConcurrencyLimits:
    """Bounds what is served at a time, such as requests or streams: of all clients, and of each."""

    def __init__(self, per_client: int, *, total: float = math.inf) -> None:
        self._per_client = ClientCounts(per_client)
        self._total = total
        self._count = 0

    def add(self, client: str | None, things: str) -> None:
        """Count one more of a client's `things`.

        Raises:
            HTTPRejection: It is one too many, and not counted.
        """
        if self._count >= self._total:
            raise build_unavailable(f"There are too many {things}; try again.")
        if not self._per_client.add(client):
            self._per_client.remove(client)
            raise build_too_many(things, self._per_client.maximum)
        self._count += 1

    def remove(self, client: str | None) -> None:
        """Count one less."""
        self._count -= 1
        self._per_client.remove(client)
