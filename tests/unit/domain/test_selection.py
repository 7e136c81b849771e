"""Selections: the rows of conditions that come again are found once, in order, and are the same rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.filters import AllOf, Condition, Filter, Operator
from graphql_api.domain.pagination import PageRequest, paginate
from graphql_api.domain.selection import select_rows
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortKey
from tests.support.factories import country_codes, country_lists, few_examples, make_country, make_snapshot
from tests.support.reference_model import conditions, filters, matches, sort_by_rank, sort_keys

EUROPE = Condition(CountryField.REGION, Operator.EQ, "Europe")
BY_POPULATION = (SortKey(CountryField.POPULATION),)
WHOLE = PageRequest()


def make_rows() -> Snapshot:
    """Return a snapshot of its own."""
    return make_snapshot(
        [
            make_country("AQ", region="Antarctica", population=1000),
            make_country("FR", region="Europe", population=3000),
            make_country("IT", region="Europe", population=2000),
        ]
    )


def at_least(population: int) -> Condition:
    """Return a condition on the population."""
    return Condition(CountryField.POPULATION, Operator.GTE, population)


def select(filter_: Filter, snapshot: Snapshot) -> tuple[list[int], bool, int]:
    """Return the selected rows, whether their order is known, and the number of looks at the clock."""
    looks: list[None] = []
    rows, ordered, _ = select_rows(filter_, BY_POPULATION, SnapshotReader(snapshot, lambda: looks.append(None)))
    return sorted(rows) if ordered is None else list(rows), ordered is not None, len(looks)


@few_examples
@given(rows=country_lists(), filter_=filters(), sort=sort_keys())
def test_model(rows: list[Country], filter_: Filter, sort: tuple[SortKey, ...]) -> None:
    """Each time that a filter and an order are used, the page is that of a row-by-row model."""
    snapshot = make_snapshot(rows)
    expected = country_codes(sort_by_rank((row for row in snapshot.rows if matches(row, filter_)), sort))
    for _ in range(3):
        page = paginate(SnapshotReader(snapshot), filter_, sort, PageRequest())
        assert (country_codes(page.rows), len(page.selected)) == (expected, len(expected))


@few_examples
@given(rows=country_lists(), kept=filters(), others=filters(), sort=sort_keys())
def test_changing_condition(rows: list[Country], kept: Filter, others: Filter, sort: tuple[SortKey, ...]) -> None:
    """A condition beside one that is kept selects the rows of a row-by-row model."""
    snapshot = make_snapshot(rows)
    for _ in range(2):
        paginate(SnapshotReader(snapshot), kept, sort, PageRequest())
    for filter_ in (AllOf((kept, others)), AllOf((others, kept))):
        expected = country_codes(sort_by_rank((row for row in snapshot.rows if matches(row, filter_)), sort))
        assert country_codes(paginate(SnapshotReader(snapshot), filter_, sort, PageRequest()).rows) == expected


@few_examples
@given(rows=country_lists(), kept=filters(), condition=conditions(), descending=st.booleans())
def test_range_of_an_order(rows: list[Country], kept: Filter, condition: Condition, descending: bool) -> None:
    """A condition on the field that kept rows are in the order of selects the rows of a row-by-row model."""
    snapshot, sort = make_snapshot(rows), (SortKey(condition.field, descending),)
    for filter_ in (kept, kept, AllOf((kept, condition))):
        page = paginate(SnapshotReader(snapshot), filter_, sort, PageRequest())
    expected = country_codes(sort_by_rank((row for row in snapshot.rows if matches(row, filter_)), sort))
    assert country_codes(page.rows) == expected


@st.composite
def page_requests(draw: st.DrawFn) -> PageRequest:
    """Draw numbers of a page, without cursors."""
    numbers = st.none() | st.integers(0, 4)
    if draw(st.booleans()):
        return PageRequest(first=draw(numbers), offset=draw(numbers))
    return PageRequest(last=draw(numbers))


@few_examples
@given(
    rows=country_lists(),
    kept=filters(),
    field=st.sampled_from([CountryField.POPULATION, CountryField.GDP, CountryField.NAME]),
    pages=st.lists(st.tuples(conditions(), st.booleans(), page_requests()), min_size=2, max_size=20),
)
def test_equal_pages(
    rows: list[Country], kept: Filter, field: CountryField, pages: list[tuple[Condition, bool, PageRequest]]
) -> None:
    """Pages of one identity show the same countries, cursors and numbers."""
    snapshot, shown = make_snapshot(rows), dict[object, object]()
    for condition, descending, request in pages:
        sort = (SortKey(field, descending),)
        for filter_ in (kept, AllOf((kept, condition)), condition, AllOf(())):
            page = paginate(SnapshotReader(snapshot), filter_, sort, request)
            if page.identity is not None:
                neighbors = page.span.start > 0, page.span.stop < len(page.matching)
                cursors = [page.cursor(row_index) for row_index in page.row_indexes]
                shows = page.rows, cursors, list(page.selected), neighbors
                assert shown.setdefault(page.identity, shows) == shows


def test_identity() -> None:
    """Pages have one identity if their kept rows, ranges and places are the same, whatever the operands are."""
    snapshot = make_rows()

    def identify(filter_: Filter, numbers: PageRequest = WHOLE, sort: tuple[SortKey, ...] = BY_POPULATION) -> object:
        return paginate(SnapshotReader(snapshot), filter_, sort, numbers).identity

    page = paginate(SnapshotReader(snapshot), AllOf(()), BY_POPULATION, WHOLE)
    assert (page.identity, len(page.rows)) == (None, 3)  # nothing was sorted in this order yet
    small = Condition(CountryField.POPULATION, Operator.LT, 2000)
    of_one = identify(AllOf((small, at_least(999))), sort=())
    assert of_one == identify(AllOf((at_least(998), small._replace(operand=1999))), sort=())
    assert identify(AllOf((EUROPE, small))) is None
    both, all_rows = identify(EUROPE), identify(AllOf(()))
    assert None not in (of_one, both, all_rows)
    assert both == identify(AllOf((EUROPE, at_least(1))))
    assert both == identify(AllOf((at_least(2000), EUROPE)), PageRequest(first=2))
    assert all_rows == identify(AllOf(()), PageRequest(first=3, offset=0)) == identify(AllOf(()), PageRequest(last=7))
    others = [
        identify(AllOf((EUROPE, at_least(2001)))),
        identify(EUROPE, PageRequest(first=1)),
        identify(EUROPE, PageRequest(last=1)),
        identify(AllOf(()), PageRequest(offset=1)),
        identify(AllOf(()), PageRequest(first=0)),
        identify(AllOf(()), PageRequest(offset=3)),
        identify(AllOf(()), sort=()),
    ]
    assert len({of_one, both, all_rows, *others}) == 10
    assert identify(AllOf((EUROPE, Condition(CountryField.NAME, Operator.CONTAINS, "a")))) is None


def test_found_once() -> None:
    """The rows of a condition are found at its second use and sorted; from then on, only others are compared."""
    snapshot = make_rows()
    populations = (1, 2, 3, 2500)
    selections = [select(AllOf((EUROPE, at_least(population))), snapshot) for population in populations]
    # Finding looks at the clock for the parts together, for each of them, and for each new order.
    assert selections == [([1, 2], False, 3 + 1), ([2, 1], True, 2 + 1 + 1), ([2, 1], True, 1), ([1], True, 1)]


@pytest.mark.parametrize("operator", [Operator.EQ, Operator.IN])
def test_unknown_values(operator: Operator) -> None:
    """A value that no row has is noted each time."""
    snapshot, operand = make_rows(), "Europa" if operator is Operator.EQ else frozenset({"Europa"})
    for _ in range(4):
        reader = SnapshotReader(snapshot)
        select_rows(Condition(CountryField.REGION, operator, operand), (), reader)
        assert reader.unknown_values == [(CountryField.REGION, "Europa")]


def test_size() -> None:
    """A kept selection counts its rows and its operands as memory."""
    snapshot = make_rows()
    sizes = []
    for text in ("r", "r" * 10_001):
        before = snapshot.derived.size
        for _ in range(3):
            select_rows(Condition(CountryField.NAME, Operator.CONTAINS, text), (), SnapshotReader(snapshot))
        sizes.append(snapshot.derived.size - before)
    rows = len(select_rows(Condition(CountryField.NAME, Operator.CONTAINS, "r"), (), SnapshotReader(snapshot))[0])
    assert (rows, sizes[1] - sizes[0]) == (1, 2 * 10_000 - 4 - 8)
    assert sizes[0] > 1000 + 4 + 8
