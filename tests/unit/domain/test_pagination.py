"""Pagination: walks visit every row once, cursors outlive their rows, and broken ones fail."""

import base64
import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.filters import MATCH_ALL, Condition, Filter, Operator
from graphql_api.domain.pagination import Page, PageRequest, decode_cursor, encode_cursor, paginate
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortKey, drop_repeated, sort_values
from graphql_api.errors import InvalidInput
from tests.support.factories import (
    CODES,
    countries,
    country_codes,
    country_lists,
    few_examples,
    make_country,
    make_snapshot,
)
from tests.support.reference_model import filters, matches, sort_by_rank, sort_keys

WHOLE_LIST = PageRequest()
BY_AREA = (SortKey(CountryField.AREA_KM2),)
BY_TIME = (SortKey(CountryField.LAST_REFRESHED_AT),)
SNAPSHOT = make_snapshot([make_country("AX", area_km2=None), make_country("CI"), make_country("ST")])

ListQuery = tuple[Filter, tuple[SortKey, ...]]
GetPage = Callable[[PageRequest], Page]


def queries() -> st.SearchStrategy[ListQuery]:
    """Draw a filter and sort keys, half of the time of all rows, so that pages are full."""
    return st.tuples(st.just(MATCH_ALL) | filters(), sort_keys())


def make_get_page(snapshot: Snapshot, query: ListQuery) -> GetPage:
    """Return a function from a request to its page."""
    return lambda request: paginate(SnapshotReader(snapshot), *query, request)


def encode_content(content: object) -> str:
    """Return any JSON, encoded as a cursor."""
    return encode_bytes(json.dumps(content).encode())


def encode_bytes(body: bytes) -> str:
    """Return any bytes, encoded as a cursor."""
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def refusal_pattern(argument: str) -> str:
    """Return a pattern of the whole message that rejects a cursor."""
    message = (
        f"{argument} is not a cursor of this list in this order; "
        "use one that the same query with the same sort returned."
    )
    return f"^{re.escape(message)}$"


def walk_forward(get_page: GetPage, size: int) -> list[str]:
    """Return the codes on pages of `size` rows, walked forward as by a client."""
    page = get_page(PageRequest(first=size))
    assert page.span.start == 0
    codes = country_codes(page.rows)
    while page.span.stop < len(page.matching):
        page = get_page(PageRequest(first=size, after=page.cursor(page.row_indexes[-1])))
        assert page.span.start == len(codes)
        codes += country_codes(page.rows)
    return codes


def walk_backward(get_page: GetPage, size: int) -> list[str]:
    """Return the codes on pages of `size` rows, walked backward, in the order of the list."""
    page = get_page(PageRequest(last=size))
    assert page.span.stop == len(page.matching)
    codes = country_codes(page.rows)
    while page.span.start > 0:
        page = get_page(PageRequest(last=size, before=page.cursor(page.row_indexes[0])))
        assert page.span.stop == len(page.matching) - len(codes)
        codes = country_codes(page.rows) + codes
    return codes


@few_examples
@given(rows=country_lists(), query=queries())
def test_whole_list(rows: list[Country], query: ListQuery) -> None:
    """Without arguments the page is every matching row in order, from the first to the last."""
    filter_, sort = query
    page = make_get_page(make_snapshot(rows), query)(WHOLE_LIST)
    assert list(page.rows) == sort_by_rank((row for row in rows if matches(row, filter_)), sort)
    assert (page.span.start, page.span.stop) == (0, len(page.matching))


@few_examples
@given(rows=country_lists(), query=queries(), size=st.integers(1, 4))
def test_walks(rows: list[Country], query: ListQuery, size: int) -> None:
    """Walking forward or backward by any page size visits every row exactly once."""
    get_page = make_get_page(make_snapshot(rows), query)
    all_rows = country_codes(get_page(WHOLE_LIST).rows)
    assert walk_forward(get_page, size) == all_rows
    assert walk_backward(get_page, size) == all_rows


@few_examples
@given(rows=country_lists(min_size=1), sort=sort_keys(), data=st.data())
def test_cut(rows: list[Country], sort: tuple[SortKey, ...], data: st.DataObject) -> None:
    """Every mix of cursors and sizes slices the list as in the Relay specification."""
    get_page = make_get_page(make_snapshot(rows), (MATCH_ALL, sort))
    page = get_page(WHOLE_LIST)
    start, stop = 0, len(rows)
    indexes, sizes = st.integers(0, len(rows) - 1), st.integers(0, 9)
    after, before = data.draw(st.none() | indexes), data.draw(st.none() | indexes)
    first, last = data.draw(st.tuples(st.none(), st.none() | sizes) | st.tuples(sizes, st.none()))
    if after is not None:
        start = after + 1
    if before is not None:
        stop = max(start, before)
    if first is not None:
        stop = min(stop, start + first)
    if last is not None:
        start = max(start, stop - last)
    cursors = [page.cursor(row_index) for row_index in page.row_indexes]
    part = get_page(
        PageRequest(
            first=first,
            last=last,
            after=None if after is None else cursors[after],
            before=None if before is None else cursors[before],
        )
    )
    assert (part.span.start, part.span.stop) == (start, stop)
    assert part.rows == page.rows[start:stop]


@few_examples
@given(rows=country_lists(), query=queries(), offset=st.integers(0, 10), first=st.none() | st.integers(0))
def test_offset(rows: list[Country], query: ListQuery, offset: int, first: int | None) -> None:
    """An offset skips that many rows, and one beyond the end gives an empty page at the end."""
    get_page = make_get_page(make_snapshot(rows), query)
    all_rows = get_page(WHOLE_LIST).rows
    page = get_page(PageRequest(offset=offset, first=first))
    assert page.rows == all_rows[offset:][:first]
    assert page.span.start == min(offset, len(all_rows))


@few_examples
@given(row=countries(CODES[:1]), before=country_lists(CODES[1:]), now=country_lists(CODES[1:]), sort=sort_keys())
def test_cursor_outlives_changes(
    row: Country, before: list[Country], now: list[Country], sort: tuple[SortKey, ...]
) -> None:
    """However the other rows change, paging continues on both sides of a row that stays."""
    old_snapshot = make_snapshot([row, *before])
    cursor = make_get_page(old_snapshot, (MATCH_ALL, sort))(WHOLE_LIST).cursor(old_snapshot.rows.index(row))
    get_page = make_get_page(make_snapshot([row, *now]), (MATCH_ALL, sort))
    all_rows = get_page(WHOLE_LIST).rows
    index = all_rows.index(row)
    assert get_page(PageRequest(after=cursor)).rows == all_rows[index + 1 :]
    assert get_page(PageRequest(before=cursor)).rows == all_rows[:index]


@few_examples
@given(rows=country_lists(min_size=1), sort=sort_keys(), data=st.data())
def test_cursor_outlives_its_row(rows: list[Country], sort: tuple[SortKey, ...], data: st.DataObject) -> None:
    """The cursor of a deleted row still separates the rows before it from those after it."""
    page = make_get_page(make_snapshot(rows), (MATCH_ALL, sort))(WHOLE_LIST)
    index = data.draw(st.sampled_from(range(len(rows))))
    cursor = page.cursor(page.row_indexes[index])
    remaining = page.rows[:index] + page.rows[index + 1 :]
    get_page = make_get_page(make_snapshot(remaining), (MATCH_ALL, sort))
    assert get_page(PageRequest(after=cursor)).rows == page.rows[index + 1 :]
    assert get_page(PageRequest(before=cursor)).rows == page.rows[:index]


def test_cursor_of_a_row_that_a_filter_leaves_out() -> None:
    """A cursor continues in a narrower list without its own row."""
    cursor = make_get_page(SNAPSHOT, (MATCH_ALL, ()))(WHOLE_LIST).cursor(1)
    no_ivory = Condition(CountryField.CODE, Operator.NE, "CI")
    get_page = make_get_page(SNAPSHOT, (no_ivory, ()))
    assert country_codes(get_page(PageRequest(after=cursor)).rows) == ["ST"]
    assert country_codes(get_page(PageRequest(before=cursor)).rows) == ["AX"]


@few_examples
@given(rows=country_lists(), sort=sort_keys())
def test_cursors_read_back(rows: list[Country], sort: tuple[SortKey, ...]) -> None:
    """A cursor is URL-safe text, unique per row, and holds exactly its position."""
    snapshot = make_snapshot(rows)
    page = make_get_page(snapshot, (MATCH_ALL, sort))(WHOLE_LIST)
    cursors = [page.cursor(row_index) for row_index in page.row_indexes]
    assert [cursor for cursor in cursors if not re.fullmatch(r"[A-Za-z0-9_-]+", cursor)] == []
    assert len(set(cursors)) == len(rows)
    keys = drop_repeated(sort)
    positions = [sort_values(row_index, keys, snapshot) for row_index in page.row_indexes]
    assert [decode_cursor(cursor, keys) for cursor in cursors] == positions
    assert [encode_cursor(position, keys) for position in positions] == cursors


@few_examples
@given(text=st.text(st.characters(exclude_categories=())), sort=sort_keys())
def test_any_text_is_refused(text: str, sort: tuple[SortKey, ...]) -> None:
    """Any text that is not from a list is rejected as a cursor."""
    for body in (text, encode_bytes(text.encode(errors="surrogatepass"))):
        with pytest.raises(InvalidInput, match=refusal_pattern("after")):
            paginate(SnapshotReader(SNAPSHOT), MATCH_ALL, sort, PageRequest(after=body))
        with pytest.raises(InvalidInput, match=refusal_pattern("before")):
            paginate(SnapshotReader(SNAPSHOT), MATCH_ALL, sort, PageRequest(before=body))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@few_examples
@given(
    values=st.tuples(JSON_VALUES, st.text(max_size=3) | JSON_VALUES, st.text(max_size=3) | JSON_VALUES),
    field=st.sampled_from(CountryField),
)
def test_forged_cursors(values: tuple[object, ...], field: CountryField) -> None:
    """A forged cursor is rejected, or is one position in the order."""
    cursor = encode_content([field, *values])
    get_page = make_get_page(SNAPSHOT, (MATCH_ALL, (SortKey(field),)))
    try:
        after = get_page(PageRequest(after=cursor))
    except InvalidInput:
        return
    assert get_page(PageRequest(before=cursor)).span.stop == after.span.start


@few_examples
@given(index=st.integers(0, 2), at=st.integers(0, 200), letter=st.characters())
def test_damaged_cursors(index: int, at: int, letter: str) -> None:
    """A cursor with one wrong character is rejected, or is one position in the order."""
    cursor = make_get_page(SNAPSHOT, (MATCH_ALL, BY_AREA))(WHOLE_LIST).cursor(index)
    damaged = cursor[: at % len(cursor)] + letter + cursor[at % len(cursor) + 1 :]
    get_page = make_get_page(SNAPSHOT, (MATCH_ALL, BY_AREA))
    try:
        after = get_page(PageRequest(after=damaged))
    except InvalidInput:
        return
    assert after.span.start - get_page(PageRequest(before=damaged)).span.stop in {0, 1}


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        " ",
        "é",
        "\ud800",
        "💥",
        "A",
        "AAAA=",
        "WyJhcmVh\n",
        "not a cursor",
        encode_bytes(b"\xff\xfe\xfd"),
        encode_bytes(b"[" * 100_000),
        encode_bytes(b'{"a":' * 100_000),
        encode_bytes(b"1" * 5_000),
        encode_content(None),
        encode_content(1),
        encode_content("area_km2"),
        encode_content({"area_km2": 1}),
        encode_content([]),
        encode_content(["area_km2"]),
        encode_content(["area_km2", 1.0, "land ci", "ci"]) + "!!!!",
        encode_content(["area_km2", 1.0, "land ci"]),
        encode_content(["area_km2", 1.0, "land ci", "ci", "ci"]),
        encode_content(["", 1.0, "land ci", "ci"]),
        encode_content(["-area_km2", 1.0, "land ci", "ci"]),
        encode_content(["population", 1.0, "land ci", "ci"]),
        encode_content([None, 1.0, "land ci", "ci"]),
        encode_content(["area_km2", "1.0", "land ci", "ci"]),
        encode_content(["area_km2", True, "land ci", "ci"]),
        encode_content(["area_km2", [1.0], "land ci", "ci"]),
        encode_content(["area_km2", {}, "land ci", "ci"]),
        encode_content(["area_km2", 1.0, None, "ci"]),
        encode_content(["area_km2", 1.0, "land ci", None]),
        encode_content(["area_km2", 1.0, 1, "ci"]),
        encode_content(["area_km2", 1.0, "land ci", 1]),
        encode_bytes(b'["area_km2",NaN,"land ci","ci"]'),
        encode_bytes(b'["area_km2",Infinity,"land ci","ci"]'),
        encode_bytes(b'["area_km2",-Infinity,"land ci","ci"]'),
        encode_bytes(b'["area_km2",1e999,"land ci","ci"]'),
        encode_bytes(b'["area_km2",1%s,"land ci","ci"]' % (b"0" * 400)),
        encode_bytes(b'["area_km2",-1%s,"land ci","ci"]' % (b"0" * 400)),
        encode_bytes(b'["area_km2",1%s,"land ci","ci"]' % (b"0" * 5_000)),
    ],
)
def test_broken_cursors(cursor: str) -> None:
    """A cursor of the wrong shape, order or kind of value is rejected with one message."""
    with pytest.raises(InvalidInput, match=refusal_pattern("after")):
        paginate(SnapshotReader(SNAPSHOT), MATCH_ALL, BY_AREA, PageRequest(after=cursor))


@pytest.mark.parametrize("instant", ["", "soon", "2026-11-23T16:26:00", "2026-13-01T00:00Z", 1, 1.5])
def test_broken_instants(instant: object) -> None:
    """A cursor with an invalid time, or one without a zone, is rejected."""
    cursor = encode_content(["last_refreshed_at", instant, "land ci", "ci"])
    with pytest.raises(InvalidInput, match=refusal_pattern("before")):
        paginate(SnapshotReader(SNAPSHOT), MATCH_ALL, BY_TIME, PageRequest(before=cursor))


@pytest.mark.parametrize(
    ("instant", "codes"),
    [
        ("0001-01-01T00:00:00+23:59", ["AX", "CI", "ST"]),
        ("2026-11-23T17:26:00.123456+01:00", ["ST"]),
        ("9999-12-31T23:59:59.999999-23:59", []),
    ],
)
def test_instants_at_the_ends_of_time(instant: str, codes: list[str]) -> None:
    """A position at any instant, in any zone, is sorted correctly."""
    cursor = encode_content(["last_refreshed_at", instant, "land ci", "ci"])
    page = paginate(SnapshotReader(SNAPSHOT), MATCH_ALL, BY_TIME, PageRequest(after=cursor))
    assert country_codes(page.rows) == codes


@pytest.mark.parametrize(
    ("cursor_sort", "query_sort"),
    [
        ((), BY_AREA),
        (BY_AREA, ()),
        (BY_AREA, (SortKey(CountryField.AREA_KM2, descending=True),)),
        (BY_AREA, (SortKey(CountryField.EXCHANGE_RATE),)),
        (BY_AREA, (*BY_AREA, *BY_TIME)),
        ((*BY_AREA, *BY_TIME), (*BY_TIME, *BY_AREA)),
    ],
)
def test_cursor_of_another_order(cursor_sort: tuple[SortKey, ...], query_sort: tuple[SortKey, ...]) -> None:
    """A cursor is rejected in every order but its own."""
    cursor = make_get_page(SNAPSHOT, (MATCH_ALL, cursor_sort))(WHOLE_LIST).cursor(1)
    assert decode_cursor(cursor, cursor_sort) == sort_values(1, cursor_sort, SNAPSHOT)
    with pytest.raises(InvalidInput, match=refusal_pattern("before")):
        paginate(SnapshotReader(SNAPSHOT), MATCH_ALL, query_sort, PageRequest(before=cursor))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first": -1}, "first must be 0 or more, not -1."),
        ({"last": -2}, "last must be 0 or more, not -2."),
        ({"offset": -3}, "offset must be 0 or more, not -3."),
        ({"first": 1, "last": 1}, "Give first or last, not both."),
        ({"first": 0, "last": 0}, "Give first or last, not both."),
        ({"offset": 0, "after": ""}, "Give offset or after, not both; offset goes with first."),
        ({"offset": 0, "before": ""}, "Give offset or before, not both; offset goes with first."),
        ({"offset": 0, "last": 0}, "Give offset or last, not both; offset goes with first."),
    ],
)
def test_contradictions(arguments: dict[str, int | str], message: str) -> None:
    """Contradictory arguments and negative numbers are rejected with a message."""
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}$"):
        PageRequest(**arguments).check()  # type: ignore[arg-type]  # one table for numbers and cursors


@pytest.mark.parametrize(
    ("first", "last", "start", "stop"), [(0, None, 0, 0), (None, 0, 3, 3), (2**31, None, 0, 3), (None, 2**31, 0, 3)]
)
def test_sizes_at_the_edges(first: int | None, last: int | None, start: int, stop: int) -> None:
    """A page of no rows is at its end of the list, and a page larger than the list is the list."""
    page = paginate(SnapshotReader(SNAPSHOT), MATCH_ALL, (), PageRequest(first=first, last=last))
    assert (page.span.start, page.span.stop) == (start, stop)
    assert country_codes(page.rows) == ["AX", "CI", "ST"][start:stop]
