"""Queries made to be expensive: the work, the bytes and the memory of each are bounded, executed or rejected."""

import asyncio
import re
import string
import tracemalloc
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from graphql_api.domain.country import SkippedRecord
from graphql_api.domain.folding import fold
from graphql_api.execution.engine import Schema, build_schema
from graphql_api.execution.execute import QUERIES_AND_MUTATIONS, execute
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.messages import GraphQLRequest
from graphql_api.http.graphql.endpoint import encode_json
from tests.support.attempts import make_report
from tests.support.call_counts import count_calls
from tests.support.expensive_queries import EXPANDING, EXPENSIVE_QUERIES, MARKS, to_body
from tests.support.factories import make_country
from tests.support.schema_client import offline_client

MAX_CALLS = 800_000
"""Calls of functions for one query, with a new document. Some 0.15 microseconds each."""
MAX_PEAK_BYTES = 20_000_000
MAX_RESPONSE_BYTES = 2_000_100
"""The limit of data, and the object around it."""
LETTERS = string.ascii_uppercase
ROWS = [
    make_country(f"{first}{second}", name=f"Land of {first}{second}", capital=f"Capital {second}", population=index)
    for index, (first, second) in enumerate((first, second) for first in LETTERS[:10] for second in LETTERS[:25])
]
SKIPPED = tuple(
    SkippedRecord(record=f"record {index}", reason="its population is not a number") for index in range(100)
)
HISTORY = tuple(make_report(f"{index}", skipped=SKIPPED, missing=("A missing country",) * 100) for index in range(1000))
CLIENT = replace(offline_client(ROWS), authorized=False)
CLIENT.catalog.history = HISTORY
CONTEXT = CLIENT.context


def make_schema() -> Schema:
    """Return a schema without cached documents, whose time is never up: counts decide."""
    return build_schema(introspection=True, clock=lambda: 0.0)


def respond(schema: Schema, document: str, variables: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
    """Return the body of the response, and the response as JSON values. Nothing was derived from the data before."""
    CLIENT.catalog.snapshot.derived.clear()
    request = GraphQLRequest(query=document, variables=variables, operation_name=None)
    execution = execute(
        schema, request, context=CONTEXT, allowed_operations=QUERIES_AND_MUTATIONS, request_id="request-7"
    )
    response = asyncio.run(execution)
    return encode_json(response.body), response.body


@pytest.mark.parametrize("name", EXPENSIVE_QUERIES)
def test_bounds(name: str) -> None:
    """Whatever the query, its calls and its response are bounded, and it is rejected only as expected."""
    query = EXPENSIVE_QUERIES[name]
    schema = make_schema()
    responses: list[tuple[bytes, Mapping[str, Any]]] = []
    calls = count_calls(lambda: responses.append(respond(schema, query.document, query.variables)))
    [(body, response)] = responses
    assert calls.total() < MAX_CALLS
    assert len(body) < MAX_RESPONSE_BYTES
    messages = [error["message"] for error in response.get("errors", ()) if "too complex" in error["message"]]
    rejections = [re.sub(r" (over )?\d+,", ",", message).split(": ")[1] for message in messages]
    assert rejections == ([f"{query.rejection}."] if query.rejection else [])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPENSIVE_QUERIES)
def test_memory(name: str) -> None:
    """Whatever the query, its memory is bounded."""
    query = EXPENSIVE_QUERIES[name]
    schema = make_schema()
    tracemalloc.start()
    respond(schema, query.document, query.variables)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MAX_PEAK_BYTES


@pytest.mark.parametrize("name", EXPENSIVE_QUERIES)
def test_size(name: str) -> None:
    """Each fits into the body of a request."""
    assert len(to_body(EXPENSIVE_QUERIES[name])) <= 100_000


@pytest.mark.parametrize(("name", "more"), [("an expanding name, 13 times", 3), ("expanding names in 9 lists", 5 * 2)])
def test_operands_are_folded_once(name: str, more: int) -> None:
    """A request folds each operand once, and the start of five for suggestions; another request folds them again."""
    query = EXPENSIVE_QUERIES[name]
    operands = query.variables.get("v", [query.variables.get("t")])
    schema = make_schema()
    respond(schema, query.document, query.variables)  # builds the index for suggestions, which folds every name
    for _ in range(2):
        calls = count_calls(lambda: respond(schema, query.document, query.variables))
        assert calls[fold.__code__] == len(operands) + more


def test_measuring_is_bounded() -> None:
    """Of a variable that costs far too much, the rest is not measured."""
    query = EXPENSIVE_QUERIES["empty filters"]
    calls = count_calls(lambda: respond(make_schema(), query.document, query.variables))
    assert calls[QueryLimits.check.__code__] < 3_000


@pytest.mark.parametrize("name", [name for name, query in EXPENSIVE_QUERIES.items() if MARKS in str(query.variables)])
def test_normalization_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than 200 characters are normalized at once: the time is quadratic in marks."""
    lengths: list[int] = []
    normalize = unicodedata.normalize

    def record(form: Any, text: str) -> str:  # noqa: ANN401 - one of four texts
        lengths.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", record)
    query = EXPENSIVE_QUERIES[name]
    respond(make_schema(), query.document, query.variables)
    assert 0 < max(lengths) <= 200


def test_long_operands_are_cut_off() -> None:
    """Of a text longer than any of the data, no more is folded than shows that it matches nothing."""
    schema, document = make_schema(), "query ($t: String) { country(name: $t) { id } }"
    short, long = (
        count_calls(lambda text=text: respond(schema, document, {"t": text})).total()  # type: ignore[misc] # the default only binds it
        for text in (EXPANDING * 64, EXPANDING * 33_000)
    )
    assert long <= short + 10


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("cursors of all keys", 25),
        ("an expanding name, 13 times", 13),
        ("substrings", 100),
        ("nested negations", 160),
        ("all countries, 19 times", 20),
        ("all countries, and the status", 1000),
        ("introspection", 1000),
        ("reports", 1000),
    ],
)
def test_looks_at_the_clock(name: str, looks: int) -> None:
    """Whatever takes long looks at the clock often, also within one table, one filter and one lookup."""
    count = 0

    def clock() -> float:
        nonlocal count
        count += 1
        return 0.0

    query = EXPENSIVE_QUERIES[name]
    respond(build_schema(introspection=True, clock=clock), query.document, query.variables)
    assert count >= looks
