"""Where a refresh is measured: a database behind a relay, slow sources, and what it costs there."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.servers.mariadb import MariaDB
from tests.servers.relay import Relay
from tests.upstream.server import COUNTRIES, RATES, Answer, Upstream

SOURCES = 2.5
"""Seconds that each source takes to answer."""
_QUIET = 0.2
"""Seconds, beyond some trips, without a round trip after which none is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one refresh cost."""

    seconds: float
    """Wall time, as its caller sees it."""
    trips_after_sources: int
    """Round trips to the database from the last source's answer until the refresh answered."""
    trips: int
    """All round trips to the database, those that nobody waited for included."""


@dataclass(slots=True)
class Stage:
    """A database of its own, near at first and with sources that answer at once."""

    url: str
    """Of the database, through the relay."""
    relay: Relay
    upstream: Upstream
    trip: float = 0
    """Seconds of a round trip."""
    _trips_at_answer: int = field(default=0, init=False)

    def move_away(self, trip: float) -> None:
        """Let each round trip take so many seconds, and each source its time."""
        self.trip = trip
        self.relay.delay = trip / 2
        self._play(SOURCES)

    def measure(self, refresh: Callable[[], None]) -> Cost:
        """Run a refresh that asks both sources, and wait until what follows it has ended too."""
        self._settle()
        self.relay.reset_counts()
        asked = len(self.upstream.requests)
        started = time.perf_counter()
        refresh()
        seconds = time.perf_counter() - started
        after_sources = self.relay.round_trips - self._trips_at_answer
        self._settle()
        if len(self.upstream.requests) != asked + 2:
            raise RuntimeError("the refresh has not asked each source once")
        return Cost(
            seconds=seconds, trips_after_sources=after_sources, trips=self.relay.round_trips
        )

    def _play(self, delay: float) -> None:
        # Without its next update a provider is asked each time, whatever today's date is.
        rates = {**json.loads(RATES), "time_next_update_unix": 0}
        for path, body in (("countries", COUNTRIES), ("rates", json.dumps(rates).encode())):
            self.upstream.answer(path, Answer(body=body, delay=delay, until=self._answers_now))

    def _answers_now(self) -> bool:
        """Count the round trips so far; the upstream server calls it as it begins to answer."""
        self._trips_at_answer = self.relay.round_trips
        return True

    def _settle(self) -> None:
        """Wait until no round trip is under way."""
        known = -1
        while known != self.relay.round_trips:
            known = self.relay.round_trips
            time.sleep(3 * self.trip + _QUIET)


@contextmanager
def staged(server: MariaDB) -> Iterator[Stage]:
    """Lend a stage with an empty database of the server."""
    with Relay(server.port) as relay, Upstream() as upstream:
        stage = Stage(server.url(server.create_database(), port=relay.port), relay, upstream)
        stage._play(0)  # noqa: SLF001 - the stage is made here alone
        yield stage
