"""Pages: walks meet every row once, cursors outlive their rows, and broken ones are refused."""

import base64
import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.filters import Condition, Filter, Operator
from graphql_api.domain.paging import Page, PageRequest, decode_cursor, encode_cursor, paginate
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.sorting import SortKey, position_of
from graphql_api.errors import InvalidInput
from tests.domain.model import EVERYTHING, filters, in_order, matches, orders
from tests.rows import CODES, codes_of, countries, make_country, make_snapshot, quick, tables

WHOLE = PageRequest()
BY_AREA = (SortKey(CountryField.AREA_KM2),)
BY_TIME = (SortKey(CountryField.LAST_REFRESHED_AT),)
THREE = make_snapshot([make_country("AX", area_km2=None), make_country("CI"), make_country("ST")])

Query = tuple[Filter, tuple[SortKey, ...]]
Ask = Callable[[PageRequest], Page]


def queries() -> st.SearchStrategy[Query]:
    """Draw what a list is asked for; half the time all rows, so that pages are full."""
    return st.tuples(st.just(EVERYTHING) | filters(), orders())


def asking(snapshot: Snapshot, query: Query) -> Ask:
    """Return the function from a request to its page."""
    return lambda request: paginate(snapshot, *query, request)


def text_of(content: object) -> str:
    """Return what a forger would send: any JSON in the clothes of a cursor."""
    return clothed(json.dumps(content).encode())


def clothed(body: bytes) -> str:
    """Return any bytes in the clothes of a cursor."""
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def refusal(argument: str) -> str:
    """Return the whole message, as a pattern, that refuses a cursor."""
    message = (
        f"{argument} is not a cursor of this list in this order; "
        "use one that the same query, with the same sort, gave."
    )
    return f"^{re.escape(message)}$"


def walk_forward(ask: Ask, size: int) -> list[str]:
    """Return the codes that following pages of `size` rows give, as a client follows them."""
    page = ask(PageRequest(first=size))
    assert page.start == 0
    codes = codes_of(page.rows)
    while page.stop < len(page.matching):
        page = ask(PageRequest(first=size, after=page.cursor(page.places[-1])))
        assert page.start == len(codes)
        codes += codes_of(page.rows)
    return codes


def walk_backward(ask: Ask, size: int) -> list[str]:
    """Return the codes that preceding pages of `size` rows give, in the order of the list."""
    page = ask(PageRequest(last=size))
    assert page.stop == len(page.matching)
    codes = codes_of(page.rows)
    while page.start > 0:
        page = ask(PageRequest(last=size, before=page.cursor(page.places[0])))
        assert page.stop == len(page.matching) - len(codes)
        codes = codes_of(page.rows) + codes
    return codes


@quick
@given(rows=tables(), query=queries())
def test_whole_list(rows: list[Country], query: Query) -> None:
    """Without arguments the page is every matching row in order, from the first to the last."""
    wanted, sort = query
    page = asking(make_snapshot(rows), query)(WHOLE)
    assert page.rows == in_order((row for row in rows if matches(row, wanted)), sort)
    assert (page.start, page.stop) == (0, len(page.matching))


@quick
@given(rows=tables(), query=queries(), size=st.integers(1, 4))
def test_walks(rows: list[Country], query: Query, size: int) -> None:
    """Walking forward or backward by any page size meets every row of the list exactly once."""
    ask = asking(make_snapshot(rows), query)
    whole = codes_of(ask(WHOLE).rows)
    assert walk_forward(ask, size) == whole
    assert walk_backward(ask, size) == whole


@quick
@given(rows=tables(min_size=1), sort=orders(), data=st.data())
def test_cut(rows: list[Country], sort: tuple[SortKey, ...], data: st.DataObject) -> None:
    """Every mix of cursors and sizes cuts the list as the Relay specification says."""
    ask = asking(make_snapshot(rows), (EVERYTHING, sort))
    page = ask(WHOLE)
    start, stop = 0, len(rows)
    places, sizes = st.integers(0, len(rows) - 1), st.integers(0, 9)
    after, before = data.draw(st.none() | places), data.draw(st.none() | places)
    first, last = data.draw(st.tuples(st.none(), st.none() | sizes) | st.tuples(sizes, st.none()))
    if after is not None:
        start = after + 1
    if before is not None:
        stop = max(start, before)
    if first is not None:
        stop = min(stop, start + first)
    if last is not None:
        start = max(start, stop - last)
    cursors = [page.cursor(place) for place in page.places]
    cut = ask(
        PageRequest(
            first=first,
            last=last,
            after=None if after is None else cursors[after],
            before=None if before is None else cursors[before],
        )
    )
    assert (cut.start, cut.stop) == (start, stop)
    assert cut.rows == page.rows[start:stop]


@quick
@given(rows=tables(), query=queries(), offset=st.integers(0, 10), first=st.none() | st.integers(0))
def test_offset(rows: list[Country], query: Query, offset: int, first: int | None) -> None:
    """An offset skips that many rows, and beyond the end gives an empty page at the end."""
    ask = asking(make_snapshot(rows), query)
    whole = ask(WHOLE).rows
    page = ask(PageRequest(offset=offset, first=first))
    assert page.rows == whole[offset:][:first]
    assert page.start == min(offset, len(whole))


@quick
@given(
    kept=countries(CODES[:1]),
    before=tables(CODES[1:]),
    now=tables(CODES[1:]),
    sort=orders(),
)
def test_cursor_outlives_changes(
    kept: Country, before: list[Country], now: list[Country], sort: tuple[SortKey, ...]
) -> None:
    """Whatever becomes of all other rows, paging goes on on either side of a row that stayed."""
    old = make_snapshot([kept, *before])
    cursor = asking(old, (EVERYTHING, sort))(WHOLE).cursor(old.rows.index(kept))
    ask = asking(make_snapshot([kept, *now]), (EVERYTHING, sort))
    whole = ask(WHOLE).rows
    place = whole.index(kept)
    assert ask(PageRequest(after=cursor)).rows == whole[place + 1 :]
    assert ask(PageRequest(before=cursor)).rows == whole[:place]


@quick
@given(rows=tables(min_size=1), sort=orders(), data=st.data())
def test_cursor_outlives_its_row(
    rows: list[Country], sort: tuple[SortKey, ...], data: st.DataObject
) -> None:
    """When its row is deleted, a cursor still parts the rows before it from those after it."""
    page = asking(make_snapshot(rows), (EVERYTHING, sort))(WHOLE)
    place = data.draw(st.sampled_from(range(len(rows))))
    cursor = page.cursor(page.places[place])
    left = page.rows[:place] + page.rows[place + 1 :]
    ask = asking(make_snapshot(left), (EVERYTHING, sort))
    assert ask(PageRequest(after=cursor)).rows == page.rows[place + 1 :]
    assert ask(PageRequest(before=cursor)).rows == page.rows[:place]


def test_cursor_of_a_row_that_a_filter_leaves_out() -> None:
    """A cursor goes on in a narrower list that its own row is not in."""
    cursor = asking(THREE, (EVERYTHING, ()))(WHOLE).cursor(1)
    no_ivory = Condition(CountryField.CODE, Operator.NE, "CI")
    ask = asking(THREE, (no_ivory, ()))
    assert codes_of(ask(PageRequest(after=cursor)).rows) == ["ST"]
    assert codes_of(ask(PageRequest(before=cursor)).rows) == ["AX"]


@quick
@given(rows=tables(), sort=orders())
def test_cursors_read_back(rows: list[Country], sort: tuple[SortKey, ...]) -> None:
    """A cursor is plain, URL-safe text, one for each row, and holds exactly its position."""
    snapshot = make_snapshot(rows)
    page = asking(snapshot, (EVERYTHING, sort))(WHOLE)
    cursors = [page.cursor(place) for place in page.places]
    assert [one for one in cursors if not re.fullmatch(r"[A-Za-z0-9_-]+", one)] == []
    assert len(set(cursors)) == len(rows)
    positions = [position_of(place, sort, snapshot) for place in page.places]
    assert [decode_cursor(one, sort) for one in cursors] == positions
    assert [encode_cursor(position, sort) for position in positions] == cursors


@quick
@given(text=st.text(st.characters(exclude_categories=())), sort=orders())
def test_any_text_is_refused(text: str, sort: tuple[SortKey, ...]) -> None:
    """Text that no list gave is refused as a cursor, whatever characters it is made of."""
    for body in (text, clothed(text.encode(errors="surrogatepass"))):
        with pytest.raises(InvalidInput, match=refusal("after")):
            paginate(THREE, EVERYTHING, sort, PageRequest(after=body))
        with pytest.raises(InvalidInput, match=refusal("before")):
            paginate(THREE, EVERYTHING, sort, PageRequest(before=body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@quick
@given(
    values=st.tuples(JSON, st.text(max_size=3) | JSON, st.text(max_size=3) | JSON),
    field=st.sampled_from(CountryField),
)
def test_forged_cursors(values: tuple[object, ...], field: CountryField) -> None:
    """A forged cursor is refused, or else names one place in the order: nothing lies between."""
    cursor = text_of([field, *values])
    ask = asking(THREE, (EVERYTHING, (SortKey(field),)))
    try:
        after = ask(PageRequest(after=cursor))
    except InvalidInput:
        return
    assert ask(PageRequest(before=cursor)).stop == after.start


@quick
@given(place=st.integers(0, 2), at=st.integers(0, 200), letter=st.characters())
def test_damaged_cursors(place: int, at: int, letter: str) -> None:
    """A cursor with one wrong character is refused, or else still names one place."""
    cursor = asking(THREE, (EVERYTHING, BY_AREA))(WHOLE).cursor(place)
    damaged = cursor[: at % len(cursor)] + letter + cursor[at % len(cursor) + 1 :]
    ask = asking(THREE, (EVERYTHING, BY_AREA))
    try:
        after = ask(PageRequest(after=damaged))
    except InvalidInput:
        return
    assert after.start - ask(PageRequest(before=damaged)).stop in {0, 1}


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
        clothed(b"\xff\xfe\xfd"),
        clothed(b"[" * 100_000),
        clothed(b'{"a":' * 100_000),
        clothed(b"1" * 5_000),
        text_of(None),
        text_of(1),
        text_of("area_km2"),
        text_of({"area_km2": 1}),
        text_of([]),
        text_of(["area_km2"]),
        text_of(["area_km2", 1.0, "land ci", "ci"]) + "!!!!",
        text_of(["area_km2", 1.0, "land ci"]),
        text_of(["area_km2", 1.0, "land ci", "ci", "ci"]),
        text_of(["", 1.0, "land ci", "ci"]),
        text_of(["-area_km2", 1.0, "land ci", "ci"]),
        text_of(["population", 1.0, "land ci", "ci"]),
        text_of([None, 1.0, "land ci", "ci"]),
        text_of(["area_km2", "1.0", "land ci", "ci"]),
        text_of(["area_km2", True, "land ci", "ci"]),
        text_of(["area_km2", [1.0], "land ci", "ci"]),
        text_of(["area_km2", {}, "land ci", "ci"]),
        text_of(["area_km2", 1.0, None, "ci"]),
        text_of(["area_km2", 1.0, "land ci", None]),
        text_of(["area_km2", 1.0, 1, "ci"]),
        text_of(["area_km2", 1.0, "land ci", 1]),
        clothed(b'["area_km2",NaN,"land ci","ci"]'),
        clothed(b'["area_km2",Infinity,"land ci","ci"]'),
        clothed(b'["area_km2",-Infinity,"land ci","ci"]'),
        clothed(b'["area_km2",1e999,"land ci","ci"]'),
        clothed(b'["area_km2",1%s,"land ci","ci"]' % (b"0" * 400)),
        clothed(b'["area_km2",-1%s,"land ci","ci"]' % (b"0" * 400)),
        clothed(b'["area_km2",1%s,"land ci","ci"]' % (b"0" * 5_000)),
    ],
)
def test_broken_cursors(cursor: str) -> None:
    """A cursor of the wrong shape, order or kind of value is refused with one message."""
    with pytest.raises(InvalidInput, match=refusal("after")):
        paginate(THREE, EVERYTHING, BY_AREA, PageRequest(after=cursor))


@pytest.mark.parametrize(
    "instant", ["", "soon", "2026-11-23T16:26:00", "2026-13-01T00:00Z", 1, 1.5]
)
def test_broken_instants(instant: object) -> None:
    """A cursor with a time that is none, or that lacks its zone, is refused."""
    cursor = text_of(["last_refreshed_at", instant, "land ci", "ci"])
    with pytest.raises(InvalidInput, match=refusal("before")):
        paginate(THREE, EVERYTHING, BY_TIME, PageRequest(before=cursor))


@pytest.mark.parametrize(
    ("instant", "codes"),
    [
        ("0001-01-01T00:00:00+23:59", ["AX", "CI", "ST"]),
        ("2026-11-23T17:26:00.123456+01:00", ["ST"]),
        ("9999-12-31T23:59:59.999999-23:59", []),
    ],
)
def test_instants_at_the_ends_of_time(instant: str, codes: list[str]) -> None:
    """A position at any instant, in any zone, is in its place."""
    cursor = text_of(["last_refreshed_at", instant, "land ci", "ci"])
    page = paginate(THREE, EVERYTHING, BY_TIME, PageRequest(after=cursor))
    assert codes_of(page.rows) == codes


@pytest.mark.parametrize(
    ("made_for", "used_for"),
    [
        ((), BY_AREA),
        (BY_AREA, ()),
        (BY_AREA, (SortKey(CountryField.AREA_KM2, descending=True),)),
        (BY_AREA, (SortKey(CountryField.EXCHANGE_RATE),)),
        (BY_AREA, BY_AREA * 2),
        ((*BY_AREA, *BY_TIME), (*BY_TIME, *BY_AREA)),
    ],
)
def test_cursor_of_another_order(
    made_for: tuple[SortKey, ...], used_for: tuple[SortKey, ...]
) -> None:
    """A cursor is refused in every order but the one that it was made for."""
    cursor = asking(THREE, (EVERYTHING, made_for))(WHOLE).cursor(1)
    assert decode_cursor(cursor, made_for) == position_of(1, made_for, THREE)
    with pytest.raises(InvalidInput, match=refusal("before")):
        paginate(THREE, EVERYTHING, used_for, PageRequest(before=cursor))


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
    """A request that contradicts itself, or counts below zero, says so."""
    with pytest.raises(InvalidInput, match=f"^{re.escape(message)}$"):
        PageRequest(**arguments)  # type: ignore[arg-type]  # one table for numbers and cursors


@pytest.mark.parametrize(
    ("first", "last", "start", "stop"),
    [(0, None, 0, 0), (None, 0, 3, 3), (2**31, None, 0, 3), (None, 2**31, 0, 3)],
)
def test_sizes_at_the_edges(first: int | None, last: int | None, start: int, stop: int) -> None:
    """A page of no rows stands at its end of the list; a page larger than the list is the list."""
    page = paginate(THREE, EVERYTHING, (), PageRequest(first=first, last=last))
    assert (page.start, page.stop) == (start, stop)
    assert codes_of(page.rows) == ["AX", "CI", "ST"][start:stop]
