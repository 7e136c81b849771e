"""Environment of a measured refresh: a database behind a proxy, and slow sources."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tests.support.db_servers.mariadb import MariaDB
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream, world_bank_responder
from tests.support.tcp_proxy import TCPProxy

PROVIDER_DELAY = 2.5
"""Seconds until each source responds."""
_QUIET_PERIOD = 0.2
"""Seconds without a round trip, beyond three round trips, that mean the server is idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshCost:
    """Time and round trips of one refresh."""

    seconds: float
    """Wall time that the caller waits."""
    trips_after_sources: int
    """Database round trips from the last source's response until the refresh responded."""
    trips: int
    """All database round trips, including those after the response."""


@dataclass(slots=True)
class RefreshEnvironment:
    """A database and sources; both respond at once until `set_round_trip`."""

    url: str
    """URL of the database, through the proxy."""
    proxy: TCPProxy
    upstream: Upstream
    round_trip: float = 0
    """Seconds of a round trip."""
    _round_trips_at_response: int = field(default=0, init=False)

    def set_round_trip(self, round_trip: float) -> None:
        """Set the seconds of each round trip, and delay the sources."""
        self.round_trip = round_trip
        self.proxy.delay = round_trip / 2
        self._set_provider_delay(PROVIDER_DELAY)

    def measure(self, refresh: Callable[[], None]) -> RefreshCost:
        """Measure a refresh, including the work that follows its response."""
        self._wait_until_idle()
        self.proxy.reset_counts()
        requests_before = self._count_required_requests()
        started_at = time.perf_counter()
        refresh()
        seconds = time.perf_counter() - started_at
        round_trips_after_sources = self.proxy.round_trips - self._round_trips_at_response
        self._wait_until_idle()
        if self._count_required_requests() != requests_before + 2:
            raise RuntimeError("The refresh did not request countries and rates once.")
        return RefreshCost(seconds=seconds, trips_after_sources=round_trips_after_sources, trips=self.proxy.round_trips)

    def _count_required_requests(self) -> int:
        return self.upstream.request_count("countries") + self.upstream.request_count("rates")

    def _set_provider_delay(self, delay: float) -> None:
        # Without a next update in the future, the provider is requested on any date.
        rates = {**json.loads(RATES), "time_next_update_unix": 0}
        for path, body in (("countries", COUNTRIES), ("rates", json.dumps(rates).encode())):
            self.upstream.set_responses(path, FakeResponse(body=body, delay=delay, hold_until=self._on_response))
        respond = world_bank_responder()
        self.upstream.set_responses(
            "statistics", lambda request: replace(respond(request), delay=delay, hold_until=self._on_response)
        )

    def _on_response(self) -> bool:
        """Store the round trips so far; called when a source responds."""
        self._round_trips_at_response = self.proxy.round_trips
        return True

    def _wait_until_idle(self) -> None:
        """Block until there are no more round trips."""
        last_count = -1
        while last_count != self.proxy.round_trips:
            last_count = self.proxy.round_trips
            time.sleep(3 * self.round_trip + _QUIET_PERIOD)


@contextmanager
def refresh_environment(server: MariaDB) -> Iterator[RefreshEnvironment]:
    """Yield an environment with an empty database."""
    with TCPProxy(server.port) as proxy, Upstream() as upstream:
        environment = RefreshEnvironment(server.url(server.create_database(), port=proxy.port), proxy, upstream)
        environment._set_provider_delay(0)  # noqa: SLF001 - only this function creates it
        yield environment
