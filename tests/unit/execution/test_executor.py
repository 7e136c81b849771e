"""BulkExecutor returns the bytes of Strawberry's executor, errors included."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import pytest
import strawberry
from graphql import (
    GraphQLError,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_object_type,
    specified_rules,
    validate,
)
from graphql.execution.values import VariableValues
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig

from graphql_api.domain.country import Country
from graphql_api.execution.engine import build_schema
from graphql_api.execution.execute import QUERIES_ONLY, GraphQLRequest, execute, execute_sync_if_cheap
from graphql_api.execution.executor import BulkExecutor
from graphql_api.execution.limits import QueryLimits
from graphql_api.schema.context import GraphQLContext
from graphql_api.schema.operations import Mutation, Query
from graphql_api.schema.scalars import DATE_TIME
from tests.support.attempts import make_failure, make_report
from tests.support.document_strategies import documents
from tests.support.factories import make_country
from tests.support.schema_client import PUBLIC_URL, STALE_AFTER, SchemaClient, offline_client

SCHEMA = build_schema(introspection=True, query_limits=QueryLimits(fields=10**6, aliases=10**6))


class ReferenceSchema(strawberry.Schema):
    """Strawberry's own schema, without its error log."""

    def process_errors(self, *_: Any) -> None:  # noqa: ANN401 - Strawberry's
        """Log nothing."""


REFERENCE_SCHEMA = ReferenceSchema(
    query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map={datetime: DATE_TIME})
)
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


def make_client(countries: Sequence[Country]) -> tuple[SchemaClient, GraphQLContext]:
    """Return a client of these rows and of some history, and its context."""
    client = offline_client(countries)
    client.catalog.history = (make_report("a"), make_failure("b"), make_report("c"))
    context = GraphQLContext(
        catalog=client.catalog,
        refresh_service=client.refreshes,
        clock=client.clock,
        stale_after=STALE_AFTER,
        public_url=PUBLIC_URL,
        is_authorized=True,
    )
    return client, context


def serialize(data: object, errors: Sequence[GraphQLError] | None) -> bytes:
    """Return a response as bytes. A lone surrogate is escaped."""
    formatted_errors = [error.formatted for error in errors or ()]
    try:
        return orjson.dumps([data, formatted_errors])
    except TypeError:
        return repr([data, formatted_errors]).encode()


async def execute_both(document: str, variables: dict[str, Any], context: GraphQLContext) -> tuple[bytes, bytes]:
    """Return the responses of BulkExecutor and of Strawberry's executor."""
    parsed = SCHEMA.document_cache.get_or_parse(document)
    assert validate(SCHEMA.executable, parsed.node, specified_rules) == []
    operation = parsed.get_operation(None)
    variable_values = operation.coerce_variables(variables)
    assert not isinstance(variable_values, list)
    actual = await BulkExecutor(operation, operation.get_plan(variable_values), variable_values, context).run()
    expected = await REFERENCE_SCHEMA.execute(document, variables, context_value=context)
    return serialize(*actual), serialize(expected.data, expected.errors)


VALUES = st.fixed_dictionaries(
    {}, optional={"yes": st.booleans(), "no": st.booleans(), "first": st.sampled_from((None, 0, 2))}
)


@settings(
    max_examples=100,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking documents takes minutes
)
@given(documents(), rows(), VALUES)
async def test_same_bytes(document: str, countries: list[Country], variables: dict[str, Any]) -> None:
    """Any document gives the same bytes, and the same errors at the same paths, twice."""
    _, context = make_client(countries)
    for _ in range(2):
        actual, expected = await execute_both(document, variables, context)
        assert actual == expected


@settings(max_examples=50, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(documents(), rows(), VALUES)
async def test_sync(document: str, countries: list[Country], variables: dict[str, Any]) -> None:
    """Synchronous execution returns the same response, or leaves it to asynchronous execution."""
    _, context = make_client(countries)
    request = GraphQLRequest(query=document, variables=variables, operation_name=None)
    expected = await execute(SCHEMA, request, context=context, allowed_operations=QUERIES_ONLY, request_id="request-7")
    sync_response = execute_sync_if_cheap(SCHEMA, request, context=context)
    if sync_response is not None:
        assert sync_response == expected
    else:
        assert not expected.cacheable


def test_cacheable_fields_are_synchronous() -> None:
    """No field below a cacheable root field is asynchronous."""
    schema = SCHEMA.executable
    assert schema.query_type is not None
    fields = [schema.query_type.fields[name] for name in ("country", "countries", "node")]
    visited: set[str] = set()
    while fields:
        field = fields.pop()
        assert not field.extensions["strawberry-definition"].is_async
        field_type = get_named_type(field.type)
        if field_type.name not in visited and is_composite_type(field_type):
            visited.add(field_type.name)
            object_types = schema.get_possible_types(field_type) if is_abstract_type(field_type) else [field_type]
            for object_type in object_types:
                assert is_object_type(object_type)
                fields += object_type.fields.values()
    assert visited == {"Country", "CountryConnection", "CountryEdge", "Node", "PageInfo", "Provenance"}


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
    _, context = make_client(BROKEN_ROWS)
    actual, expected = await execute_both(document, {}, context)
    assert actual == expected


async def test_list_completers_are_used() -> None:
    """One list completer completes a connection with its nodes and edges."""
    _, context = make_client([make_country("FR")])
    document = "{ countries { nodes { id code } edges { cursor node { name __typename } } } }"
    actual, expected = await execute_both(document, {}, context)
    assert actual == expected
    operation = SCHEMA.document_cache.get_or_parse(document).get_operation(None)
    plan = operation.get_plan(VariableValues({}, {}))
    [(_, completer)] = plan.list_completers.values()
    assert completer is not None
    assert (completer.object_type.name, completer.executor_fields) == ("CountryConnection", ())
