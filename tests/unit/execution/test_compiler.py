"""A compiled operation returns the bytes of Strawberry's executor, errors included."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from inspect import isawaitable
from typing import Any

import graphql
import orjson
import pytest
import strawberry
from graphql import get_named_type, is_composite_type, parse, validate
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from benchmarks.queries_benchmark import QUERIES
from graphql_api.domain.country import Country
from graphql_api.domain.derived_cache import DerivedCache
from graphql_api.domain.pagination import paginate
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.execution.encoders import LeafEncoder, ListEncoder
from graphql_api.execution.engine import Schema, build_schema
from graphql_api.execution.execute import MAX_SYNC_COST, QUERIES_ONLY, execute, execute_sync_if_cheap
from graphql_api.execution.extensions import build_extensions
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.messages import CompiledResponse, GraphQLRequest
from graphql_api.http.graphql.endpoint import encode_json
from graphql_api.schema.context import GraphQLContext
from graphql_api.schema.nodes import resolve_name
from graphql_api.schema.operations import Mutation, Query
from graphql_api.schema.scalars import DATE_TIME
from tests.support.attempts import make_failure, make_report
from tests.support.call_counts import count_calls
from tests.support.document_strategies import documents
from tests.support.factories import make_country, make_snapshot
from tests.support.schema_client import SchemaClient, offline_client
from tests.support.world import WORLD

SCHEMA = build_schema(
    introspection=True,
    query_limits=QueryLimits(fields=10**6, aliases=10**6, milliseconds=10**6, cost=10**9, bytes=10**9),
)


class ReferenceSchema(strawberry.Schema):
    """Strawberry's own schema, without its error log."""

    def process_errors(self, *_: Any) -> None:  # noqa: ANN401 - Strawberry's
        """Log nothing."""


REFERENCE_SCHEMA = ReferenceSchema(
    query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map={datetime: DATE_TIME})
)
FEW = {code: WORLD[code] for code in ("AX", "TR", "US", "ZW")}
"""A reference of few nodes: Strawberry's executor takes long for many. FR is not in it."""
EDGE_CASES: list[dict[str, Any]] = [
    {},
    {},
    {},
    {"population": 2**31},
    {"alpha3": None},
    {"flag_url": 7},
    {"exchange_rate": float("inf")},
    {"estimated_gdp": "much"},
    {"area_km2": 12},
    {"capital": None, "region": None, "area_km2": None, "exchange_rate": -0.0},
    {"flag_url": "\ud800", "population": True},
]
"""Changed values of a row, valid and invalid ones."""


@st.composite
def rows(draw: st.DrawFn) -> list[Country]:
    """Draw rows, some of them with invalid values."""
    codes = draw(st.lists(st.sampled_from(("AX", "FR", "TR", "US", "ZW")), unique=True))
    return [make_country(code, **draw(st.sampled_from(EDGE_CASES))) for code in codes]


def make_client(countries: Sequence[Country]) -> SchemaClient:
    """Return a client of these rows and of some history."""
    client = offline_client(countries, FEW)
    client.catalog.history = (make_report("a"), make_failure("b"), make_report("c"))
    return client


def serialize(body: object) -> bytes:
    """Return a response as bytes. A lone surrogate is escaped."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return repr(body).encode()


async def execute_stock(document: str, variables: dict[str, Any], context: GraphQLContext) -> dict[str, Any]:
    """Return the response of Strawberry's executor, its errors formatted as ours."""
    reader = SnapshotReader(context.catalog.snapshot)
    result = graphql.execute(
        REFERENCE_SCHEMA._schema,
        SCHEMA.document_cache.get_or_parse(document).node,
        reader,
        context,
        variables,
        executor_class=StrawberryGraphQLCoreExecutionContext,
    )
    if isawaitable(result):
        result = await result
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [dict(error.formatted) for error in result.errors[:20]]
    return {**body, **build_extensions(reader)}


def execute_sync(schema: Schema, request: GraphQLRequest, context: GraphQLContext) -> CompiledResponse | None:
    """Execute a request as the fast path does."""
    return execute_sync_if_cheap(schema, request.query, request, schema.create_budget(), context)


async def check_same_bytes(document: str, variables: dict[str, Any], context: GraphQLContext) -> None:
    """Compare our response with that of Strawberry's executor, twice if it is compiled: the second may be kept JSON."""
    expected = await execute_stock(document, variables, context)
    is_compiled = SCHEMA.document_cache.get_or_parse(document).get_operation(None).compile(variables) is not None
    request = GraphQLRequest(query=document, variables=variables, operation_name=None)
    for _ in range(1 + is_compiled):
        actual = await execute(
            SCHEMA, request, context=context, allowed_operations=QUERIES_ONLY, request_id="request-7"
        )
        for error, expected_error in zip(actual.body.get("errors", ()), expected.get("errors", ()), strict=False):
            if error.pop("extensions")["code"] == "INTERNAL_SERVER_ERROR":
                error["message"] = expected_error["message"]  # masked by ours
        assert serialize(actual.body) == serialize(expected)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "yes": st.booleans(),
        "no": st.booleans(),
        "maybe": st.sampled_from((None, None, False, True)),
        "first": st.sampled_from((None, 0, 2)),
    },
)


# Without shrinking, which takes minutes for documents.
many_examples = settings(max_examples=1_000, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


REQUESTS_PER_DOCUMENT = 5
"""Most of an example's time goes into drawing a document, so that each is executed with several variables."""
SEVERAL_VALUES = st.lists(VALUES, min_size=REQUESTS_PER_DOCUMENT, max_size=REQUESTS_PER_DOCUMENT)


@settings(many_examples, max_examples=1_000 // REQUESTS_PER_DOCUMENT)
@given(documents(), rows(), SEVERAL_VALUES)
async def test_same_bytes(document: str, countries: list[Country], values: list[dict[str, Any]]) -> None:
    """A thousand requests give the same bytes, and the same errors at the same paths, twice."""
    context = make_client(countries).context
    for variables in values:
        await check_same_bytes(document, variables, context)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(many_examples, max_examples=20_000 // REQUESTS_PER_DOCUMENT)
@given(documents(), rows(), SEVERAL_VALUES)
async def test_same_bytes_of_many(document: str, countries: list[Country], values: list[dict[str, Any]]) -> None:
    """Twenty times as many requests give the same bytes."""
    context = make_client(countries).context
    for variables in values:
        await check_same_bytes(document, variables, context)


@pytest.mark.parametrize(
    ("selection", "paths"),
    [
        ("countries(first: 1) { totalCount } status { lastFailure { code @skip(if: $s) } }", []),
        ("countries(first: 0) { nodes { code @include(if: $s) } edges { node { id @skip(if: $s) } } }", []),
        ('node(id: "Q291bnRyeTpRUQ==") { id @skip(if: $s) ... on Country { code @skip(if: $s) } }', []),
        ("countries { nodes { rateFrom { asOf @skip(if: $s) } } }", [["countries", "nodes", 0, "rateFrom"]]),
        ("status { lastRefresh { ... @include(if: $s) { id } } version }", [["status", "lastRefresh"]]),
        ("refreshes { skipped { record } sources { kind @skip(if: $s) } }", []),
        ("countries { edges { node { code ... @skip(if: $s) { name } } } }", [["countries", "edges", 0, "node"]]),
        ("__typename ...f @include(if: $s) } fragment f on Query { __typename", [None]),
        ("status @skip(if: $s) { version }", [None]),
    ],
)
async def test_null_conditions(selection: str, paths: list[object]) -> None:
    """A null for @skip or @include fails the objects that it selects from, and an absent object not at all."""
    context = make_client([make_country("FR")]).context
    context.catalog.history = (make_report("a", sources=()),)
    document = f"query ($s: Boolean = false) {{ {selection} }}"
    await check_same_bytes(document, {"s": None}, context)
    response = await execute(
        SCHEMA,
        GraphQLRequest(query=document, variables={"s": None}, operation_name=None),
        context=context,
        allowed_operations=QUERIES_ONLY,
        request_id="request-7",
    )
    errors = response.body.get("errors", [])
    assert [error.get("path") for error in errors] == paths
    assert [error["extensions"] for error in errors] == [{"code": "BAD_USER_INPUT"}] * len(paths)
    assert "data" in response.body


@settings(many_examples, max_examples=50)
@given(documents(), rows(), VALUES)
async def test_sync(document: str, countries: list[Country], variables: dict[str, Any]) -> None:
    """Synchronous execution returns the same response, or leaves a costly or uncached one to asynchronous execution."""
    context = make_client(countries).context
    request = GraphQLRequest(query=document, variables=variables, operation_name=None)
    expected = await execute(SCHEMA, request, context=context, allowed_operations=QUERIES_ONLY, request_id="request-7")
    await asyncio.sleep(0)  # this turn of the event loop may have done enough
    sync_response = execute_sync(SCHEMA, request, context)
    if sync_response is not None:
        assert sync_response.json == encode_json(expected.body)
        assert sync_response.operation == expected.operation
        assert expected.cacheable
    else:
        operation = SCHEMA.document_cache.get_or_parse(document).get_operation(None)
        cost = operation.cost.check(variables, SCHEMA.measure_data(context.catalog))
        assert cost > MAX_SYNC_COST or not expected.cacheable


BROKEN_ROWS = [make_country("AX"), make_country("FR", population=2**31), make_country("TR")]


@pytest.mark.parametrize(
    "document",
    [
        "{ countries { nodes { code population } } }",
        "{ countries { edges { cursor node { population } } } status { totalCountries } }",
        """{ countries { edges { node { id name } } nodes { ...a ...a flag: flagUrl } } }
        fragment a on Country { name code __typename }""",
        """{ node(id: "Q291bnRyeTpGUg==") { id ...a ... on Country { population } } }
        fragment a on Country { __typename name figuresFrom { provider } }""",
        """{ one: node(id: "Q291bnRyeTpBWA==") { ...a } no: node(id: "Q291bnRyeTpRUQ==") { ...a } }
        fragment a on Node { __typename id ... on Country { code population } }""",
        '{ node(id: "FR") { id } countries { nodes { ... on Node { id __typename } code } } }',
        "{ refreshes { imageUrl id sources { kind asOf failures } skipped { reason } } }",
    ],
)
async def test_documents(document: str) -> None:
    """Lists with a completer, with a partial one and without one give the same bytes."""
    context = make_client(BROKEN_ROWS).context
    await check_same_bytes(document, {}, context)


def select_all(composite_type: Any, depth: int) -> str:  # noqa: ANN401 - an object type or an interface
    """Return a selection of every field of a type, and of the types below it."""
    parts = []
    for name, field in composite_type.fields.items():
        field_type = get_named_type(field.type)
        if not is_composite_type(field_type):
            parts.append(name)
        elif depth:
            arguments = "(by: [REGION, LANGUAGE])" if name == "groups" else ""
            parts.append(f"{name}{arguments} {select_all(field_type, depth - 1)}")
    return "{ __typename " + " ".join(parts) + " }"


@pytest.mark.parametrize("root", ['country(code: "FR")', "countries", 'node(id: "Q291bnRyeTpGUg==")'])
def test_covered_fields(root: str) -> None:
    """Every field below a root field that depends on the snapshot alone is compiled."""
    query = SCHEMA.executable.query_type
    assert query is not None
    root_type = get_named_type(query.fields[root.partition("(")[0]].type)
    document = f"{{ {root} {select_all(root_type, 4)} }}"
    operation = SCHEMA.document_cache.get_or_parse(document).get_operation(None)
    assert validate(SCHEMA.executable, parse(document)) == []
    assert operation.compile({}) is not None


@pytest.mark.parametrize(
    "document",
    [
        "{ status { version } }",
        "{ countries { totalCount } status { totalCountries } }",
        "{ refreshes { id } }",
        "{ __schema { description } }",
        'mutation { deleteCountry(code: "FR") { code } }',
        "subscription { refreshProgress { phase } }",
    ],
)
def test_uncovered_fields(document: str) -> None:
    """An operation with a field that depends on more than the snapshot is left to Strawberry."""
    assert validate(SCHEMA.executable, parse(document)) == []
    assert SCHEMA.document_cache.get_or_parse(document).get_operation(None).compile({}) is None


@pytest.mark.parametrize("name", QUERIES)
def test_compilation_is_cheap(name: str) -> None:
    """Compiling an operation takes fewer calls than one stock execution of it, on every row of a small snapshot."""
    countries = [make_country(f"{number:03}", alpha3=f"{number}x", population=2_000_000) for number in range(30)]
    context = make_client([make_country("FR"), *countries]).context
    document, variables = QUERIES[name].document, {"n": QUERIES[name].number}
    node = SCHEMA.document_cache.get_or_parse(document).node
    operation = build_schema(introspection=True).document_cache.get_or_parse(document).get_operation(None)
    operation.compile(variables)  # the fields that all operations share
    operation._compiled.clear()
    reader = SnapshotReader(context.catalog.snapshot)
    stock = count_calls(lambda: graphql.execute(SCHEMA.executable, node, reader, context, variables))
    assert count_calls(lambda: operation.compile(variables)).total() < stock.total()


async def test_new_snapshot() -> None:
    """Prepared JSON is of one snapshot: a deleted or changed row is never served from it."""
    client = make_client([make_country("AX"), make_country("FR")])
    for code in ("FR", "AX"):
        client.catalog.snapshot = make_snapshot([make_country(code, population=len(code) + 5)])
        assert await client.query("{ countries { nodes { code population } } }") == {
            "countries": {"nodes": [{"code": code, "population": 7}]}
        }


async def test_shared_columns() -> None:
    """A column is encoded once for all operations that give it no arguments, and apart from one that has some."""
    client = make_client([make_country("FR", name="France")])
    for selection in ("name", 'name(lang: "de")', "name code", 'name(lang: "es")', "code name"):
        response = await client.request(f"{{ countries {{ nodes {{ {selection} }} }} }}")
        (country,) = response.body["data"]["countries"]["nodes"]
        assert country["name"] == {'"de"': "Frankreich", '"es"': "Francia"}.get(selection[11:15], "France")
    request = GraphQLRequest("{ countries { nodes { population name } } }", {}, None)
    client.schema.document_cache.get_or_parse(request.query)
    await asyncio.sleep(0)
    calls = count_calls(partial(execute_sync, client.schema, request, client.context))
    assert (calls[paginate.__code__], calls[resolve_name.__code__]) == (1, 0)


async def test_rows_whose_columns_push_each_other_out() -> None:
    """A selection is prepared from its second use on, also of so many rows that the cache cannot hold their columns."""
    client = make_client([make_country("AX"), make_country("FR"), make_country("TR")])
    client.catalog.snapshot = replace(client.catalog.snapshot, derived=DerivedCache(1_200))
    document = "query ($n: Int!) { countries(first: $n) { nodes { code population } } }"
    await client.request(document, {"n": 3})
    encoded = []
    for _ in range(3):
        request = GraphQLRequest(document, {"n": 3}, None)
        await asyncio.sleep(0)
        calls = count_calls(partial(execute_sync, client.schema, request, client.context))
        encoded.append(calls[LeafEncoder.encode.__code__])
    assert encoded == [2, 0, 0]


async def test_constant_root_fields() -> None:
    """A root field without variables is resolved at its first two uses in a snapshot, a variable one at each."""
    client = make_client([make_country("AX"), make_country("FR")])
    document = """query ($n: Int!) {
        constant: countries(first: 1) { nodes { code } }
        variable: countries(first: $n) { nodes { code } }
    }"""
    for snapshot in (client.catalog.snapshot, make_snapshot([make_country("TR"), make_country("US")])):
        client.catalog.snapshot = snapshot
        codes = [{"code": row.code} for row in snapshot.rows]
        pages = []
        for number in (0, 1, 2, 2):
            response = await client.request(document, {"n": number})
            assert response.body["data"] == {"constant": {"nodes": codes[:1]}, "variable": {"nodes": codes[:number]}}
            request = GraphQLRequest(document, {"n": number}, None)
            await asyncio.sleep(0)  # this turn of the event loop may have done enough
            calls = count_calls(partial(execute_sync, client.schema, request, client.context))
            pages.append(calls[paginate.__code__])
        assert pages == [2, 1, 1, 1]


async def test_equal_pages() -> None:
    """The JSON of a page is made at the first two uses of its rows, whatever the operands are that select them."""
    rows = [make_country(code, region="Europe", population=number) for code, number in (("FR", 100), ("IT", 200))]
    client = make_client(rows)
    document = """query ($n: Int!) {
        countries(filter: {region: {eq: "Europe"}, population: {gt: $n}}, sort: [{field: POPULATION}]) {
            totalCount edges { node { code } }
        }
    }"""
    both, one = [{"node": {"code": "FR"}}, {"node": {"code": "IT"}}], [{"node": {"code": "IT"}}]
    client.schema.document_cache.get_or_parse(document)
    for snapshot in (client.catalog.snapshot, make_snapshot(rows)):
        client.catalog.snapshot = snapshot
        encoded = []
        # Each operand is used once: the rows of conditions that come again are other rows.
        for number, edges in [(1, both), (3, both), (5, both), (101, one), (103, one), (7, both)]:
            await asyncio.sleep(0)  # this turn of the event loop may have done enough
            run = partial(execute_sync, client.schema, GraphQLRequest(document, {"n": number}, None), client.context)
            encoded.append(count_calls(run)[ListEncoder.write.__code__])
            response = await client.request(document, {"n": number + 1})
            assert response.body["data"] == {"countries": {"totalCount": len(edges), "edges": edges}}
        assert encoded == [1, 1, 0, 1, 0, 0]


async def test_unknown_value_of_a_constant_field() -> None:
    """The suggestions for a literal come with each response."""
    client = make_client([make_country("FR", name="France")])
    for _ in range(4):
        response = await client.request('{ country(name: "Frence") { code } }')
        assert response.body["data"] == {"country": None}
        assert [suggestion["didYouMean"] for suggestion in response.body["extensions"]["suggestions"]] == [["France"]]
