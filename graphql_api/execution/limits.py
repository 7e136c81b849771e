"""What a query may ask at most, and the refusal of what asks for more."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Self

from graphql_api.errors import InvalidSetting, QueryTooComplex

_MAX_CONFIGURABLE = {"depth": 100, "nesting": 100}
"""What is measured by recursion, which Python bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """The greatest value of each measure of a document and its variables."""

    characters: int = 20_000
    """Characters of the document, comments included."""
    tokens: int = 4_000
    """Names, values and signs; comments are counted apart, up to the same number."""
    definitions: int = 50
    """Operations and fragments."""
    depth: int = 20
    """Levels of selections within one another, those of fragments included."""
    fields: int = 300
    """Fields, those of a fragment wherever it is used."""
    aliases: int = 50
    """Fields with an alias, counted likewise."""
    roots: int = 30
    """Fields of an operation's first level, counted likewise."""
    directives: int = 50
    """Directives, counted likewise."""
    items: int = 500
    """Items of one list in an argument or a variable."""
    nesting: int = 20
    """Levels of lists and objects within one another in an argument or a variable."""
    cost: int = 50_000
    """Rows times fields of what is asked for, and of what is filtered and sorted by."""
    milliseconds: int = 1_000
    """Milliseconds that a query may be worked at; looked at before each object and list."""

    @classmethod
    def with_overrides(cls, overrides: Mapping[str, int]) -> Self:
        """Return the usual limits but for these.

        Raises:
            InvalidSetting: there is no limit of such a name, or it cannot be so high.
        """
        names = [field.name for field in fields(cls)]
        for name, value in overrides.items():
            if name not in names:
                known_names = ", ".join(names)
                raise InvalidSetting(
                    f"QUERY_LIMITS names {name!r}, which is not one of {known_names}."
                )
            if value > _MAX_CONFIGURABLE.get(name, value):
                raise InvalidSetting(
                    f"QUERY_LIMITS: {name} can be at most {_MAX_CONFIGURABLE[name]}."
                )
        return cls(**overrides)

    def check(self, name: str, value: int) -> None:
        """Refuse a measure that is beyond its limit.

        Raises:
            QueryTooComplex: it is; the message names the limit, the value and the maximum.
        """
        if value > getattr(self, name):
            raise self.build_error(name, str(value) if value < 10**9 else "over 1000000000")

    def start_timer(self, clock: Callable[[], float] = time.monotonic) -> Callable[[], None]:
        """Begin to measure time, in seconds of the clock, and return what checks it."""
        started_at = clock()

        def check_time() -> None:
            self.check("milliseconds", int((clock() - started_at) * 1000))

        return check_time

    def build_error(self, name: str, value: str) -> QueryTooComplex:
        """Return the error that tells of a measure which is beyond its limit."""
        return QueryTooComplex(
            f"The query is too complex: {name} {value}, at most {getattr(self, name)}."
        )
