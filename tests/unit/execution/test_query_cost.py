"""Query cost: every limit at its edge, fragments measured once, variables at each use."""

from collections.abc import Mapping
from typing import Any

import pytest
from graphql import FragmentDefinitionNode, GraphQLObjectType, OperationDefinitionNode, parse

from graphql_api.domain.country import SkippedRecord
from graphql_api.errors import QueryTooComplex
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.list_sizes import (
    GroupSize,
    ListSize,
    is_list,
    measure_graph,
    measure_groups,
    measure_reports,
)
from graphql_api.execution.query_cost import _COST_BY_FIELD, OperationCost, is_short, measure_operation
from graphql_api.execution.row_count import _GROUPED_FIELDS, _LISTS_OF_ROWS, _ROWS_BY_FIELD, DataSizes
from tests.support.attempts import make_failure, make_report, make_source_report
from tests.support.factories import make_snapshot
from tests.support.schema_client import SCHEMA
from tests.support.world import WORLD, make_world

UNLIMITED = QueryLimits(depth=100, fields=10**30, aliases=10**30, items=10**9, cost=10**30)
MANY = 10**9
SIZES = DataSizes(
    250,
    {
        "RefreshReport.sources": ListSize(2, MANY),
        "SourceReport.failures": ListSize(3, MANY),
        "RefreshReport.skipped": ListSize(100, MANY),
        "RefreshReport.missing": ListSize(20, MANY),
        **measure_graph(SCHEMA.executable, make_snapshot(make_world(), WORLD)),
        # Of fixed sizes, so that a release of the data changes no cost.
        "Country.neighbours": ListSize(14, 640),
        "Country.languages": ListSize(38, 1100),
        "Country.timezones": ListSize(29, 400),
        "Continent.countries": ListSize(60, 250, are_disjoint=True),
        "Currency.countries": ListSize(40, 260),
        "Language.countries": ListSize(100, 1100),
        "Query.continents": ListSize(7, 7, are_disjoint=True),
        "Query.languages": ListSize(435, 435, are_disjoint=True),
    },
    {
        "REGION": GroupSize(6, 250),
        "SUBREGION": GroupSize(23, 250),
        "CONTINENT": GroupSize(7, 250),
        "CURRENCY_CODE": GroupSize(155, 250),
        "LANGUAGE": GroupSize(436, 1109),
    },
)
LEVELS = 60
EXPANDING = "\ufdfa"
"""Three bytes that expand to 18 characters."""
ACCENTED = "e\u0301"


def measure(document: str, limits: QueryLimits) -> OperationCost:
    """Measure the first operation of a document."""
    definitions = parse(document).definitions
    [operation, *_] = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    return measure_operation(operation, SCHEMA.executable, fragments, limits)


def rejection_message(document: str, variables: Mapping[str, Any], limits: QueryLimits) -> str | None:
    """Return the message that a document is rejected with, or None."""
    try:
        measure(document, limits).check(variables, SIZES)
    except QueryTooComplex as error:
        return str(error)
    return None


def compute_cost(document: str, **variables: object) -> int:
    """Return the cost of the first operation of a document."""
    return measure(document, UNLIMITED).check(variables, SIZES)


def check_limit_edge(name: str, value: int, document: str, **variables: object) -> None:
    """Assert that the limit rejects the document one below the value, but not at it."""
    unlimited = {field: getattr(UNLIMITED, field) for field in UNLIMITED.__slots__}
    exact = QueryLimits(**{**unlimited, name: value})
    too_low = QueryLimits(**{**unlimited, name: value - 1})
    assert rejection_message(document, variables, exact) is None
    message = f"The query is too complex: {name} {value}, at most {value - 1}."
    assert rejection_message(document, variables, too_low) == message


NESTED_FRAGMENT = "fragment f on Query { status { version } }"


TWELVE_FRAGMENTS = " ".join(f"fragment f{i} on Q {{ a }}" for i in range(12))


@pytest.mark.parametrize(
    ("name", "value", "document"),
    [
        ("depth", 1, "{ __typename }"),
        ("depth", 3, "{ status { lastRefresh { id } } }"),
        ("depth", 3, "{ ...f } fragment f on Query { status { version } }"),
        ("depth", 3, "{ ... { status { version } } }"),
        ("depth", 4, "{ ...f status { ...f } } fragment f on Query { status { version } }"),
        ("depth", 5, "{ x { ...g ...f } } fragment f on Q { x { ...g } } fragment g on Q { y }"),
        ("fields", 2, "{ status { version } }"),
        ("fields", 6, f"{{ ...f ...f }} {NESTED_FRAGMENT}"),
        ("fields", 3, f"{{ ...f }} {NESTED_FRAGMENT}"),
        # Other operations and their fragments do not count.
        ("fields", 1, f"{{ __typename }} {NESTED_FRAGMENT}"),
        ("fields", 1, f"query a {{ b }} query b {{ ...f }} query c {{ d e }} {NESTED_FRAGMENT}"),
        ("fields", 4, "{ ... { a } ... { b } }"),
        ("fields", 3, "{ a @x @y }"),
        ("fields", 9, "query a($v: Int @b) @a { ... @c { d } ...f @e } fragment f on Q @g { h }"),
        # Ten pairs that validation compares count as a field: 66 pairs of 12.
        ("fields", 50, "{ " + "a " * 50 + "}"),
        ("fields", 12 + 6, "{ " + "a(b: 1) " * 12 + "}"),
        ("fields", 2 * 12 + 6, "{ " + "a { b } " * 12 + "}"),
        ("fields", 2 * 12 + 1 + 13, "{ a { " + "a { b(c: 1) } " * 12 + "} }"),
        ("fields", 3 * 12, "{ " + "...f " * 12 + "} fragment f on Q { a { b } }"),
        ("fields", 2 * 12 + 6, f"{{ {' '.join(f'...f{i}' for i in range(12))} }} {TWELVE_FRAGMENTS}"),
        ("fields", 3 * 12, f"{{ {' '.join(f'a{i} {{ ...f{i} }}' for i in range(12))} }} {TWELVE_FRAGMENTS}"),
        ("fields", 6, "{ ...f ...f } fragment f on Q { a @x }"),
        ("aliases", 2, "{ a: status { b: version version } }"),
        ("aliases", 2, "{ ...f ...f } fragment f on Query { a: __typename }"),
        ("items", 3, "{ countries(sort: [1, 2, 3]) { totalCount } }"),
        ("items", 3, "{ a @x(b: [{c: [1, 2, 3]}]) }"),
        ("items", 2, "query ($v: [Int] = [1, 2]) { a(v: $v) }"),
        ("depth", 4, "{ countries(filter: {and: [{name: {eq: 1}}]}) { totalCount } }"),
        ("depth", 2, "query ($v: [Int] = [[1]]) { a(v: $v) }"),
    ],
)
def test_edges(name: str, value: int, document: str) -> None:
    """A document is rejected exactly when a measure exceeds its limit."""
    check_limit_edge(name, value, document)


@pytest.mark.parametrize(
    ("name", "value", "variable"),
    [
        ("items", 3, [1, 2, 3]),
        ("items", 3, {"a": [{"b": [1, 2, 3]}]}),
        ("depth", 1, {}),
        ("depth", 3, {"a": [{"b": 1}]}),
    ],
)
def test_edges_of_variables(name: str, value: int, variable: object) -> None:
    """A declared variable is measured too, even one that the operation does not use."""
    check_limit_edge(name, value, "query ($v: X) { __typename }", v=variable)
    limits = QueryLimits(depth=1, items=1)
    assert rejection_message("{ __typename } query b($v: X) { __typename }", {"v": variable}, limits) is None


@pytest.mark.parametrize(
    ("document", "variables", "expected_cost"),
    [
        ("{ __typename }", {}, 1),
        ("{ status { version stale } country { id } }", {}, 5),
        # A mutation has a flat cost, its selection adds to it.
        ('mutation { deleteCountry(code: "FR") { id } refreshCountries { id } }', {}, 4002),
        # The field itself and two below it, for every country.
        ("{ countries { nodes { code } } }", {}, 250 * 3),
        ("{ countries(first: 10) { nodes { code } } }", {}, 10 * 3),
        ("{ countries(last: 10) { nodes { code } } }", {}, 10 * 3),
        ("{ countries(first: 1000) { nodes { code } } }", {}, 250 * 3),
        ("{ countries(first: 11111111111111111) { nodes { code } } }", {}, 250 * 3),
        ("{ countries(first: -1) { nodes { code } } }", {}, 0),
        ("{ countries(first: null) { nodes { code } } }", {}, 250 * 3),
        ("query ($n: Int) { countries(first: $n) { totalCount } }", {"n": 7}, 7 * 2),
        ("query ($n: Int) { countries(first: $n) { totalCount } }", {"n": 10**9}, 250 * 2),
        ("query ($n: Int) { countries(first: $n) { totalCount } }", {"n": "x"}, 250 * 2),
        ("query ($n: Int) { countries(first: $n) { totalCount } }", {}, 250 * 2),
        ("query ($n: Int = 5) { countries(first: $n) { totalCount } }", {}, 5 * 2),
        ("query ($n: Int = 5) { countries(first: $n) { totalCount } }", {"n": 6}, 6 * 2),
        ("{ refreshes { id } }", {}, 10 * 2),
        ("{ refreshes(first: 2000) { id } }", {}, 1000 * 2),
        ("{ failedRefreshes { id } }", {}, 10 * 2),
        ("{ failedRefreshes(first: 2000) { id } }", {}, 1000 * 2),
        # A cursor holds one value for each sort key.
        ("{ countries { edges { a: cursor b: cursor } } }", {}, 250 * (2 + 2)),
        ("{ countries(sort: {field: NAME}) { edges { cursor } } }", {}, 250 + 250 * (2 + 2)),
        (
            "{ countries(first: 7, sort: [" + "{field: NAME} " * 2 + "]) { edges { a: cursor b: cursor } } }",
            {},
            2 * 250 + 2 + 7 * (2 + 2 * 3),
        ),
        (
            "query ($s: [CountrySort!]) { countries(first: 7, sort: $s) { pageInfo { startCursor endCursor } } }",
            {"s": [{"field": "NAME"}] * 20},
            20 * 250 + 20 + 7 * (2 + 2 * 19),
        ),
        ("query ($s: [CountrySort!]) { countries(first: 7, sort: $s) { edges { cursor } } }", {}, 7 * (2 + 1)),
        (
            "query ($s: [CountrySort!] = {field: NAME}) { countries(first: 7, sort: $s) { edges { cursor } } }",
            {},
            250 + 7 * (2 + 2),
        ),
        # The lists of a report cost as much as the longest of the history.
        ("{ refreshes(first: 5) { skipped { record reason } missing } }", {}, 5 * (1 + 3 * 101 + 21)),
        ("{ refreshes(first: 5) { sources { kind failures } } }", {}, 5 * (1 + 3 * (1 + 1 + 4))),
        ("{ status { lastRefresh { missing } } }", {}, 2 + 21),
        # Each field of an object in an argument is compared with every country.
        ('{ countries(first: 0, filter: {name: {eq: "x"}}) { totalCount } }', {}, 250 * 2),
        ("{ countries(first: 0, sort: [{field: NAME}]) { totalCount } }", {}, 250 + 1),
        # Ten characters of a text cost as much as a field.
        (f'{{ country(name: "{"x" * 100}") {{ id }} }}', {}, 10 + 2),
        # U+FDFA expands to 18 characters.
        (f'{{ country(name: "{EXPANDING * 100}") {{ id }} }}', {}, 180 + 2),
        ("query ($t: String) { a: country(name: $t) { id } b: country(name: $t) { id } }", {"t": EXPANDING * 100}, 364),
        (f'{{ country(name: "{ACCENTED * 1000}") {{ id }} }}', {}, 200 + 2),
        # An empty object is a condition too, which every country meets.
        ("query ($f: F) { countries(first: 0, filter: $f) { id } }", {"f": {"or": [{}, {}, {}]}}, 4 * 250 + 3),
        ("query ($f: F) { countries(first: 0, filter: $f) { id } }", {"f": {"a": {"b": 1}}}, 500),
        ("query ($f: F) { countries(first: 0, filter: $f) { id } }", {}, 0),
        ("query ($f: F = {a: [1]}) { countries(first: 0, filter: $f) { id } }", {}, 250 + 1),
        (
            "query ($f: F) { countries(first: 0, filter: {or: [$f, {not: $f}]}) { id } }",
            {"f": {"a": "x" * 50}},
            250 * 2 + 2 + 2 * (250 + 5),
        ),
    ],
)
def test_cost(document: str, variables: dict[str, Any], expected_cost: int) -> None:
    """The cost is rows times fields, selected and compared."""
    assert compute_cost(document, **variables) == expected_cost
    if expected_cost:
        check_limit_edge("cost", expected_cost, document, **variables)


@pytest.mark.parametrize(
    ("fields", "document"),
    [
        (4, "{ a b { c d } }"),
        (4, "query a { b } query b { c } query d { e f }"),
        (3, "{ ...f a } fragment f on Q { b }"),
        (1 + 24 + 6, "query a { b } query b { " + "a { b } " * 12 + "}"),
    ],
)
def test_is_short(fields: int, document: str) -> None:
    """A document is short if all its definitions together have no more fields than one operation may have."""
    node = parse(document)
    fragments = {node.name.value: node for node in node.definitions if isinstance(node, FragmentDefinitionNode)}
    for token_count in (0, len(document)):  # the fields are not counted if there are few tokens
        assert is_short(node, fragments, token_count, QueryLimits(fields=fields)) is True
    assert is_short(node, fragments, len(document), QueryLimits(fields=fields - 1)) is False


def fragment_bomb(leaf: str) -> str:
    """Return a document with 60 levels of fragments, each of which uses the next one twice."""
    fragments = [f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(LEVELS)]
    return f"{{ ...f0 }} {' '.join(fragments)} fragment f{LEVELS} on Query {{ {leaf} }}"


def test_bomb() -> None:
    """Nested fragments are measured once each, so 2^60 uses take no time."""
    assert compute_cost(fragment_bomb("a: __typename @x")) == 2**LEVELS
    assert compute_cost(fragment_bomb("countries { nodes { code } }")) == 2**LEVELS * 250 * 3
    assert compute_cost(fragment_bomb("...nothing")) == 0
    message = "The query is too complex: depth 21, at most 20."
    assert rejection_message(fragment_bomb("__typename"), {}, QueryLimits()) == message
    message = "The query is too complex: fields 382, at most 300."
    assert rejection_message(fragment_bomb("__typename"), {}, QueryLimits(depth=100)) == message


def test_every_mutation_has_its_cost() -> None:
    """The flat cost of mutations covers every field of the mutation type."""
    mutation_type = SCHEMA.executable.mutation_type
    assert mutation_type is not None
    assert set(_COST_BY_FIELD) == {f"Mutation.{name}" for name in mutation_type.fields}


@pytest.mark.parametrize(
    "document",
    [
        "{ ...a } fragment a on Query { __typename ...a }",
        "{ ...a } fragment a on Query { ...b ...b } fragment b on Query { ...a __typename ...a }",
        "{ __typename } fragment a on Query { ...b } fragment b on Query { ...a }",
    ],
)
def test_cycles(document: str) -> None:
    """Measuring fragments in a cycle ends, and rejecting them is left to validation."""
    assert rejection_message(document, {}, QueryLimits()) is None


def test_measure_lists() -> None:
    """The lists of a history are as long as the longest of all reports; failures have none."""
    record = SkippedRecord(record="AN", reason="unknown")
    sources = (make_source_report("a", failures=("one", "two", "three")), make_source_report("b"))
    history = (
        make_report("a", skipped=(record,) * 5, missing=()),
        make_failure("b"),
        make_report("c", skipped=(record,), missing=("x",) * 7, sources=sources),
    )
    sizes = {name: size[:2] for name, size in measure_reports(history).items()}
    assert sizes == {
        "RefreshReport.sources": (2, 4),
        "SourceReport.failures": (3, 4),
        "RefreshReport.skipped": (5, 6),
        "RefreshReport.missing": (7, 7),
    }
    assert set(measure_reports(()).values()) == {(0, 0, True)}


def test_every_list_has_its_size() -> None:
    """Each list of the schema is measured, is the rows of a field, or is known to be short; nothing else is."""
    lists = {
        f"{object_type.name}.{name}"
        for object_type in SCHEMA.executable.type_map.values()
        if isinstance(object_type, GraphQLObjectType) and not object_type.name.startswith("__")
        for name, field in object_type.fields.items()
        if is_list(field)
    }
    measured = {*measure_graph(SCHEMA.executable, make_snapshot(make_world(), WORLD)), *measure_reports(())}
    rows = {*_ROWS_BY_FIELD, *_GROUPED_FIELDS} - {"Query.countries", "CountryConnection.aggregate"}
    assert lists == measured | _LISTS_OF_ROWS | rows


def test_measure_graph() -> None:
    """Lists have the length of the longest one, and of all together."""
    sizes = measure_graph(SCHEMA.executable, make_snapshot(make_world(), WORLD))
    assert sizes["Query.continents"] == (7, 7, True)
    assert sizes["Country.neighbours"][::2] == (14, False)
    assert sizes["Continent.countries"][1:] == (250, True)
    assert sizes["Region.subregions"][1:] == (22, True)
    assert sizes["Region.countries"][1:] == (499, False)
    assert sizes["Country.languages"].total == sizes["Language.countries"].total


@pytest.mark.parametrize(
    ("document", "expected_cost"),
    [
        # Nodes, the list of each, and a name below: at most all neighbours there are.
        ("{ countries { nodes { neighbours { name } } } }", 250 * 2 + 2 * (250 + 640)),
        # Of few countries, each may have the most.
        ("{ countries(first: 3) { nodes { neighbours { name } } } }", 3 * 2 + 2 * (3 + 3 * 14)),
        ('{ country(code: "FR") { neighbours { neighbours { name } } } }', 1 + 15 + 2 * 15**2),
        # Only the first list is of different countries.
        ("{ countries { nodes { neighbours { neighbours { code } } } } }", 500 + 890 + 2 * 890 * 15),
        ("{ continents { countries { languages { share } } } }", 8 + 258 + 2 * (258 + 1100)),
        # A list of leaves has as many.
        ("{ countries { nodes { timezones } } }", 250 * 2 + 250 + 400),
        # Many countries have one continent, whose countries count for each.
        ("{ countries { nodes { continent { countries { code } } } } }", 250 * 3 + 2 * 250 * 61),
        ("{ countries { edges { node { neighbours { name } } } } }", 250 * 3 + 2 * (250 + 640)),
        ('{ nodes(ids: ["a", "a"]) { ... on Language { countries { code } } } }', 2 * 2 + 2 * 2 * 101),
        ("{ nodes(ids: []) { ... on Language { countries { code } } } }", 0),
        # A search looks at all names, and returns ten countries if `first` says no other number.
        ('{ search(text: "a") { score } }', 750 + 250 + 10 * 2),
        ('{ search(text: "a", first: 3) { country { neighbours { name } } } }', 1000 + 3 * 2 + 2 * (3 + 3 * 14)),
        ('{ search(text: "a", first: 500) { score } }', 1000 + 100 * 2),
        # As many amounts as targets, which may be repeated.
        ('{ convert(amount: 1, from: "USD", to: "EUR") { rate } }', 2),
        ('{ convert(amount: 1, from: "USD", to: ["EUR", "EUR"]) { currency { countries { code } } } }', 6 + 2 * 2 * 41),
        # A fragment counts as its selection.
        ("{ ...f } fragment f on Query { languages { countries { code } } }", 436 + 2 * (436 + 1100)),
        ('{ countries { nodes { name(lang: "de") } } }', 250 * 3),
        ('{ countries { nodes { name(lang: "de-1996-x-twenty-one-letters") } } }', 250 * (3 + 2)),
    ],
)
def test_costs_of_the_graph(document: str, expected_cost: int) -> None:
    """A list multiplies what is below it by the number of its items, found by type."""
    assert compute_cost(document) == expected_cost


def test_measure_groups() -> None:
    """Groups are as many as there are values, null included; only those by language have a country several times."""
    sizes = measure_groups(make_snapshot(make_world(), WORLD))
    assert {name: sizes[name] for name in ("REGION", "SUBREGION", "CONTINENT")} == {
        "REGION": (6, 250),
        "SUBREGION": (23, 250),
        "CONTINENT": (7, 250),
    }
    assert sizes["CURRENCY_CODE"].countries == 250 < sizes["LANGUAGE"].countries
    assert set(measure_groups(make_snapshot()).values()) == {(0, 0)}


PAGE = "countries(first: 1)"
ALL_KEYS = "by: [REGION, SUBREGION, CONTINENT, CURRENCY_CODE, LANGUAGE]"


@pytest.mark.parametrize(
    ("document", "variables", "expected_cost"),
    [
        # Whatever the page, a number takes a tenth of the countries; a count takes none.
        (f"{{ {PAGE} {{ aggregate {{ count }} }} }}", {}, 1 + 1 + 1),
        (f"{{ {PAGE} {{ aggregate {{ sum {{ gdp }} }} }} }}", {}, 1 + 1 + 1 + (1 + 25)),
        ("{ countries { aggregate { max { gdp population } } } }", {}, 250 + 1 + 1 + 2 * (1 + 25)),
        # Each country is put into a group by each key; each group has a list of its keys.
        (f"{{ {PAGE} {{ groups(by: REGION) {{ keys }} }} }}", {}, 1 + (250 + 6) + 6 * 2),
        (f"{{ {PAGE} {{ groups(by: LANGUAGE) {{ keys }} }} }}", {}, 1 + (1109 + 436) + 436 * 2),
        (f"{{ {PAGE} {{ groups(by: [REGION, SUBREGION]) {{ keys }} }} }}", {}, 1 + 2 + (2 * 250 + 138) + 138 * 3),
        (f"{{ {PAGE} {{ groups({ALL_KEYS}) {{ keys }} }} }}", {}, 1 + 5 + 6 * 1109 + 1109 * 6),
        (f"{{ {PAGE} {{ groups({ALL_KEYS}, first: 3) {{ keys }} }} }}", {}, 1 + 5 + 6 * 1109 + 3 * 6),
        # Numbers take a tenth of the countries of all groups, in which each is as often as its languages.
        (f"{{ {PAGE} {{ groups(by: REGION) {{ aggregate {{ avg {{ gdp }} }} }} }} }}", {}, 1 + 256 + 6 * 2 + (6 + 25)),
        (
            f"{{ {PAGE} {{ groups(by: LANGUAGE) {{ aggregate {{ sum {{ gdp gdpPpp }} }} }} }} }}",
            {},
            1 + 1545 + 2 * 436 + 2 * (436 + 110),
        ),
        (
            f"{{ {PAGE} {{ groups(by: LANGUAGE, first: 2) {{ aggregate {{ sum {{ gdp }} }} }} }} }}",
            {},
            1 + 1545 + 2 * 2 + (2 + 50),
        ),
        # Countries of disjoint groups have together all neighbours; those of others may have the most each.
        (
            f"{{ {PAGE} {{ groups(by: REGION) {{ countries {{ neighbours {{ code }} }} }} }} }}",
            {},
            1 + 256 + (6 + 250) + 2 * (6 + 250 + 640),
        ),
        (
            f"{{ {PAGE} {{ groups(by: LANGUAGE) {{ countries {{ neighbours {{ code }} }} }} }} }}",
            {},
            1 + 1545 + 1545 + 2 * 1545 * 15,
        ),
        # A sort key adds up all groups, and is an object of its own. Repeated ones add nothing.
        (
            f"{{ {PAGE} {{ groups(by: REGION, sort: {{field: GDP}}) {{ keys }} }} }}",
            {},
            1 + 250 + 256 + (6 + 25) + 6 * 2,
        ),
        (
            f"query ($s: [S!]) {{ {PAGE} {{ groups(by: LANGUAGE, sort: $s) {{ keys }} }} }}",
            {"s": [{"field": "GDP"}] * 9},
            1 + 9 * 250 + 9 + 1545 + 7 * (436 + 110) + 436 * 2,
        ),
        # Variables name values, one or several, and the number of groups.
        (
            f"query ($b: [B!]!, $n: Int) {{ {PAGE} {{ groups(by: $b, first: $n) {{ keys }} }} }}",
            {"b": ["REGION", "LANGUAGE"], "n": 7},
            1 + 2 + (2 * 1109 + 1109) + 7 * 3,
        ),
        (
            f"query ($b: [B!]!) {{ {PAGE} {{ groups(by: $b) {{ keys }} }} }}",
            {"b": "SUBREGION"},
            1 + (250 + 23) + 23 * 2,
        ),
        (
            f"query ($b: B!) {{ {PAGE} {{ groups(by: [REGION, $b]) {{ keys }} }} }}",
            {"b": "CONTINENT"},
            1 + 2 + (2 * 250 + 42) + 42 * 3,
        ),
        # Validation rejects all of these.
        (f"{{ {PAGE} {{ groups(by: [NOTHING]) {{ keys }} }} }}", {}, 1 + 1 + 1 + 1),
        ("{ ...f } fragment f on CountrySums { gdp }", {}, 1 + 25),
        ("{ ...f } fragment f on CountryGroup { countries { code } }", {}, 2 * (1 + 250)),
    ],
)
def test_costs_of_groups(document: str, variables: dict[str, Any], expected_cost: int) -> None:
    """Groups cost by how many there are of their values, and by the countries in them, whatever page they are of."""
    assert compute_cost(document, **variables) == expected_cost
    check_limit_edge("cost", expected_cost, document, **variables)
