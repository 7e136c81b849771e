"""QueryLimits: names, overrides, and the messages of rejections."""

import pytest

from graphql_api.errors import InvalidSetting, QueryTooComplex
from graphql_api.execution.limits import Budget, QueryLimits

LIMIT_NAMES = "tokens, depth, fields, aliases, items, cost, milliseconds, bytes"


def test_overrides() -> None:
    """An override changes its own limit and leaves the others at their defaults."""
    assert QueryLimits.with_overrides({}) == QueryLimits()
    assert QueryLimits.with_overrides({"depth": 100, "cost": 1}) == QueryLimits(depth=100, cost=1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"dpeth": 3}, f"QUERY_LIMITS names 'dpeth', which is not one of {LIMIT_NAMES}."),
        ({"check": 3}, f"QUERY_LIMITS names 'check', which is not one of {LIMIT_NAMES}."),
        ({"depth": 101}, "QUERY_LIMITS: depth can be at most 100."),
        ({"characters": 3}, "QUERY_LIMITS: characters is now tokens."),
        ({"definitions": 3}, "QUERY_LIMITS: definitions is now fields."),
        ({"roots": 3}, "QUERY_LIMITS: roots is now aliases."),
        ({"directives": 3}, "QUERY_LIMITS: directives is now fields."),
        ({"nesting": 3}, "QUERY_LIMITS: nesting is now depth."),
    ],
)
def test_rejected_overrides(overrides: dict[str, int], message: str) -> None:
    """An unknown limit, a merged one and one beyond Python's recursion are rejected by name."""
    with pytest.raises(InvalidSetting) as exc_info:
        QueryLimits.with_overrides(overrides)
    assert str(exc_info.value) == message


@pytest.mark.parametrize(("value", "shown"), [(21, "21"), (10**9 - 1, "999999999"), (2**60, "over 1000000000")])
def test_message(value: int, shown: str) -> None:
    """The message has the limit's name, the value in at most ten digits, and the maximum."""
    with pytest.raises(QueryTooComplex) as exc_info:
        QueryLimits().check("depth", value)
    assert str(exc_info.value) == f"The query is too complex: depth {shown}, at most 20."


def test_maximum() -> None:
    """A value equal to the limit is accepted."""
    QueryLimits().check("depth", 20)


def test_time() -> None:
    """A budget compares the whole milliseconds since its start with the limit."""
    times = iter([7.0, 8.0, 8.0009, 8.25])
    budget = Budget(QueryLimits(milliseconds=1000), lambda: next(times))
    budget.check_time()
    budget.check_time()
    with pytest.raises(QueryTooComplex) as exc_info:
        budget.check_time()
    assert str(exc_info.value) == "The query is too complex: milliseconds 1250, at most 1000."


def test_bytes() -> None:
    """A budget adds up the bytes that are spent."""
    budget = Budget(QueryLimits(bytes=100), lambda: 0.0)
    budget.spend_bytes(60)
    budget.spend_bytes(40)
    with pytest.raises(QueryTooComplex) as exc_info:
        budget.spend_bytes(1)
    assert str(exc_info.value) == "The query is too complex: bytes 101, at most 100."


def test_operations() -> None:
    """A budget adds up the cost of operations; one that is refused costs nothing, and unsent bytes do not count."""
    budget = Budget(QueryLimits(cost=100, bytes=100), lambda: 0.0)
    budget.begin_operation(60)
    budget.spend_bytes(60)
    with pytest.raises(QueryTooComplex) as exc_info:
        budget.begin_operation(41)
    assert str(exc_info.value) == "The query is too complex: cost 101, at most 100."
    budget.begin_operation(40)
    with pytest.raises(QueryTooComplex):
        budget.spend_bytes(41)
    budget.discard_bytes()
    budget.spend_bytes(40)


def test_pause() -> None:
    """The time of a pause does not count, and that around it does."""
    times = iter([0.0, 0.5, 9.5, 10.0, 10.25])
    budget = Budget(QueryLimits(milliseconds=1000), lambda: next(times))
    with budget.paused():
        pass
    budget.check_time()
    with pytest.raises(QueryTooComplex) as exc_info:
        budget.check_time()
    assert str(exc_info.value) == "The query is too complex: milliseconds 1250, at most 1000."
