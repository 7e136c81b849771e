"""Filters and sort keys through GraphQL: every operator, every field, any combination."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, count
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLSchema, build_schema
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import Country, CountryField, FieldKind
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not
from graphql_api.domain.sorting import SortKey
from graphql_api.schema.scalars import format_instant
from tests.support.factories import LOOKALIKES, country_codes, country_lists, few_examples, instants, make_country
from tests.support.reference_model import filters, matches, sort_by_rank, sort_keys
from tests.support.schema_client import SCHEMA, offline_client

COLUMNS = (
    "code",
    "alpha3",
    "name",
    "capital",
    "region",
    "subregion",
    "population",
    "area_km2",
    "currency_code",
    "exchange_rate",
    "estimated_gdp",
)
# fmt: off
ROW_VALUES: tuple[tuple[Any, ...], ...] = (
    ("AQ", "AQA", "Antarctica", None, None, None, 0, None, None, None, None),
    (
        "CI", "CIV", "Côte d’Ivoire", "Yamoussoukro", "Africa", "Western Africa",
        25_000_000, 322_463.5, "XOF", 577.25, 6e7,
    ),
    (
        "FR", "FRA", "France", "Paris", "Europe", "Western Europe",
        66_000_000, 547_030.0, "EUR", 0.88, 1e11,
    ),
    (
        "TR", "TUR", "Türkiye", "Ankara", "Asia", "Western Asia",
        82_000_000, 780_580.0, "TRY", 42.0, 3e9,
    ),
)
# fmt: on
REFRESHED = ("2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23T16:26:00.123456")
ROWS = [
    make_country(
        **dict(zip(COLUMNS, values, strict=True)),
        last_refreshed_at=datetime.fromisoformat(refreshed_at).replace(tzinfo=UTC),
    )
    for values, refreshed_at in zip(ROW_VALUES, REFRESHED, strict=True)
]
CLIENT = offline_client(ROWS)
SCALARS = {
    FieldKind.TEXT: "String",
    FieldKind.INT: "Int",
    FieldKind.FLOAT: "Float",
    FieldKind.INSTANT: "DateTime",
    FieldKind.TEXTS: "String",
}
CODE_FIELDS = ("code", "alpha3", "currencyCode")
ALL_CODES = "AQ CI FR TR"

OPERATORS = {
    "StringFilter": [
        ('capital: {eq: "PARIS"}', "FR"),
        ('name: {eq: "cote d\'ivoire"}', "CI"),
        ('capital: {ne: "Paris"}', "AQ CI TR"),
        ('capital: {in: ["ankara", "PÀRIS", "Paris", "nowhere"]}', "FR TR"),
        ("capital: {in: []}", ""),
        ('capital: {notIn: ["Ankara", "paris"]}', "AQ CI"),
        ("capital: {notIn: []}", ALL_CODES),
        ('name: {contains: "URK"}', "TR"),
        ('capital: {contains: ""}', "CI FR TR"),
        ('name: {startsWith: "fra"}', "FR"),
        ('name: {startsWith: "rance"}', ""),
        ('name: {endsWith: "ivoire"}', "CI"),
        ('name: {endsWith: "cote"}', ""),
        ("capital: {isNull: true}", "AQ"),
        ("capital: {isNull: false}", "CI FR TR"),
    ],
    "IntFilter": [
        ("population: {eq: 66000000}", "FR"),
        ("population: {ne: 66000000}", "AQ CI TR"),
        ("population: {in: [0, 82000000]}", "AQ TR"),
        ("population: {in: []}", ""),
        ("population: {notIn: [0, 82000000]}", "CI FR"),
        ("population: {notIn: []}", ALL_CODES),
        ("population: {gt: 25000000}", "FR TR"),
        ("population: {gte: 25000000}", "CI FR TR"),
        ("population: {lt: 25000000}", "AQ"),
        ("population: {lte: 25000000}", "AQ CI"),
        ("population: {isNull: true}", ""),
        ("population: {isNull: false}", ALL_CODES),
        ("population: {gt: -2147483648, lte: 2147483647}", ALL_CODES),
    ],
    "FloatFilter": [
        ("areaKm2: {eq: 322463.5}", "CI"),
        ("areaKm2: {eq: 547030}", "FR"),
        ("areaKm2: {ne: 322463.5}", "AQ FR TR"),
        ("areaKm2: {in: [322463.5, 780580]}", "CI TR"),
        ("areaKm2: {in: []}", ""),
        ("areaKm2: {notIn: [322463.5, 780580]}", "AQ FR"),
        ("areaKm2: {notIn: []}", ALL_CODES),
        ("exchangeRate: {gt: 42}", "CI"),
        ("exchangeRate: {gte: 42.0}", "CI TR"),
        ("exchangeRate: {lt: 42}", "FR"),
        ("exchangeRate: {lte: 4.2e1}", "FR TR"),
        ("estimatedGdp: {isNull: true}", "AQ"),
        ("estimatedGdp: {isNull: false}", "CI FR TR"),
    ],
    "StringListFilter": [
        ('currencies: {has: "eur"}', "FR"),
        ('currencies: {hasEvery: ["EUR"]}', "FR"),
        ('currencies: {hasSome: ["XOF", "try"]}', "CI TR"),
        ("currencies: {isEmpty: true}", "AQ"),
    ],
    "DateTimeFilter": [
        ('lastRefreshedAt: {eq: "2026-11-23T16:26:00.123456Z"}', "TR"),
        ('lastRefreshedAt: {eq: "2026-11-23T18:26:00.123456+02:00"}', "TR"),
        ('lastRefreshedAt: {ne: "2026-11-22T00:00:00Z"}', "AQ CI TR"),
        ('lastRefreshedAt: {gt: "2026-11-22T00:00:00Z"}', "TR"),
        ('lastRefreshedAt: {gte: "2026-11-22T00:00:00Z"}', "FR TR"),
        ('lastRefreshedAt: {lt: "2026-11-22T00:00:00Z"}', "AQ CI"),
        ('lastRefreshedAt: {lte: "2026-11-22T00:00:00Z"}', "AQ CI FR"),
        ("lastRefreshedAt: {isNull: true}", ""),
        ("lastRefreshedAt: {isNull: false}", ALL_CODES),
    ],
}
"""Filters by input type, one per operator, and the codes that match."""

FIELDS = [
    ('currencies: {has: "try"}', "TR"),
    ('code: {eq: "fr"}', "FR"),
    ('alpha3: {eq: "civ"}', "CI"),
    ('name: {eq: "turkiye"}', "TR"),
    ('capital: {eq: "paris"}', "FR"),
    ('region: {eq: "africa"}', "CI"),
    ('subregion: {eq: "western asia"}', "TR"),
    ('currencyCode: {eq: "try"}', "TR"),
    ("population: {eq: 0}", "AQ"),
    ("areaKm2: {eq: 780580}", "TR"),
    ("exchangeRate: {eq: 0.88}", "FR"),
    ("estimatedGdp: {eq: 60000000}", "CI"),
    ('lastRefreshedAt: {eq: "2026-11-20T00:00:00Z"}', "AQ"),
]
"""A filter by each field, and the only code that matches."""

COMBINED = [
    ("", ALL_CODES),
    ("and: []", ALL_CODES),
    ("or: []", ""),
    ("not: {}", ""),
    ("not: {or: []}", ALL_CODES),
    ("and: [{}]", ALL_CODES),
    ("or: [{}]", ALL_CODES),
    ('or: [{or: []}, {code: {eq: "FR"}}]', "FR"),
    ('not: {code: {eq: "FR"}}', "AQ CI TR"),
    ('not: {not: {code: {eq: "FR"}}}', "FR"),
    ('not: {capital: {startsWith: "p"}}', "AQ CI TR"),
    ("not: {capital: {isNull: true}}", "CI FR TR"),
    ('or: [{code: {eq: "FR"}}, {code: {eq: "TR"}}]', "FR TR"),
    ("and: [{population: {gt: 0}}, {population: {lt: 70000000}}]", "CI FR"),
    ("population: {gt: 0, lt: 70000000}", "CI FR"),
    ('population: {gt: 0}, name: {contains: "e"}, not: {code: {eq: "FR"}}', "CI TR"),
    ('region: {ne: "Asia"}, or: [{code: {eq: "FR"}}, {code: {eq: "TR"}}]', "FR"),
    ('and: [{or: [{code: {eq: "FR"}}, {population: {eq: 0}}]}, {areaKm2: {isNull: true}}]', "AQ"),
    ('and: {code: {eq: "FR"}}, or: {code: {eq: "FR"}}', "FR"),
]
"""Filters combined by and, or and not, and the codes that match."""

NULLS = [
    "null",
    "{name: null, population: null, areaKm2: null, lastRefreshedAt: null}",
    "{and: null, or: null, not: null}",
    "{name: {eq: null, ne: null, in: null, notIn: null, contains: null, isNull: null}}",
    "{name: {startsWith: null, endsWith: null}, capital: {}}",
    "{population: {eq: null, ne: null, in: null, notIn: null, gt: null, gte: null}}",
    "{population: {lt: null, lte: null, isNull: null}}",
    "{areaKm2: {eq: null, ne: null, in: null, notIn: null, gt: null, gte: null, lt: null}}",
    "{lastRefreshedAt: {eq: null, ne: null, gt: null, gte: null, lt: null, lte: null}}",
    "{lastRefreshedAt: {isNull: null}}",
]
"""Filters with nulls only."""


def build_contract() -> GraphQLSchema:
    """Return the schema, parsed from its printed form."""
    return build_schema(str(SCHEMA))


@pytest.mark.parametrize(("filter_", "codes"), [*chain(*OPERATORS.values()), *FIELDS, *COMBINED])
async def test_filter(filter_: str, codes: str) -> None:
    """Each filter matches exactly these countries."""
    assert await CLIENT.query_codes(f"(filter: {{{filter_}}}, sort: {{field: CODE}})") == codes.split()


@pytest.mark.parametrize("kind", OPERATORS)
def test_every_operator_is_tried(kind: str) -> None:
    """The cases cover exactly the operators of the input type."""
    conditions = (filter_literal.partition("{")[2] for filter_literal, _ in OPERATORS[kind])
    named = {name for condition in conditions for name in re.findall(r"(\w+): ", condition)}
    declared = build_contract().type_map[kind]
    assert isinstance(declared, GraphQLInputObjectType)
    assert named == set(declared.fields)


def test_every_kind_is_tried() -> None:
    """The cases cover each kind of field, and name only fields of the filter."""
    declared = build_contract().type_map["CountryFilter"]
    assert isinstance(declared, GraphQLInputObjectType)
    named = {filter_literal.partition(":")[0] for filter_literal, _ in FIELDS}
    assert named <= set(declared.fields)
    kinds = {field.info.kind for field in CountryField if to_camel_case(field) in named}
    assert kinds == {field.info.kind for field in CountryField}


@pytest.mark.parametrize("filter_", NULLS)
async def test_nulls_are_ignored(filter_: str) -> None:
    """A filter of nulls matches every country."""
    assert await CLIENT.query_codes(f"(filter: {filter_}, sort: {{field: CODE}})") == ALL_CODES.split()


@pytest.mark.parametrize("nulls", NULLS[1:])
async def test_nulls_beside_a_condition(nulls: str) -> None:
    """Nulls beside a condition are ignored."""
    filter_literal = f'{{and: [{nulls}, {{code: {{eq: "FR"}}}}]}}'
    assert await CLIENT.query_codes(f"(filter: {filter_literal})") == ["FR"]


async def test_nulls_in_variables() -> None:
    """A null or missing variable has the effect of a missing argument."""
    document = """
        query ($filter: CountryFilter, $eq: String, $sort: [CountrySort!], $first: Int) {
          argument: countries(filter: $filter, sort: $sort, first: $first) { totalCount }
          nested: countries(filter: {name: {eq: $eq}}) { totalCount }
        }
    """
    expected = {"argument": {"totalCount": 4}, "nested": {"totalCount": 4}}
    assert await CLIENT.query(document) == expected
    assert await CLIENT.query(document, filter=None, eq=None, sort=None, first=None) == expected


@pytest.mark.parametrize(
    ("sort", "codes"),
    [
        ("null", "AQ CI FR TR"),
        ("[]", "AQ CI FR TR"),
        ("{field: CODE}", "AQ CI FR TR"),
        ("{field: CODE, direction: DESC}", "TR FR CI AQ"),
        ("[{field: NAME, direction: DESC}]", "TR FR CI AQ"),
        ("{field: ALPHA3}", "AQ CI FR TR"),
        ("{field: CAPITAL}", "TR FR CI AQ"),
        ("{field: CAPITAL, direction: DESC}", "CI FR TR AQ"),
        ("{field: REGION}", "CI TR FR AQ"),
        ("{field: SUBREGION, direction: DESC}", "FR TR CI AQ"),
        ("{field: POPULATION, direction: DESC}", "TR FR CI AQ"),
        ("{field: AREA_KM2}", "CI FR TR AQ"),
        ("{field: AREA_KM2, direction: DESC}", "TR FR CI AQ"),
        ("{field: CURRENCY_CODE}", "FR TR CI AQ"),
        ("{field: EXCHANGE_RATE, direction: ASC}", "FR TR CI AQ"),
        ("{field: EXCHANGE_RATE, direction: DESC}", "CI TR FR AQ"),
        ("{field: ESTIMATED_GDP}", "CI TR FR AQ"),
        ("{field: LAST_REFRESHED_AT, direction: DESC}", "TR FR CI AQ"),
    ],
)
async def test_sort(sort: str, codes: str) -> None:
    """Each order is exactly this one, with nulls last in both directions."""
    assert await CLIENT.query_codes(f"(sort: {sort})") == codes.split()


async def test_second_key() -> None:
    """The second key orders countries with equal first keys, and the name the remaining ones."""
    rows = [
        make_country("ZW", region="Africa", population=2, name="B"),
        make_country("CI", region="Africa", population=2, name="A"),
        make_country("DE", region="africa", population=3),
        make_country("FR", region=None),
        make_country("US", region="Americas"),
    ]
    sort = "[{field: REGION, direction: DESC}, {field: POPULATION}]"
    assert await offline_client(rows).query_codes(f"(sort: {sort})") == ["US", "CI", "ZW", "DE", "FR"]


def to_camel_case(name: str) -> str:
    """Return the GraphQL name of a field."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def with_whole_numbers(filter_: Filter) -> Filter:
    """Return a filter whose operands for Int fields are integers."""
    match filter_:
        case AllOf(parts):
            return AllOf(tuple(map(with_whole_numbers, parts)))
        case AnyOf(parts):
            return AnyOf(tuple(map(with_whole_numbers, parts)))
        case Not(part):
            return Not(with_whole_numbers(part))
        case Condition(CountryField.POPULATION, _, operand) if not isinstance(operand, bool):
            operands = operand if isinstance(operand, frozenset) else [operand]
            integers = frozenset(int(min(float(number), 2**31 - 1)) for number in operands)  # type: ignore[arg-type]  # drawn by number
            return filter_._replace(operand=integers if isinstance(operand, frozenset) else next(iter(integers)))
        case _:
            return filter_


def to_filter_input(filter_: Filter) -> dict[str, Any]:
    """Return a filter as a client sends it."""
    match filter_:
        case AllOf(parts):
            return {"and": [to_filter_input(part) for part in parts]}
        case AnyOf(parts):
            return {"or": [to_filter_input(part) for part in parts]}
        case Not(part):
            return {"not": to_filter_input(part)}
        case Condition(field, operator, operand):
            value: object = list(operand) if isinstance(operand, frozenset) else operand
            value = format_instant(value) if isinstance(value, datetime) else value
            return {to_camel_case(field): {operator.value: value}}


def to_sort_input(sort: tuple[SortKey, ...]) -> list[dict[str, str]]:
    """Return sort keys as a client sends them."""
    return [{"field": key.field.name, "direction": "DESC" if key.descending else "ASC"} for key in sort]


def to_literal(value: object) -> str:
    """Return a value as a GraphQL literal."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {to_literal(item)}' for name, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(to_literal, value))}]"
    return json.dumps(value, ensure_ascii=False)


@few_examples
@given(rows=country_lists(), filter_=filters().map(with_whole_numbers), sort=sort_keys())
async def test_any_query(rows: list[Country], filter_: Filter, sort: tuple[SortKey, ...]) -> None:
    """Any filter and order return the countries of the reference model, in its order."""
    expected = country_codes(sort_by_rank((row for row in rows if matches(row, filter_)), sort))
    data = await offline_client(rows).query(
        """query ($filter: CountryFilter, $sort: [CountrySort!]) {
             countries(filter: $filter, sort: $sort) { totalCount nodes { code } }
           }""",
        filter=to_filter_input(filter_),
        sort=to_sort_input(sort),
    )
    assert [node["code"] for node in data["countries"]["nodes"]] == expected
    assert data["countries"]["totalCount"] == len(expected)


@few_examples
@given(rows=country_lists(), filter_=filters().map(with_whole_numbers))
async def test_any_filter_in_the_document(rows: list[Country], filter_: Filter) -> None:
    """A filter as a literal returns the same countries as the filter in a variable."""
    expected = country_codes(sort_by_rank((row for row in rows if matches(row, filter_)), ()))
    assert await offline_client(rows).query_codes(f"(filter: {to_literal(to_filter_input(filter_))})") == expected


@pytest.mark.parametrize(
    ("declarations", "filter_", "values", "codes"),
    [
        ("$c: String!", '{code: {in: ["FR", $c]}}', {"c": "tr"}, "FR TR"),
        ("$c: [String!]", "{code: {in: $c}}", {"c": ["tr", "aq"]}, "AQ TR"),
        ("$c: [String!]", "{code: {in: $c}}", {"c": None}, "AQ CI FR TR"),
        ("$c: String!, $n: Int", "{code: {in: [$c]}, population: {gt: $n}}", {"c": "fr", "n": 1}, "FR"),
        ("$r: StringFilter, $n: Int", "{region: $r, population: {gt: $n}}", {"r": {"ne": "asia"}, "n": 1}, "CI FR"),
        ("$p: CountryFilter!, $n: Int", "{or: [$p, {population: {eq: $n}}]}", {"p": {"code": {"eq": "FR"}}}, "*"),
        ("$p: CountryFilter!, $n: Int = 0", "{or: [$p, {population: {eq: $n}}]}", {"p": {"or": []}}, "AQ"),
        ("$n: Int = 0", "{or: {population: {eq: $n}}}", {}, "AQ"),
        ("$n: Int = 0", "{or: {population: {eq: $n}}}", {"n": None}, "*"),
        ("$n: Int", "{not: {population: {lt: $n, gte: $n}}}", {"n": 5}, "*"),
        ("$n: Boolean", "{not: {region: {isNull: $n}}}", {"n": True}, "CI FR TR"),
    ],
)
async def test_variables(declarations: str, filter_: str, values: dict[str, object], codes: str) -> None:
    """Variables may stand for any part of a filter."""
    document = f"query ({declarations}) {{ countries(filter: {filter_}) {{ nodes {{ code }} }} }}"
    for _ in range(2):
        nodes = (await CLIENT.query(document, **values))["countries"]["nodes"]
        assert [node["code"] for node in nodes] == codes.replace("*", "AQ CI FR TR").split()


def to_open_literal(filter_: Filter, variables: dict[str, tuple[str, object]]) -> str:
    """Return a filter as a GraphQL literal whose scalar operands are variables, and add their types and values."""
    match filter_:
        case AllOf(parts):
            return f"{{and: [{', '.join(to_open_literal(part, variables) for part in parts)}]}}"
        case AnyOf(parts):
            return f"{{or: [{', '.join(to_open_literal(part, variables) for part in parts)}]}}"
        case Not(part):
            return f"{{not: {to_open_literal(part, variables)}}}"
        case Condition(field, operator, operand) if not isinstance(operand, frozenset):
            type_name = "Boolean" if isinstance(operand, bool) else SCALARS[field.info.kind]
            (value,) = to_filter_input(filter_)[to_camel_case(field)].values()
            name = f"v{len(variables)}"
            variables[name] = (type_name, value)
            return f"{{{to_camel_case(field)}: {{{operator.value}: ${name}}}}}"
    return to_literal(to_filter_input(filter_))


def without_operands(filter_: Filter, absent: frozenset[int], numbers: Iterator[int]) -> Filter:
    """Return a filter without the scalar operands at these places, which match everything then."""
    match filter_:
        case AllOf(parts):
            return AllOf(tuple(without_operands(part, absent, numbers) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(without_operands(part, absent, numbers) for part in parts))
        case Not(part):
            return Not(without_operands(part, absent, numbers))
        case Condition(_, _, operand) if not isinstance(operand, frozenset) and next(numbers) in absent:
            return AllOf(())
    return filter_


@few_examples
@given(
    rows=country_lists(),
    filter_=filters().map(with_whole_numbers),
    absent=st.frozensets(st.integers(0, 5)),
    are_null=st.booleans(),
)
async def test_any_operands(rows: list[Country], filter_: Filter, absent: frozenset[int], are_null: bool) -> None:
    """Operands in variables find what they find in the document, and one that is null or missing is ignored."""
    client, variables = offline_client(rows), dict[str, tuple[str, object]]()
    literal = to_open_literal(filter_, variables)
    declarations = "".join(f"${name}: {type_name} " for name, (type_name, _) in variables.items())
    document = f"query ({declarations}$_: Int) {{ countries(filter: {literal}, last: $_) {{ nodes {{ code }} }} }}"
    for places in (frozenset[int](), absent, frozenset[int]()):
        values = {name: value for name, (_, value) in variables.items()}
        for name in (f"v{place}" for place in places):
            values.pop(name, None)
            if are_null:
                values[name] = None
        expected_filter = without_operands(filter_, places, count())
        expected = country_codes(sort_by_rank((row for row in rows if matches(row, expected_filter)), ()))
        data = await client.query(document, **values)
        assert [node["code"] for node in data["countries"]["nodes"]] == expected


@few_examples
@given(instant=instants(), rows=country_lists())
async def test_shown_instants_are_found(instant: datetime, rows: list[Country]) -> None:
    """The time of a country, sent back as an operand, matches exactly its countries."""
    filter_literal = f'{{lastRefreshedAt: {{eq: "{format_instant(instant)}"}}}}'
    codes = await offline_client(rows).query_codes(f"(filter: {filter_literal}, sort: {{field: CODE}})")
    assert codes == sorted(row.code for row in rows if row.last_refreshed_at == instant)


REJECTED = {
    "(filter: {population: {eq: 2147483648}})": ("Int cannot represent non 32-bit signed integer value: 2147483648"),
    "(filter: {areaKm2: {in: [null]}})": "Expected value of non-null type 'Float!' not to be None.",
    "(sort: [{direction: ASC}])": (
        "Expected value of type 'CountrySort' to include required field 'field', found: { direction: ASC }."
    ),
    "(sort: [{field: FLAG_URL}])": "Value 'FLAG_URL' does not exist in 'CountrySortField' enum.",
    '(filter: {lastRefreshedAt: {gt: "yesterday"}})': (
        "Expected value of type 'DateTime', but encountered error 'DateTime must be RFC 3339 "
        'with an offset, e.g. 2026-11-23T16:26:00Z\'; found: "yesterday".'
    ),
}
"""Invalid arguments, and the error message."""


@pytest.mark.parametrize(("arguments", "message"), REJECTED.items())
async def test_rejected_literals(arguments: str, message: str) -> None:
    """An argument that its type cannot hold is rejected, and the message quotes the value."""
    document = f"{{ countries{arguments} {{ totalCount }} }}"
    assert await CLIENT.query_error(document) == ("GRAPHQL_VALIDATION_FAILED", message)


@pytest.mark.parametrize("lookalike", LOOKALIKES)
async def test_codes_are_ascii(lookalike: str) -> None:
    """No operator takes a text that is not ASCII for a code, whatever it resembles."""
    codes = (("SS", "SSD", "SSP"), ("FI", "FIN", "FIM"), ("KR", "KOR", "KRW"))
    rows = [make_country(code, alpha3=alpha3, currency_code=currency) for code, alpha3, currency in codes]
    client = offline_client(rows)
    for field in CODE_FIELDS:
        for operator in ("eq", "in", "contains", "startsWith", "endsWith"):
            assert await client.query_codes(f"(filter: {{{field}: {{{operator}: {json.dumps(lookalike)}}}}})") == []
        for operator in ("ne", "notIn"):
            argument = f"(filter: {{{field}: {{{operator}: {json.dumps(lookalike)}}}}}, sort: {{field: CODE}})"
            assert await client.query_codes(argument) == ["FI", "KR", "SS"]


@pytest.mark.parametrize(("field", "operand"), [("code", "fI"), ("alpha3", "fiN"), ("currencyCode", "fIm")])
async def test_case_of_codes(field: str, operand: str) -> None:
    """Codes are compared without case."""
    client = offline_client([make_country("FI", alpha3="FIN", currency_code="FIM"), make_country("SS")])
    for operator in ("eq", "in", "contains", "startsWith", "endsWith"):
        assert await client.query_codes(f'(filter: {{{field}: {{{operator}: "{operand}"}}}})') == ["FI"]
