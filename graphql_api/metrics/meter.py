"""What one process counts: the verbs that its other parts call, each below a microsecond."""

import time
from bisect import bisect_left
from dataclasses import fields

from graphql_api.domain.report import Attempt, RefreshReport, Timings
from graphql_api.metrics import families
from graphql_api.metrics.board import Board, Place, Row
from graphql_api.metrics.families import Family
from graphql_api.sources.fetching import FetchAttempt, FetchOutcome

_OTHER = 0
"""Stands for a status that is not foreseen."""
_EVENTS = (
    families.CACHE_BYTES,
    families.CONNECTIONS,
    families.WEBSOCKETS,
    families.SUBSCRIPTIONS,
)
"""Gauges that rise and fall by what happens; nobody looks at the thing itself."""


class Counter:
    """Counts in one row."""

    def __init__(self, place: Place, row: Row) -> None:
        """Count on from where the row is."""
        self._row = row
        self._places = place.by_labels()

    def add(self, *labels: str) -> None:
        """Count one more of the series of these values of the labels."""
        self._row[self._places[labels]] += 1


class Histogram:
    """Counts by size in one row."""

    def __init__(self, family: Family, place: Place, row: Row) -> None:
        """Count on from where the row is."""
        self._row = row
        self._places = place.by_labels()
        self._bounds = tuple(family.buckets)
        self._sum = len(self._bounds) + 1

    def observe(self, seconds: float, *labels: str) -> None:
        """Count one that took so long."""
        start = self._places[labels]
        self._row[start + bisect_left(self._bounds, seconds)] += 1
        self._row[start + self._sum] += seconds


class Meter:
    """Counts what one worker does."""

    def __init__(self, board: Board, *, worker: int = 0) -> None:
        """Take the row of a worker, counted from 0."""
        self.board = board
        self._row = board.take(worker)
        self._requests = _by_status(board.places[families.REQUESTS.name])
        self._durations = self._histogram(families.REQUEST_DURATION)
        self._errors = self._counter(families.ERRORS)
        self._lookups = self._counter(families.CACHE_LOOKUPS)
        self._refreshes = self._counter(families.REFRESHES)
        self._phases = self._histogram(families.REFRESH_PHASE_DURATION)
        self._answers = self._counter(families.PROVIDER_ANSWERS)
        self._asked = self._histogram(families.PROVIDER_DURATION)
        for gauge in _EVENTS:
            self.set(gauge, 0)
        for gauge in (families.WORKERS, families.BUILD):
            self.set(gauge, 1)

    @classmethod
    def alone(cls) -> "Meter":
        """Return the meter of a process that has no fellows."""
        return cls(Board(families.FAMILIES, workers=1))

    def set(self, family: Family, value: float) -> None:
        """Write a gauge that has one series."""
        self._row[self.board.places[family.name].start] = value

    def add(self, family: Family, change: float) -> None:
        """Change what has one series."""
        self._row[self.board.places[family.name].start] += change

    def live(self) -> None:
        """Note that this worker lives."""
        self._row[0] = time.monotonic()

    def answered(self, kind: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        places = self._requests[kind]
        self._row[places.get(status, places[_OTHER])] += 1
        self._durations.observe(seconds, kind)

    def failed(self, code: str) -> None:
        """Count an error of an answer."""
        self._errors.add(code if code in families.CODES else families.OTHER)

    def looked_up(self, result: str) -> None:
        """Count an answer of the data: see `families.LOOKUPS`."""
        self._lookups.add(result)

    def attempted(self, attempt: Attempt) -> None:
        """Count a refresh that has ended."""
        if isinstance(attempt, RefreshReport):
            self._refreshes.add(attempt.trigger, families.SUCCESS)
            self._observe_phases(attempt.timings)
        else:
            self._refreshes.add(attempt.trigger, attempt.code)

    def heard(self, hearing: FetchAttempt) -> None:
        """Count a provider that has given its data, or failed to."""
        self._answers.add(hearing.provider, hearing.outcome)
        if hearing.outcome is not FetchOutcome.KEPT:
            self._asked.observe(hearing.seconds, hearing.provider)

    def _observe_phases(self, timings: Timings) -> None:
        for one in fields(timings):
            milliseconds = getattr(timings, one.name)
            if milliseconds is not None:
                self._phases.observe(milliseconds / 1000, one.name.removesuffix("_ms"))

    def _histogram(self, family: Family) -> Histogram:
        return Histogram(family, self.board.places[family.name], self._row)

    def _counter(self, family: Family) -> Counter:
        return Counter(self.board.places[family.name], self._row)


def _by_status(place: Place) -> dict[str, dict[int, int]]:
    """Return where requests are counted, by kind and, as HTTP has it, by status."""
    places: dict[str, dict[int, int]] = {}
    for (kind, status), at in place.by_labels().items():
        places.setdefault(kind, {})[_OTHER if status == families.OTHER else int(status)] = at
    return places
