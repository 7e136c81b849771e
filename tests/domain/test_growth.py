"""Work grows with the rows, no faster: counted in calls, which no busy machine changes."""

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType

import pytest

from graphql_api.domain.country import CountryField
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operator
from graphql_api.domain.paging import PageRequest, paginate
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.sorting import SortKey
from graphql_api.domain.text import fold
from tests.rows import make_country, make_snapshot

FEW, MANY = 250, 10_000


def snapshot_of(size: int) -> Snapshot:
    """Return so many rows; every tenth of them has no capital."""
    return make_snapshot(
        make_country(
            f"{place}",
            alpha3=f"{place}x",
            name=f"Land {place:05}",
            capital=None if place % 10 == 0 else f"Stadt {place % 100}",
            population=place * 7919 % size,
        )
        for place in range(size)
    )


def counted(work: Callable[[], object]) -> Counter[CodeType | str]:
    """Return how often each function is called by some work."""
    calls: Counter[CodeType | str] = Counter()

    def count(frame: FrameType, event: str, called: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1
        elif event == "c_call":
            calls[repr(called).partition(" at ")[0]] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


CONTAINS = Condition(CountryField.CAPITAL, Operator.CONTAINS, "É1")
LARGE = Condition(CountryField.POPULATION, Operator.LT, 100_000)
BY_CAPITAL = (SortKey(CountryField.CAPITAL, descending=True), SortKey(CountryField.POPULATION))


@pytest.mark.parametrize(
    ("wanted", "sort"),
    [
        (AllOf(()), ()),
        (CONTAINS, ()),
        (AnyOf((CONTAINS, Not(LARGE), Not(CONTAINS))), ()),
        (AllOf(()), BY_CAPITAL),
        (AllOf((LARGE, CONTAINS)), BY_CAPITAL),
    ],
)
def test_query(wanted: Filter, sort: tuple[SortKey, ...]) -> None:
    """Forty times the rows take at most forty times the calls, and fold no more text."""
    few, many = (
        counted(
            lambda served=snapshot: paginate(served, wanted, sort, PageRequest(first=10)).rows  # type: ignore[misc] # the default only binds it
        )
        for snapshot in (snapshot_of(FEW), snapshot_of(MANY))
    )
    assert many.total() <= few.total() * MANY / FEW
    assert many[fold.__code__] == few[fold.__code__] <= 2


def test_cursor() -> None:
    """To find a cursor's place, few of the rows are compared, however many there are."""
    served = snapshot_of(MANY)
    page = paginate(served, AllOf(()), BY_CAPITAL, PageRequest(first=5000))
    after = page.cursor(page.places[-1])

    def following() -> object:
        return paginate(served, AllOf(()), BY_CAPITAL, PageRequest(first=10, after=after))

    def first() -> object:
        return paginate(served, AllOf(()), BY_CAPITAL, PageRequest(first=10))

    assert counted(following).total() - counted(first).total() < 1000


def test_one_country() -> None:
    """To find a country takes the same calls among many as among few."""
    few, many = (
        counted(lambda served=snapshot: served.find(code="7", name=None)).total()  # type: ignore[misc] # likewise
        for snapshot in (snapshot_of(FEW), snapshot_of(MANY))
    )
    assert few == many


def bytes_a_row(size: int) -> float:
    """Return the memory of a snapshot for each of its rows, texts and indexes included."""
    tracemalloc.start()
    served = snapshot_of(size)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / len(served.rows)


def test_memory() -> None:
    """A row takes about a kilobyte, among many as among few."""
    few, many = bytes_a_row(FEW), bytes_a_row(MANY)
    assert 900 < few < 1300
    assert many < few * 1.1
