"""Execution of a request: rejections with their codes, limits of time, masked errors."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any

import orjson
import pytest
from strawberry.schema.exceptions import InvalidOperationTypeError

from graphql_api.errors import CountryNotFound, DatabaseUnavailable
from graphql_api.execution.document import OperationInfo
from graphql_api.execution.engine import Schema, build_schema
from graphql_api.execution.execute import QUERIES_ONLY, execute
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.messages import GraphQLRequest, GraphQLResponse
from graphql_api.execution.rejections import build_error_response
from graphql_api.execution.turns import Turns
from tests.support.factories import make_country
from tests.support.refresh_service import InitialState, ServiceInstance, execute_sql
from tests.support.schema_client import REQUEST_ID, SCHEMA, client_for, offline_client

CLIENT = offline_client([make_country("FR")])
MASKED = f"Something went wrong here; the server's log has it as request {REQUEST_ID}."
TWO_OPERATIONS = "query a { __typename } query b { status { totalCountries } }"
FILTER_QUERY = "query ($filter: CountryFilter) { countries(filter: $filter) { totalCount } }"
DEPTH = 3000
NO_SUBFIELDS = "Field 'status' of type 'Status!' must have a selection of subfields. Did you mean 'status { ... }'?"
NOT_RFC_3339 = (
    "Expected value of type 'DateTime', but encountered error 'DateTime must be RFC 3339 "
    "with an offset, e.g. 2026-11-23T16:26:00Z'; found: '2026-11-23'."
)
NOT_PROVIDED = "Expected a value of non-null type 'Int!' to be provided."
NOT_NULL = "Expected variable '$first' provided to non-null type 'Int!' not to be None."


def nested_filter(levels: int) -> dict[str, Any]:
    """Return a filter with that many levels of `not`."""
    filter_input: dict[str, Any] = {}
    for _ in range(levels):
        filter_input = {"not": filter_input}
    return filter_input


def only_error(response: GraphQLResponse) -> tuple[str, str]:
    """Return code and message of the only error of a rejected request."""
    assert response.executed is False
    assert list(response.body) == ["errors"]
    [error] = response.body["errors"]
    assert {"message", "extensions"} <= set(error) <= {"message", "extensions", "locations"}
    assert list(error["extensions"]) == ["code"]
    return error["extensions"]["code"], error["message"]


def only_message(response: GraphQLResponse) -> str:
    """Return the message of a query that exceeded a limit while it was executed."""
    assert response.body["data"] is None
    [error] = response.body["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX"}
    return str(error["message"])


@pytest.mark.parametrize(
    ("document", "code", "message"),
    [
        ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>."),
        ("nonsense", "GRAPHQL_PARSE_FAILED", "Syntax Error: Unexpected Name 'nonsense'."),
        (
            '{ country(code: "\\ud800") { id } }',
            "GRAPHQL_PARSE_FAILED",
            "Syntax Error: Invalid Unicode escape sequence: '\\ud800'.",
        ),
        ("{ \x00 }", "GRAPHQL_PARSE_FAILED", "Syntax Error: Unexpected character: U+0000."),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'nothing' on type 'Query'."),
        ("{ countries { totalCount } status }", "GRAPHQL_VALIDATION_FAILED", NO_SUBFIELDS),
        (
            "{ refreshes(first: null) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
            "Expected value of non-null type 'Int!' not to be None.",
        ),
        (
            "query ($code: Int) { country(code: $code) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
            "Variable '$code' of type 'Int' used in position expecting type 'String'.",
        ),
        (
            "{ ...a } fragment a on Query { ...a }",
            "GRAPHQL_VALIDATION_FAILED",
            "Cannot spread fragment 'a' within itself.",
        ),
        ("fragment a on Query { __typename }", "BAD_USER_INPUT", "The document has no operation."),
        (TWO_OPERATIONS, "BAD_USER_INPUT", "The document has several operations: name one in operationName."),
    ],
)
async def test_rejected_documents(document: str, code: str, message: str) -> None:
    """A document that cannot be executed is rejected as a whole, with the code of its error."""
    assert only_error(await CLIENT.request(document)) == (code, message)


async def test_several_errors() -> None:
    """Every validation error is in the response, with its location."""
    response = await CLIENT.request("{ abc two }")
    assert response.executed is False
    assert response.body == {
        "errors": [
            {
                "message": f"Cannot query field '{name}' on type 'Query'.",
                "locations": [{"line": 1, "column": column}],
                "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
            }
            for name, column in (("abc", 3), ("two", 7))
        ]
    }


def stopped_after(looks: int) -> Callable[[], float]:
    """Return a clock on which two seconds pass after that many looks."""
    times = chain([0.0] * looks, repeat(2.0))
    return lambda: next(times)


def build_undivided_schema(clock: Callable[[], float]) -> Schema:
    """Return a schema with a clock, whose queries never wait between two slices, which is a look at the clock too."""
    schema = build_schema(introspection=True, clock=clock)
    schema.turns = Turns(lambda: 0.0)
    return schema


TIMED_QUERIES = {
    "compiled": '{ countries(filter: {not: {name: {eq: "x"}}}, sort: {field: NAME}) { nodes { id name } totalCount } }',
    "not compiled": "{ status { version } countries { nodes { id name } } }",
    "with an error": "{ bad: country { id } countries { nodes { id name } } }",
    "introspection": "{ __schema { queryType { name } } }",
}


@pytest.mark.parametrize("name", TIMED_QUERIES)
async def test_too_many_milliseconds(name: str) -> None:
    """A query stops at whichever look at the clock its time is up, and its data is null."""
    looks: list[int] = []

    def count_looks() -> float:
        looks.append(len(looks))
        return 0.0

    client = replace(CLIENT, schema=build_undivided_schema(count_looks))
    CLIENT.catalog.snapshot.derived.clear()
    assert "data" in (await client.request(TIMED_QUERIES[name])).body
    assert len(looks) >= 5
    for count in range(1, len(looks)):
        CLIENT.catalog.snapshot.derived.clear()
        client = replace(CLIENT, schema=build_undivided_schema(stopped_after(count)))
        response = await client.request(TIMED_QUERIES[name])
        assert only_message(response) == "The query is too complex: milliseconds 2000, at most 1000."


async def test_standstill_is_not_counted() -> None:
    """A query is not rejected because the machine stood still while it ran."""

    def stall() -> datetime:
        time.sleep(0.3)
        return datetime.now(UTC)

    schema = build_schema(introspection=True, query_limits=QueryLimits(milliseconds=250))
    client = replace(CLIENT, clock=stall, schema=schema)
    assert await client.query("{ status { stale totalCountries } }") == {"status": {"stale": True, "totalCountries": 1}}


async def test_too_many_bytes() -> None:
    """A response may have as many bytes of data as the limit, whichever way it is made."""
    for query in ("{ countries { nodes { id name } } }", "{ status { totalCountries } countries { nodes { name } } }"):
        data = (await CLIENT.request(query)).body["data"]
        limit = len(orjson.dumps(data))
        schema = build_schema(introspection=True, query_limits=QueryLimits(bytes=limit))
        assert (await replace(CLIENT, schema=schema).request(query)).body == {"data": data}
        schema = build_schema(introspection=True, query_limits=QueryLimits(bytes=limit // 2))
        message = only_message(await replace(CLIENT, schema=schema).request(query))
        assert re.fullmatch(rf"The query is too complex: bytes \d+, at most {limit // 2}\.", message)


@pytest.mark.parametrize("field", ["code", "rateFrom { provider }"])
async def test_long_alias(field: str) -> None:
    """A long alias, which each row repeats, counts before any row is made."""
    client = offline_client([make_country(f"{number:03}") for number in range(250)])
    response = await client.request(f"{{ countries {{ nodes {{ {'a' * 10_000}: {field} }} }} }}")
    assert re.fullmatch(r"The query is too complex: bytes 250\d{4}, at most 2000000\.", only_message(response))


async def test_cost_of_what_is_not_compiled() -> None:
    """A query that is executed value by value costs five times as much, and so does one with an error."""
    schema = build_schema(introspection=True, query_limits=QueryLimits(cost=15))
    client = replace(CLIENT, schema=schema)
    assert await client.query('{ a: country(code: "FR") { b: code name } c: country(code: "x") { id } }') == {
        "a": {"b": "FR", "name": "Land FR"},
        "c": None,
    }
    response = await client.request('{ a: country(code: "FR") { code } c: country { id } }')
    assert only_error(response) == ("QUERY_TOO_COMPLEX", "The query is too complex: cost 20, at most 15.")
    response = await client.request("{ status { version stale totalCountries } }")
    assert only_error(response) == ("QUERY_TOO_COMPLEX", "The query is too complex: cost 20, at most 15.")
    assert "data" in (await client.request("{ status { version stale } }")).body


async def test_refresh_has_no_limit_of_milliseconds(instance: ServiceInstance) -> None:
    """A mutation may take longer than the limit of milliseconds, and its response more bytes."""
    schema = build_schema(introspection=True, query_limits=QueryLimits(bytes=1), clock=stopped_after(1))
    client = replace(client_for(instance), schema=schema)
    data = await client.query("mutation { refreshCountries { sources { provider } } }")
    assert data == {
        "refreshCountries": {"sources": [{"provider": "geonames"}, {"provider": "er-api"}, {"provider": "world-bank"}]}
    }


async def test_operation_name() -> None:
    """Of several operations, the one of the requested name is executed."""
    assert await CLIENT.request(TWO_OPERATIONS, operation_name="a") == GraphQLResponse(
        {"data": {"__typename": "Query"}}, executed=True, cacheable=True, operation=OperationInfo("query", "a")
    )
    assert await CLIENT.request(TWO_OPERATIONS, operation_name="b") == GraphQLResponse(
        {"data": {"status": {"totalCountries": 1}}}, executed=True, operation=OperationInfo("query", "b")
    )


@pytest.mark.parametrize("document", [TWO_OPERATIONS, "{ __typename }", "query c2 { __typename }"])
async def test_unknown_operation_name(document: str) -> None:
    """An unknown operation name is rejected, even if the document has only one operation."""
    rejection = only_error(await CLIENT.request(document, operation_name="c"))
    assert rejection == ("BAD_USER_INPUT", "The document has no operation named 'c'.")


QUERY_BY_TYPE = {
    "Int": "countries(first: $value) { totalCount }",
    "Int!": "refreshes(first: $value) { id }",
    "Float": "countries(filter: {areaKm2: {eq: $value}}) { totalCount }",
    "String": "country(code: $value) { id }",
    "[String!]": "countries(filter: {name: {in: $value}}) { totalCount }",
    "DateTime": "countries(filter: {lastRefreshedAt: {gt: $value}}) { totalCount }",
    "CountrySortField!": "countries(sort: {field: $value}) { totalCount }",
}
"""A field with the variable $value, by the type of the variable."""


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        ("Int", "1", ": Int cannot represent non-integer value: '1'"),
        ("Int", 1.5, ": Int cannot represent non-integer value: 1.5"),
        ("Int", True, ": Int cannot represent non-integer value: True"),
        ("Int", 2**31, ": Int cannot represent non 32-bit signed integer value: 2147483648"),
        ("Int", float("inf"), ": Int cannot represent non-integer value: inf"),
        ("Int!", None, ": Expected value of non-null type 'Int!' not to be None."),
        ("Float", "1", ": Float cannot represent non numeric value: '1'"),
        ("Float", float("inf"), ": Float cannot represent non numeric value: inf"),
        ("String", 1, ": String cannot represent a non string value: 1"),
        ("[String!]", [None], " at [0]: Expected value of non-null type 'String!' not to be None."),
        ("DateTime", "2026-11-23", f": {NOT_RFC_3339}"),
        ("CountrySortField!", "FLAG_URL", ": Value 'FLAG_URL' does not exist in 'CountrySortField' enum."),
    ],
)
async def test_rejected_variables(declared: str, value: object, message: str) -> None:
    """A variable with an invalid value for its type is rejected with BAD_USER_INPUT."""
    document = f"query ($value: {declared}) {{ {QUERY_BY_TYPE[declared]} }}"
    rejection = only_error(await CLIENT.request(document, {"value": value}))
    assert rejection == ("BAD_USER_INPUT", f"Variable '$value' has invalid value{message}")


async def test_missing_variable() -> None:
    """A missing required variable is rejected with BAD_USER_INPUT."""
    response = await CLIENT.request("query ($first: Int!) { refreshes(first: $first) { id } }")
    assert only_error(response) == ("BAD_USER_INPUT", f"Variable '$first' has invalid value: {NOT_PROVIDED}")


async def test_null_for_an_argument_with_a_default() -> None:
    """A null variable for a non-null argument with a default is an error with BAD_USER_INPUT."""
    document = "query ($first: Int) { refreshes(first: $first) { id } }"
    assert await CLIENT.query(document) == {"refreshes": []}
    assert await CLIENT.query_error(document, first=None) == (
        "BAD_USER_INPUT",
        f"Argument 'first' has invalid value: {NOT_NULL}",
    )


@pytest.mark.parametrize(
    "document",
    [
        "{" + "a{" * DEPTH + "a" + "}" * DEPTH + "}",
        "{ countries(filter: " + "{not:" * DEPTH + "{}" + "}" * DEPTH + ") { totalCount } }",
        "{ countries(filter: {and: " + "[" * DEPTH + "]" * DEPTH + "}) { totalCount } }",
        "query ($a: " + "[" * DEPTH + "Int" + "]" * DEPTH + ") { __typename }",
    ],
)
async def test_deep_documents(document: str) -> None:
    """A document nested beyond the parser's bound is a syntax error, whatever nests in it."""
    assert only_error(await CLIENT.request(document)) == (
        "GRAPHQL_PARSE_FAILED",
        "Syntax Error: Document is nested too deeply. Parsing aborted.",
    )


@pytest.mark.parametrize("levels", [21, 500, DEPTH])
async def test_deep_variables(levels: int) -> None:
    """Variables beyond the limit of depth are rejected, even beyond Python's recursion."""
    response = await CLIENT.request(FILTER_QUERY, {"filter": nested_filter(levels)})
    rejection = ("QUERY_TOO_COMPLEX", "The query is too complex: depth 21, at most 20.")
    assert only_error(response) == rejection


async def test_deep_filter() -> None:
    """A filter of 19 levels is applied, as a variable and as a literal."""
    expected = {"countries": {"totalCount": 1}}
    assert await CLIENT.query(FILTER_QUERY, filter=nested_filter(18)) == expected
    filter_literal = "{not:" * 18 + "{}" + "}" * 18
    assert await CLIENT.query_codes(f"(filter: {filter_literal})") == ["FR"]


def broken_clock() -> datetime:
    """Raise an error that no resolver expects."""
    raise RuntimeError("the secret cause")


async def test_defect_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error is masked, and logged with its cause under the same request id."""
    response = await replace(CLIENT, clock=broken_clock).request("{ status { stale } }")
    assert response == GraphQLResponse(
        {
            "data": None,
            "errors": [
                {
                    "message": MASKED,
                    "locations": [{"line": 1, "column": 12}],
                    "path": ["status", "stale"],
                    "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": REQUEST_ID},
                }
            ],
        },
        executed=True,
        operation=OperationInfo("query", None),
    )
    [record] = caplog.records
    assert record.getMessage() == f"Request {REQUEST_ID} failed at ['status', 'stale']"
    assert record.exc_info is not None
    assert repr(record.exc_info[1]) == repr(RuntimeError("the secret cause"))


async def test_unserializable_value_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """A value that its type cannot serialize is masked and logged too."""
    response = await offline_client([make_country("FR", population=2**31)]).request(
        '{ country(code: "FR") { population } }'
    )
    [error] = response.body["errors"]
    assert (response.body["data"], error["message"]) == ({"country": None}, MASKED)
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": REQUEST_ID}
    [record] = caplog.records
    assert record.getMessage() == f"Request {REQUEST_ID} failed at ['country', 'population']"


async def test_rejections_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client's errors are in the response, not in the log."""
    await CLIENT.request("{ country { id } }")
    await CLIENT.request("{")
    await CLIENT.request("{ nothing }")
    await CLIENT.request("query ($a: Int!) { __typename }")
    assert caplog.records == []


async def test_database_is_not_described(instance: ServiceInstance, caplog: pytest.LogCaptureFixture) -> None:
    """The response to a database error has neither URL nor message of the database; the log has."""
    await instance.service.refresh()
    await instance.service.close()
    initial = await InitialState.capture(instance)
    await asyncio.to_thread(
        execute_sql,
        instance.path,
        "CREATE TRIGGER no BEFORE DELETE ON countries BEGIN SELECT raise(ABORT, 'a secret'); END",
    )
    response = await client_for(instance).request('mutation { deleteCountry(code: "FR") { id } }')
    [error] = response.body["errors"]
    assert error["message"] == "The database did not execute the operation; nothing was changed."
    assert error["extensions"] == {"code": "DATABASE_UNAVAILABLE"}
    assert response.body["data"] is None
    failure = f"The database at sqlite:///{instance.path} failed: a secret."
    assert [record.getMessage() for record in caplog.records] == [f"Request {REQUEST_ID}: {failure}"]
    assert await initial.is_unchanged()


async def test_allowed_operations(instance: ServiceInstance) -> None:
    """A mutation is not executed if only queries are allowed."""
    client = client_for(instance)
    request = GraphQLRequest(query="mutation { refreshCountries { id } }", variables=None, operation_name=None)
    with pytest.raises(InvalidOperationTypeError):
        await execute(SCHEMA, request, context=client.context, allowed_operations=QUERIES_ONLY, request_id=REQUEST_ID)
    assert (await instance.load_rows(), instance.service.is_running) == ([], False)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (CountryNotFound("There is none."), "There is none."),
        (
            DatabaseUnavailable("The database at sqlite:///secret failed."),
            "The database did not execute the operation; nothing was changed.",
        ),
    ],
)
def test_error_response(error: CountryNotFound | DatabaseUnavailable, message: str) -> None:
    """The response to an error before execution has the public message, the code and no data."""
    body = {"errors": [{"message": message, "extensions": {"code": error.code}}]}
    assert build_error_response(error) == GraphQLResponse(body, executed=False)
