"""Query parameters of the table: what they find, in which order, and what is said of wrong ones."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import CountryField
from graphql_api.domain.sorting import SortKey
from graphql_api.http.site.parameters import Parameters
from graphql_api.http.site.table_query import SORT_FIELDS, TableQuery, list_regions, parse_table_query, select_rows
from tests.support.factories import HARD_TEXTS, few_examples, make_snapshot
from tests.support.world import WORLD as REFERENCE
from tests.support.world import make_world

WORLD = make_snapshot(make_world(), REFERENCE)
REGIONS = ["Africa", "Americas", "Antarctica", "Asia", "Europe", "Oceania"]
texts = st.one_of(
    st.sampled_from((*HARD_TEXTS[:-1], "usa", "land", "eur", "ivory coast", "the", "(")), st.text(max_size=12)
)
queries = st.builds(
    TableQuery,
    texts.map(str.strip),
    st.sampled_from(["", *REGIONS]),
    st.none() | st.builds(SortKey, st.sampled_from(SORT_FIELDS), st.booleans()),
)


def parse(values: Mapping[str, str]) -> tuple[TableQuery, list[str]]:
    """Return the query of these parameters and their problems."""
    params = Parameters(values)
    return parse_table_query(params, WORLD), params.problems


def find(text: str, count: int = 3) -> list[str]:
    """Return the codes of the first countries that the table has for a text."""
    return [row.code for row in select_rows(TableQuery(text), WORLD)][:count]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("usa", ["US", "IL", "PS"]),
        ("ivory coast", ["CI"]),
        ("COTE D'IVOIRE", ["CI"]),
        ("uk", ["GB", "UA", "CI"]),
        ("826", ["GB"]),
        ("fra", ["FR", "GF", "MQ"]),
        ("Deutschland", ["DE"]),
        ("Allemagne", ["DE"]),
        ("Allemag", []),
        ("中国", ["CN"]),
        ("guinea", ["GN", "GW", "GQ"]),
        ("states united", ["US", "MX", "VI"]),
        ("uthern", ["TF"]),
        ("buenos", ["AR"]),
        ("ILS", ["IL", "PS"]),
        ("xyzzy", []),
        ("\u0301", []),
    ],
)
def test_text(text: str, codes: list[str]) -> None:
    """Whole names and codes come first, then starts of words, then middles; other languages count only as a whole."""
    assert find(text) == codes


def test_middles() -> None:
    """Words may be in the middle of a name, and each in another column."""
    assert find("land", 300)[0] == "TF"
    assert {"FI", "IE", "CH", "TH"} < set(find("land", 300))
    assert find("eur lith") == ["LT"]
    assert set(find("europe", 300)) == {row.code for row in WORLD.rows if row.region == "Europe"}


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ({}, TableQuery()),
        ({"q": " ", "region": "", "sort": "", "direction": ""}, TableQuery()),
        ({"q": " usa ", "region": "europe", "page": "2"}, TableQuery("usa", "Europe")),
        ({"sort": "population"}, TableQuery(sort_key=SortKey(CountryField.POPULATION, descending=True))),
        ({"sort": "areaKm2", "direction": "ASC"}, TableQuery(sort_key=SortKey(CountryField.AREA_KM2))),
        ({"sort": "AREA_KM2", "direction": "desc"}, TableQuery(sort_key=SortKey(CountryField.AREA_KM2, True))),
        ({"sort": "capital"}, TableQuery(sort_key=SortKey(CountryField.CAPITAL))),
        ({"direction": "desc"}, TableQuery()),
    ],
)
def test_parameters(params: Mapping[str, str], query: TableQuery) -> None:
    """Empty parameters are absent, numbers sort from the highest, and case does not matter."""
    assert parse(params) == (query, [])


@pytest.mark.parametrize(
    ("params", "query", "problem"),
    [
        ({"region": "Urope"}, TableQuery(), f"region must be one of {', '.join(REGIONS)}, not 'Urope'."),
        ({"direction": "up"}, TableQuery(), "direction must be one of asc, desc, not 'up'."),
        ({"q": "a" * 101, "region": "Asia"}, TableQuery("", "Asia"), "q has 101 characters, at most 100."),
        ({"sort": "x" * 50}, TableQuery(), f"sort must be one of {', '.join(SORT_FIELDS)}, not '{'x' * 40}'."),
        ({"sort": "languages"}, TableQuery(), f"sort must be one of {', '.join(SORT_FIELDS)}, not 'languages'."),
    ],
)
def test_wrong_parameters(params: Mapping[str, str], query: TableQuery, problem: str) -> None:
    """A wrong parameter is left out, and its problem names what is right."""
    assert parse(params) == (query, [problem])


def test_regions() -> None:
    """The regions are those of UN M49 and Antarctica."""
    assert list_regions(WORLD) == REGIONS


@few_examples
@given(query=queries)
def test_selection(query: TableQuery) -> None:
    """A query survives its URL; it selects rows of its region, each once, in the order of its key."""
    assert parse(dict(parse_qsl(query.encode()))) == (query, [])
    rows = select_rows(query, WORLD)
    codes = [row.code for row in rows]
    assert len(set(codes)) == len(codes)
    assert {row.region for row in rows} <= ({query.region} if query.region else set(REGIONS))
    matches = {row.code for row in select_rows(TableQuery(query.text), WORLD)}
    assert set(codes) == {row.code for row in WORLD.rows if row.code in matches and query.region in ("", row.region)}
    if query.sort_key:
        everything = select_rows(TableQuery(sort_key=query.sort_key), WORLD)
        assert codes == [row.code for row in everything if row.code in set(codes)]


@few_examples
@given(params=st.dictionaries(st.sampled_from(["q", "region", "sort", "direction"]), st.text(max_size=200)))
def test_any_parameters(params: Mapping[str, str]) -> None:
    """Whatever the parameters, there is a query, and each problem is of a parameter that was sent."""
    query, problems = parse(params)
    assert len(select_rows(query, WORLD)) <= len(WORLD.rows)
    named = [re.split(r" (?:has|must)", problem)[0] for problem in problems]
    assert len(set(named)) == len(named)
    assert set(named) <= set(params)
