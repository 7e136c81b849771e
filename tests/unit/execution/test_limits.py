"""The limits themselves: which there are, how they are changed, and in which words they refuse."""

import pytest

from graphql_api.errors import InvalidSetting, QueryTooComplex
from graphql_api.execution.limits import QueryLimits

LIMIT_NAMES = (
    "characters, tokens, definitions, depth, fields, aliases, roots, directives, items, nesting, "
    "cost, milliseconds"
)


def test_changed() -> None:
    """What is changed is changed, and everything else is as usual."""
    assert QueryLimits.with_overrides({}) == QueryLimits()
    assert QueryLimits.with_overrides({"depth": 100, "cost": 1}) == QueryLimits(depth=100, cost=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dpeth": 3}, f"QUERY_LIMITS names 'dpeth', which is not one of {LIMIT_NAMES}."),
        ({"check": 3}, f"QUERY_LIMITS names 'check', which is not one of {LIMIT_NAMES}."),
        ({"depth": 101}, "QUERY_LIMITS: depth can be at most 100."),
        ({"nesting": 101}, "QUERY_LIMITS: nesting can be at most 100."),
    ],
)
def test_refused_changes(changes: dict[str, int], message: str) -> None:
    """A limit that there is not, or that Python's stack could not keep, is refused by name."""
    with pytest.raises(InvalidSetting) as exc_info:
        QueryLimits.with_overrides(changes)
    assert str(exc_info.value) == message


@pytest.mark.parametrize(
    ("value", "shown"),
    [(21, "21"), (10**9 - 1, "999999999"), (2**60, "over 1000000000")],
)
def test_refusal(value: int, shown: str) -> None:
    """A refusal names the limit, the value, in few digits, and the maximum."""
    with pytest.raises(QueryTooComplex) as exc_info:
        QueryLimits().check("depth", value)
    assert str(exc_info.value) == f"The query is too complex: depth {shown}, at most 20."


def test_within() -> None:
    """A value that is the maximum is within the limit."""
    QueryLimits().check("depth", 20)


def test_stopwatch() -> None:
    """A stopwatch checks the time since it was begun, in whole milliseconds."""
    times = iter([7.0, 8.0, 8.0009, 8.25])
    check = QueryLimits(milliseconds=1000).start_timer(lambda: next(times))
    check()
    check()
    with pytest.raises(QueryTooComplex) as exc_info:
        check()
    assert str(exc_info.value) == "The query is too complex: milliseconds 1250, at most 1000."
