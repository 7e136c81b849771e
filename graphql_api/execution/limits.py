"""Query limits: the maximum of each measure of a query."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Protocol, Self

from graphql_api.errors import InvalidSetting, QueryTooComplex
from graphql_api.utils.slices import end_slice

_MAX_DEPTH = 100
"""Depth is measured by recursion, which Python bounds."""
_NEW_NAMES = {
    "characters": "tokens",
    "definitions": "fields",
    "roots": "aliases",
    "directives": "fields",
    "nesting": "depth",
}
"""Limits of version 0.1.0 that were merged into others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """The maximum of each measure of a document and its variables."""

    tokens: int = 4_000
    """Names, values and punctuators of the document, at least one per five characters. Comments count apart."""
    depth: int = 20
    """Levels of nested selections, and of nested lists and objects in an argument or a variable."""
    fields: int = 300
    """Fields, fragments and directives. Those of a fragment count at each use."""
    aliases: int = 50
    """Fields with an alias. Those of a fragment count at each use."""
    items: int = 500
    """Items of one list in an argument or a variable."""
    cost: int = 50_000
    """Rows times fields, of what is selected and of what is filtered or sorted by."""
    milliseconds: int = 1_000
    """Processor time of a query: parsing, validation and execution."""
    bytes: int = 2_000_000
    """Bytes of the data in a response."""

    @classmethod
    def with_overrides(cls, overrides: Mapping[str, int]) -> Self:
        """Return the default limits with some of them changed by name.

        Raises:
            InvalidSetting: A limit does not exist, was renamed, or its value is too high.
        """
        names = [field.name for field in fields(cls)]
        for name, value in overrides.items():
            if name in _NEW_NAMES:
                raise InvalidSetting(f"QUERY_LIMITS: {name} is now {_NEW_NAMES[name]}.")
            if name not in names:
                raise InvalidSetting(f"QUERY_LIMITS names {name!r}, which is not one of {', '.join(names)}.")
            if name == "depth" and value > _MAX_DEPTH:
                raise InvalidSetting(f"QUERY_LIMITS: depth can be at most {_MAX_DEPTH}.")
        return cls(**overrides)

    def check(self, name: str, value: int) -> None:
        """Compare a measure with its limit.

        Raises:
            QueryTooComplex: The value exceeds the limit.
        """
        if value > getattr(self, name):
            raise self.build_error(name, str(value) if value < 10**9 else "over 1000000000")

    def build_error(self, name: str, value: str) -> QueryTooComplex:
        """Return the error for a value that exceeds the limit of that name."""
        return QueryTooComplex(f"The query is too complex: {name} {value}, at most {getattr(self, name)}.")


class Allowance(Protocol):
    """The quota of a client, over all its requests."""

    def charge(self, cost: int) -> None:
        """Spend a cost if the client may.

        Raises:
            RateLimited: It may not. Nothing is spent.
        """

    def spend(self, cost: int) -> None:
        """Spend a cost, also one that leaves a debt."""


class Budget:
    """The cost, the time and the bytes that the operations of one request may take together."""

    def __init__(self, limits: QueryLimits, clock: Callable[[], float], allowance: Allowance | None = None) -> None:
        """Start the time. `clock` counts seconds of processor time. None: the client may spend what it wants."""
        self.limits = limits
        self.operation_cost = 0
        """Cost of the current operation."""
        self._allowance = allowance
        self._clock = clock
        self._started_at = clock()
        # `check` compares whole milliseconds.
        self._deadline = self._started_at + (limits.milliseconds + 1) / 1000
        self.cost = 0
        """Cost of all operations so far."""
        self._bytes = 0
        self._former_bytes = 0
        """Bytes of the operations before the current one."""

    def check_time(self) -> None:
        """Compare the time since the start with its limit. Let other requests be served if a slice has passed.

        Raises:
            QueryTooComplex: The time is up.
        """
        now = self._clock()
        if now >= self._deadline:
            self.limits.check("milliseconds", int((now - self._started_at) * 1000))
        end_slice()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time of work that waits for others, and has timeouts of its own."""
        paused_at = self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - paused_at
            self._started_at += seconds
            self._deadline += seconds

    def charge(self, cost: int) -> None:
        """Let the client pay for what is not part of an operation.

        Raises:
            RateLimited: The client has spent what it may.
        """
        if self._allowance is not None:
            self._allowance.charge(cost)

    def begin_operation(self, cost: int) -> None:
        """Count the cost of an operation that is about to be executed.

        Raises:
            QueryTooComplex: With those before, it is more than the limit. It is not counted then.
            RateLimited: The client has spent what it may. The cost is not counted then.
        """
        self.limits.check("cost", self.cost + cost)
        if self._allowance is not None:
            self._allowance.charge(cost)
        self.cost += cost
        self.operation_cost = cost
        self._former_bytes = self._bytes

    def spend_cost(self, cost: int) -> None:
        """Count more cost of the current operation.

        Raises:
            QueryTooComplex: With what was spent before, it is more than the limit. It is not counted then.
        """
        self.limits.check("cost", self.cost + cost)
        if self._allowance is not None:
            self._allowance.spend(cost)
        self.cost += cost
        self.operation_cost += cost

    def discard_bytes(self) -> None:
        """Count the bytes of the current operation for nothing, because they are not sent."""
        self._bytes = self._former_bytes

    def check_bytes(self, count: int) -> None:
        """Compare the bytes of a part of a response with the limit.

        Raises:
            QueryTooComplex: They are more.
        """
        if count > self.limits.bytes:
            self.limits.check("bytes", count)

    def spend_bytes(self, count: int) -> None:
        """Count bytes of a response.

        Raises:
            QueryTooComplex: They are more than the limit.
        """
        self._bytes += count
        self.check_bytes(self._bytes)
