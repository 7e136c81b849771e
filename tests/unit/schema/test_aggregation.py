"""Aggregates and groups: exact values, and equal to what a client computes from the nodes of the same list."""

import asyncio
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.domain.aggregation import get_keys
from graphql_api.domain.country import Country
from graphql_api.domain.folding import fold
from graphql_api.domain.nodes import CONTINENTS, CountryLanguage, CountryLinks, Language
from graphql_api.domain.sorting import sort_rows
from tests.support.call_counts import count_calls
from tests.support.expensive_queries import GROUP_FIELDS
from tests.support.factories import (
    CODES,
    country_lists,
    few_examples,
    make_country,
    make_identity,
    make_reference,
    make_snapshot,
    make_sparse_country,
)
from tests.support.schema_client import SchemaClient, offline_client
from tests.support.world import WORLD, make_world

GERMAN, FRENCH = Language("de", "German", "Deutsch", rtl=False), Language("fr", "French", "français", rtl=False)


def make_links(continent: str, *languages: Language) -> CountryLinks:
    """Return the links of a country in which the first language alone is official."""
    uses = tuple(CountryLanguage(language, official=language == languages[0], share=None) for language in languages)
    return CountryLinks(continent=CONTINENTS[continent], languages=uses)


REFERENCE = make_reference(
    make_identity("AA", links=make_links("EU", GERMAN, FRENCH)),
    make_identity("BB", links=make_links("EU", FRENCH)),
    make_identity("CC", links=make_links("AF", FRENCH)),
    make_identity("DD", links=make_links("AN")),
)
ROWS = [
    make_country("AA", population=2**31 - 1, gdp=0.1, area_km2=1e16, exchange_rate=1.0, currency_code="EUR"),
    make_country("BB", population=2**31 - 1, gdp=0.2, area_km2=1.0, exchange_rate=3.0, currency_code="EUR"),
    make_country("CC", population=10, gdp=None, area_km2=-1e16, exchange_rate=7.0, region="Africa", subregion=None),
    make_sparse_country("DD", population=1),
]
CLIENT = offline_client(ROWS, REFERENCE)
SUMS = "population areaKm2 estimatedGdp gdp gdpPpp"
NUMBERS = f"{SUMS} populationDensity exchangeRate gdpPerCapita"
AGGREGATE = f"count sum {{ {SUMS} }} " + " ".join(f"{name} {{ {NUMBERS} }}" for name in ("avg", "min", "max", "median"))


async def group_keys(arguments: str, client: SchemaClient = CLIENT) -> list[list[str | None]]:
    """Return the keys of the groups for these arguments."""
    data = await client.query(f"{{ countries(first: 0) {{ groups({arguments}) {{ keys }} }} }}")
    return [group["keys"] for group in data["countries"]["groups"]]


async def test_exact_values() -> None:
    """Sums are exact, beyond 32 bits too; nulls are left out; an even number of values has the middle between two."""
    document = """{ countries(first: 1, offset: 1) { aggregate {
      count sum { population gdp areaKm2 } avg { population gdp exchangeRate } min { exchangeRate gdp }
      max { exchangeRate } median { population exchangeRate gdp }
    } } }"""
    assert (await CLIENT.query(document))["countries"]["aggregate"] == {
        "count": 4,
        # 0.1 + 0.2 rounds to 0.30000000000000004, as one addition of floats does; -1e16 + (1e16 + 1.0) would be 0.
        "sum": {"population": 4294967305.0, "gdp": 0.1 + 0.2, "areaKm2": 1.0},
        "avg": {"population": 4294967305 / 4, "gdp": (0.1 + 0.2) / 2, "exchangeRate": 11 / 3},
        "min": {"exchangeRate": 1.0, "gdp": 0.1},
        "max": {"exchangeRate": 7.0},
        "median": {"population": (2**31 - 1 + 10) / 2, "exchangeRate": 3.0, "gdp": (0.1 + 0.2) / 2},
    }


async def test_sums_beyond_the_range() -> None:
    """A sum that no float can hold is the greatest float, and means of such values are exact."""
    client = offline_client(make_country(code, gdp=sys.float_info.max) for code in ("AA", "BB", "CC"))
    document = "{ countries { aggregate { sum { gdp } avg { gdp } median { gdp } } } }"
    number = {"gdp": sys.float_info.max}
    assert (await client.query(document))["countries"]["aggregate"] == {"sum": number, "avg": number, "median": number}


@pytest.mark.parametrize("client", [CLIENT, offline_client()])
async def test_no_values(client: SchemaClient) -> None:
    """Of no countries, sums and count are 0, all other numbers null, and there are no groups."""
    document = f'{{ countries(filter: {{code: {{eq: "QQ"}}}}) {{ aggregate {{ {AGGREGATE} }}'
    document += " groups(by: [REGION, LANGUAGE]) { keys } } }"
    nulls = dict.fromkeys(NUMBERS.split())
    assert (await client.query(document))["countries"] == {
        "aggregate": {
            "count": 0,
            "sum": dict.fromkeys(SUMS.split(), 0.0),
            **dict.fromkeys(("avg", "min", "max", "median"), nulls),
        },
        "groups": [],
    }


async def test_groups() -> None:
    """A country is in the group of each of its languages, one without in that of null; the list's order is kept."""
    document = """{ countries(sort: [{field: CODE, direction: DESC}], first: 1) { groups(by: LANGUAGE) {
      keys aggregate { count sum { population } } countries { code }
    } } }"""
    assert (await CLIENT.query(document))["countries"]["groups"] == [
        {
            "keys": ["fr"],
            "aggregate": {"count": 3, "sum": {"population": 2 * (2**31 - 1) + 10}},
            "countries": [{"code": "CC"}, {"code": "BB"}, {"code": "AA"}],
        },
        {"keys": ["de"], "aggregate": {"count": 1, "sum": {"population": 2**31 - 1}}, "countries": [{"code": "AA"}]},
        {"keys": [None], "aggregate": {"count": 1, "sum": {"population": 1}}, "countries": [{"code": "DD"}]},
    ]


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        # Equal counts are in the order of the keys, with null last.
        ("by: CONTINENT", [["EU"], ["AF"], ["AN"]]),
        ("by: REGION", [["Europe"], ["Africa"], [None]]),
        ("by: CURRENCY_CODE", [["EUR"], [None]]),
        ("by: REGION, sort: []", [["Europe"], ["Africa"], [None]]),
        ("by: REGION, sort: {field: KEY, direction: ASC}", [["Africa"], ["Europe"], [None]]),
        ("by: REGION, sort: {field: KEY}", [["Europe"], ["Africa"], [None]]),
        ("by: REGION, sort: {field: COUNT, direction: ASC}", [["Africa"], [None], ["Europe"]]),
        ("by: REGION, sort: [{field: COUNT, direction: ASC}, {field: POPULATION}]", [["Africa"], [None], ["Europe"]]),
        (
            "by: REGION, sort: [{field: COUNT, direction: ASC}, {field: POPULATION, direction: ASC}]",
            [[None], ["Africa"], ["Europe"]],
        ),
        # A sum of no values is 0. The first key of a field decides.
        ("by: REGION, sort: {field: GDP, direction: ASC}", [["Africa"], [None], ["Europe"]]),
        ("by: REGION, sort: [{field: GDP}, {field: GDP, direction: ASC}]", [["Europe"], ["Africa"], [None]]),
        ("by: REGION, sort: {field: AREA_KM2, direction: ASC}", [["Africa"], [None], ["Europe"]]),
        ("by: REGION, sort: {field: GDP_PPP}, first: 2", [["Europe"], ["Africa"]]),
        ("by: REGION, sort: {field: ESTIMATED_GDP}, first: 0", []),
        ("by: REGION, first: 99", [["Europe"], ["Africa"], [None]]),
        (
            "by: [LANGUAGE, REGION], sort: {field: KEY, direction: ASC}",
            [["de", "Europe"], ["fr", "Africa"], ["fr", "Europe"], [None, None]],
        ),
        (
            "by: [REGION, LANGUAGE], sort: {field: KEY}",
            [["Europe", "fr"], ["Europe", "de"], ["Africa", "fr"], [None, None]],
        ),
        ("by: [SUBREGION, REGION]", [["Western Europe", "Europe"], [None, "Africa"], [None, None]]),
    ],
)
async def test_order(arguments: str, keys: list[list[str | None]]) -> None:
    """Groups are sorted by each key in its direction, then by their keys, and cut off after `first`."""
    assert await group_keys(arguments) == keys


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("by: []", "by must have at least one field."),
        ("by: [REGION, LANGUAGE, REGION]", "by has REGION 2 times; give each field once."),
        ("by: [LANGUAGE, LANGUAGE, LANGUAGE]", "by has LANGUAGE 3 times; give each field once."),
        ("by: REGION, first: -1", "first must be 0 or more, not -1."),
    ],
)
async def test_errors(arguments: str, message: str) -> None:
    """Groups by nothing, twice by one field, or of a negative number are errors that say what is wrong."""
    assert await CLIENT.query_error(f"{{ countries {{ groups({arguments}) {{ keys }} }} }}") == (
        "BAD_USER_INPUT",
        message,
    )
    variables = "query ($by: [CountryGroupField!]!) { countries { groups(by: $by) { keys } } }"
    assert await CLIENT.query_error(variables, by=[]) == ("BAD_USER_INPUT", "by must have at least one field.")


def test_no_page_is_built() -> None:
    """Numbers and groups alone need no order and no rows: neither a sort key nor an offset sorts anything."""
    client = offline_client(ROWS, REFERENCE)
    reader_sort = "countries(sort: [{field: POPULATION}], offset: 1)"
    document = f"{{ {reader_sort} {{ totalCount aggregate {{ count sum {{ gdp }} }} groups(by: REGION) {{ keys }} }} }}"

    def run(query: str) -> None:
        asyncio.run(client.query(query))

    assert count_calls(lambda: run(document))[sort_rows.__code__] == 0
    assert count_calls(lambda: run(f"{{ {reader_sort} {{ nodes {{ code }} }} }}"))[sort_rows.__code__] == 1


def test_grouped_once() -> None:
    """Rows are grouped once for a snapshot, whatever the filter, the order and the page."""
    client = offline_client(ROWS, REFERENCE)

    def run(arguments: str) -> None:
        document = f"{{ countries{arguments} {{ groups(by: [REGION, LANGUAGE]) {{ keys countries {{ code }} }} }} }}"
        asyncio.run(client.query(document))

    client.schema.measure_data(client.catalog)
    assert count_calls(lambda: run(""))[get_keys.__code__] == 2 * len(ROWS)
    assert count_calls(lambda: run('(filter: {name: {contains: "A"}}, first: 1)'))[get_keys.__code__] == 0


@pytest.mark.parametrize(
    "document",
    [
        f"{{ countries {{ aggregate {{ {AGGREGATE} }} }} }}",
        f"{{ countries(first: 1) {{ groups(by: [REGION, CURRENCY_CODE]) {{ keys aggregate {{ {AGGREGATE} }} }} }} }}",
        '{ countries { groups(by: LANGUAGE) { keys countries { name(lang: "de") currency { code } } } } }',
        "{ countries { groups(by: SUBREGION) { keys countries { code neighbours { code } } } } }",
        "query ($by: [CountryGroupField!]! = [REGION]) { countries { groups(by: $by, first: 3) { keys } } }",
    ],
)
async def test_compiled(document: str) -> None:
    """Questions over the whole world are compiled, so their responses are cached, and are within the limits."""
    response = await offline_client(make_world(), WORLD).request(document)
    assert "errors" not in response.body
    assert response.cacheable


ORDERS_OF_KEYS = list(permutations(GROUP_FIELDS))


def many_groups(count: int) -> str:
    """Return a query of all groups by all keys, each time in another order, with their countries."""
    parts = (
        f"g{index}: groups(by: [{', '.join(keys)}]) {{ keys countries {{ name }} }}"
        for index, keys in enumerate(ORDERS_OF_KEYS[:count])
    )
    return f"{{ countries(first: 0) {{ {' '.join(parts)} }} }}"


def many_numbers(count: int) -> str:
    """Return a query of numbers of the groups by language."""
    aliases = " ".join(f"a{index}: gdp" for index in range(count))
    return f"{{ countries(first: 0) {{ groups(by: LANGUAGE) {{ aggregate {{ median {{ {aliases} }} }} }} }} }}"


def many_sorts(count: int) -> str:
    """Return a query that sorts all groups by everything, and shows none."""
    sort = ", ".join(f"{{field: {field}}}" for field in SORT_FIELDS)
    parts = (
        f"g{index}: groups(by: [{', '.join(keys)}], sort: [{sort}], first: 0) {{ keys }}"
        for index, keys in enumerate(ORDERS_OF_KEYS[:count])
    )
    return f"{{ countries(first: 0) {{ {' '.join(parts)} }} }}"


@pytest.mark.parametrize(("build", "most"), [(many_groups, 2), (many_numbers, 50), (many_sorts, 2)])
def test_most_expensive(build: Callable[[int], str], most: int) -> None:
    """The dearest groups that the limits allow take a bounded number of calls; a few more are too complex."""
    client = offline_client(make_world(), WORLD)
    client.schema.measure_data(client.catalog)
    calls = count_calls(lambda: asyncio.run(client.query(build(most))))
    assert calls.total() < 800_000
    code, message = asyncio.run(client.query_error(build(most + 2)))
    assert (code, message.split()[5]) == ("QUERY_TOO_COMPLEX", "cost" if build is not many_numbers else "aliases")


# The reference: plain Python over the nodes.


def add(values: Sequence[float]) -> float:
    """Return the sum, at most the greatest float."""
    return float(min(sum(map(Fraction, values)), Fraction(sys.float_info.max)))


def average(values: Sequence[float]) -> float:
    """Return the sum by the number: the exact mean only if no float holds the sum."""
    exact = sum(map(Fraction, values))
    return float(exact / len(values)) if exact > sys.float_info.max else float(exact) / len(values)


def median(values: Sequence[float]) -> float:
    """Return the value in the middle, or the mean of the two there."""
    return average([statistics.median_low(values), statistics.median_high(values)])


FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {"avg": average, "min": min, "max": max, "median": median}
Node = Mapping[str, Any]
KEYS: Mapping[str, Callable[[Node], Sequence[str | None]]] = {
    "REGION": lambda node: [node["region"]],
    "SUBREGION": lambda node: [node["subregion"]],
    "CONTINENT": lambda node: [node["continent"]["code"]],
    "CURRENCY_CODE": lambda node: [node["currencyCode"]],
    "LANGUAGE": lambda node: [use["language"]["code"] for use in node["languages"]] or [None],
}


def present(nodes: Sequence[Node], name: str) -> list[float]:
    """Return the values of a field that are not null."""
    return [node[name] for node in nodes if node[name] is not None]


def aggregate(nodes: Sequence[Node]) -> Node:
    """Return the aggregate of these nodes."""
    numbers = {
        name: {field: function(values) if (values := present(nodes, field)) else None for field in NUMBERS.split()}
        for name, function in FUNCTIONS.items()
    }
    return {"count": len(nodes), "sum": {field: add(present(nodes, field)) for field in SUMS.split()}, **numbers}


def sort_position(group: Node, sort: Sequence[tuple[str, str]]) -> list[object]:
    """Return what orders a group among others."""
    keys = [(key is None, fold(key or ""), key or "") for key in group["keys"]]
    position: list[object] = []
    for name, direction in sort or [("COUNT", "DESC")]:
        if name == "KEY":
            position += [
                (missing, Reversed((folded, key)) if direction == "DESC" else (folded, key))
                for missing, folded, key in keys
            ]
            continue
        camel = {"AREA_KM2": "areaKm2", "ESTIMATED_GDP": "estimatedGdp", "GDP_PPP": "gdpPpp"}.get(name, name.lower())
        value = group["aggregate"]["count"] if name == "COUNT" else group["aggregate"]["sum"][camel]
        position.append(-value if direction == "DESC" else value)
    return [*position, keys]


class Reversed(tuple[str, ...]):
    """Texts that compare the other way round."""

    __slots__ = ()

    def __lt__(self, other: tuple[str, ...]) -> bool:
        return tuple(self) > tuple(other)


def group(nodes: Sequence[Node], by: Sequence[str], sort: Sequence[tuple[str, str]]) -> list[Node]:
    """Return the groups of these nodes."""
    members: dict[tuple[str | None, ...], list[Node]] = {}
    for node in nodes:
        for keys in product(*(KEYS[name](node) for name in by)):
            members.setdefault(keys, []).append(node)
    groups = [
        {"keys": list(keys), "aggregate": aggregate(grouped), "countries": [{"code": node["code"]} for node in grouped]}
        for keys, grouped in members.items()
    ]
    return sorted(groups, key=lambda group: sort_position(group, sort))


SORT_FIELDS = ("KEY", "COUNT", "POPULATION", "AREA_KM2", "ESTIMATED_GDP", "GDP", "GDP_PPP")
FILTERS = st.sampled_from(
    (
        None,
        {"population": {"gte": 1}},
        {"or": [{"region": {"isNull": True}}, {"gdp": {"gt": 1}}]},
        {"languages": {"has": "en"}},
    )
)
ORDERS = st.sampled_from(([], [{"field": "POPULATION", "direction": "DESC"}, {"field": "CAPITAL"}]))
PROPERTY_CLIENT = offline_client()
DOCUMENT = f"""query (
  $filter: CountryFilter, $order: [CountrySort!], $by: [CountryGroupField!]!, $sort: [CountryGroupSort!], $first: Int
) {{
  all: countries(filter: $filter, sort: $order) {{ nodes {{
    code region subregion continent {{ code }} currencyCode languages {{ language {{ code }} }} {NUMBERS}
  }} }}
  page: countries(filter: $filter, sort: $order, first: 1, offset: 1) {{
    totalCount
    aggregate {{ {AGGREGATE} }}
    groups(by: $by, sort: $sort, first: $first) {{ keys aggregate {{ {AGGREGATE} }} countries {{ code }} }}
  }}
}}"""


@st.composite
def group_arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the arguments of groups, each sort key once."""
    directions = st.sampled_from(("ASC", "DESC"))
    fields = draw(st.lists(st.sampled_from(SORT_FIELDS), max_size=3, unique=True))
    return {
        "by": draw(st.lists(st.sampled_from(GROUP_FIELDS), min_size=1, max_size=3, unique=True)),
        "sort": [{"field": field, "direction": draw(directions)} for field in fields],
        "first": draw(st.none() | st.integers(0, 5)),
    }


@settings(few_examples, max_examples=40)
@given(country_lists(), FILTERS, ORDERS, group_arguments())
async def test_reference(
    rows: list[Country],
    country_filter: Mapping[str, Any] | None,
    order: list[Mapping[str, str]],
    arguments: Mapping[str, Any],
) -> None:
    """Aggregate and groups are what a client computes from all nodes of the same filter, whatever the page."""
    PROPERTY_CLIENT.catalog.snapshot = make_snapshot(rows, {code: WORLD[code] for code in CODES})
    data = await PROPERTY_CLIENT.query(DOCUMENT, filter=country_filter, order=order, **arguments)
    nodes = data["all"]["nodes"]
    groups = group(nodes, arguments["by"], [(key["field"], key["direction"]) for key in arguments["sort"]])
    assert data["page"] == {
        "totalCount": len(nodes),
        "aggregate": aggregate(nodes),
        "groups": groups[: arguments["first"]],
    }
