"""Where a refresh is measured: a database behind a relay, slow sources, and what it costs there."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.db_servers.mariadb import MariaDB
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream
from tests.support.tcp_proxy import TCPProxy

PROVIDER_DELAY = 2.5
"""Seconds that each source takes to answer."""
_QUIET_PERIOD = 0.2
"""Seconds, beyond some trips, without a round trip after which none is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshCost:
    """What one refresh cost."""

    seconds: float
    """Wall time, as its caller sees it."""
    trips_after_sources: int
    """Round trips to the database from the last source's answer until the refresh answered."""
    trips: int
    """All round trips to the database, those that nobody waited for included."""


@dataclass(slots=True)
class RefreshEnvironment:
    """A database of its own, near at first and with sources that answer at once."""

    url: str
    """Of the database, through the relay."""
    proxy: TCPProxy
    upstream: Upstream
    round_trip: float = 0
    """Seconds of a round trip."""
    _round_trips_at_response: int = field(default=0, init=False)

    def set_round_trip(self, round_trip: float) -> None:
        """Let each round trip take so many seconds, and each source its time."""
        self.round_trip = round_trip
        self.proxy.delay = round_trip / 2
        self._set_provider_delay(PROVIDER_DELAY)

    def measure(self, refresh: Callable[[], None]) -> RefreshCost:
        """Run a refresh that asks both sources, and wait until what follows it has ended too."""
        self._wait_until_idle()
        self.proxy.reset_counts()
        requests_before = len(self.upstream.requests)
        started_at = time.perf_counter()
        refresh()
        seconds = time.perf_counter() - started_at
        round_trips_after_sources = self.proxy.round_trips - self._round_trips_at_response
        self._wait_until_idle()
        if len(self.upstream.requests) != requests_before + 2:
            raise RuntimeError("the refresh has not asked each source once")
        return RefreshCost(
            seconds=seconds,
            trips_after_sources=round_trips_after_sources,
            trips=self.proxy.round_trips,
        )

    def _set_provider_delay(self, delay: float) -> None:
        # Without its next update a provider is asked each time, whatever today's date is.
        rates = {**json.loads(RATES), "time_next_update_unix": 0}
        for path, body in (("countries", COUNTRIES), ("rates", json.dumps(rates).encode())):
            self.upstream.set_responses(
                path, FakeResponse(body=body, delay=delay, hold_until=self._on_response)
            )

    def _on_response(self) -> bool:
        """Count the round trips so far; the upstream server calls it as it begins to answer."""
        self._round_trips_at_response = self.proxy.round_trips
        return True

    def _wait_until_idle(self) -> None:
        """Wait until no round trip is under way."""
        last_count = -1
        while last_count != self.proxy.round_trips:
            last_count = self.proxy.round_trips
            time.sleep(3 * self.round_trip + _QUIET_PERIOD)


@contextmanager
def refresh_environment(server: MariaDB) -> Iterator[RefreshEnvironment]:
    """Lend a stage with an empty database of the server."""
    with TCPProxy(server.port) as proxy, Upstream() as upstream:
        environment = RefreshEnvironment(
            server.url(server.create_database(), port=proxy.port), proxy, upstream
        )
        environment._set_provider_delay(0)  # noqa: SLF001 - the stage is made here alone
        yield environment
