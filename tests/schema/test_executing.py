"""The executor in bulk answers what the ordinary one answers, byte by byte, errors included."""

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
from graphql_api.schema.building import build_schema
from graphql_api.schema.context import Context
from graphql_api.schema.executing import BulkExecutor
from graphql_api.schema.execution import READING, GraphQLRequest, execute, execute_at_once
from graphql_api.schema.limits import Limits
from graphql_api.schema.operations import Mutation, Query
from graphql_api.schema.scalars import DATE_TIME
from tests.rows import make_country
from tests.schema.asking import A_DAY, PUBLIC_URL, Asker, offline
from tests.schema.drawing import documents
from tests.storage.attempts import make_failure, make_report

SCHEMA = build_schema(
    introspection=True, limits=Limits(fields=10**6, aliases=10**6, directives=10**6, roots=10**6)
)


class Ordinary(strawberry.Schema):
    """Strawberry's schema as it comes, but that it logs nothing."""

    def process_errors(self, *_: Any) -> None:  # noqa: ANN401 - Strawberry's
        """Say nothing."""


ORDINARY = Ordinary(
    query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map={datetime: DATE_TIME})
)
EDGE: list[dict[str, Any]] = [
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
"""Changes to a row that no source can make, and some that it can."""


@st.composite
def rows(draw: st.DrawFn) -> list[Country]:
    """Draw rows, some of which hold what their fields cannot."""
    codes = draw(st.lists(st.sampled_from(("AX", "FR", "TR", "US", "ZW")), unique=True))
    return [make_country(code, **draw(st.sampled_from(EDGE))) for code in codes]


def asking(served: Sequence[Country]) -> tuple[Asker, Context]:
    """Return a client of these rows and of some history, and what its resolvers get."""
    asker = offline(served)
    asker.catalog.history = (make_report("a"), make_failure("b"), make_report("c"))
    context = Context(
        catalog=asker.catalog,
        refreshes=asker.refreshes,
        clock=asker.clock,
        stale_after=A_DAY,
        public_url=PUBLIC_URL,
        authorized=True,
    )
    return asker, context


def written(data: object, errors: Sequence[GraphQLError] | None) -> bytes:
    """Return an answer as bytes; a lone surrogate, which has none, as it is escaped."""
    told = [error.formatted for error in errors or ()]
    try:
        return orjson.dumps([data, told])
    except TypeError:
        return repr([data, told]).encode()


async def both(document: str, variables: dict[str, Any], context: Context) -> tuple[bytes, bytes]:
    """Return what the executor in bulk answers, and what the ordinary one does."""
    read = SCHEMA.documents.read(document)
    assert validate(SCHEMA.executable, read.prepared.document, specified_rules) == []
    operation = read.operation(None)
    coerced = operation.read_variables(variables)
    assert not isinstance(coerced, list)
    bulk = await BulkExecutor(operation, operation.plan(coerced), coerced, context).run()
    ordinary = await ORDINARY.execute(document, variables, context_value=context)
    return written(*bulk), written(ordinary.data, ordinary.errors)


VALUES = st.fixed_dictionaries(
    {},
    optional={"yes": st.booleans(), "no": st.booleans(), "first": st.sampled_from((None, 0, 2))},
)


@settings(
    max_examples=100,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking documents takes minutes
)
@given(documents(), rows(), VALUES)
async def test_same_bytes(document: str, served: list[Country], variables: dict[str, Any]) -> None:
    """Any document gives the same bytes, and the same errors at the same places, also again."""
    _, context = asking(served)
    for _ in range(2):
        bulk, ordinary = await both(document, variables, context)
        assert bulk == ordinary


@settings(max_examples=50, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(documents(), rows(), VALUES)
async def test_at_once(document: str, served: list[Country], variables: dict[str, Any]) -> None:
    """What is answered at once is what is answered otherwise, and it has no errors."""
    _, context = asking(served)
    request = GraphQLRequest(query=document, variables=variables, operation_name=None)
    ordinary = await execute(
        SCHEMA, request, context=context, allowed=READING, request_id="request-7"
    )
    at_once = execute_at_once(SCHEMA, request, context=context)
    if at_once is not None:
        assert at_once == ordinary
    else:
        assert not ordinary.of_data


def test_data_need_no_waiting() -> None:
    """Nothing is awaited for a query of the data, whatever it selects."""
    schema = SCHEMA.executable
    assert schema.query_type is not None
    fields = [schema.query_type.fields[name] for name in ("country", "countries", "node")]
    seen: set[str] = set()
    while fields:
        field = fields.pop()
        assert not field.extensions["strawberry-definition"].is_async
        kind = get_named_type(field.type)
        if kind.name not in seen and is_composite_type(kind):
            seen.add(kind.name)
            kinds = schema.get_possible_types(kind) if is_abstract_type(kind) else [kind]
            for each in kinds:
                assert is_object_type(each)
                fields += each.fields.values()
    assert seen == {"Country", "CountryConnection", "CountryEdge", "Node", "PageInfo", "Provenance"}


BROKEN = [make_country("AX"), make_country("FR", population=2**31), make_country("TR")]


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
    """Lists that a table completes in full, in part or not at all are those of the executor."""
    _, context = asking(BROKEN)
    bulk, ordinary = await both(document, {}, context)
    assert bulk == ordinary


async def test_tables_are_used() -> None:
    """A page of countries, and of their edges, is completed by one table alone."""
    _, context = asking([make_country("FR")])
    document = "{ countries { nodes { id code } edges { cursor node { name __typename } } } }"
    bulk, ordinary = await both(document, {}, context)
    assert bulk == ordinary
    operation = SCHEMA.documents.read(document).operation(None)
    plan = operation.plan(VariableValues({}, {}))
    [(_, made)] = plan.tables.values()
    assert made is not None
    assert (made.type.name, made.alone) == ("CountryConnection", ())
