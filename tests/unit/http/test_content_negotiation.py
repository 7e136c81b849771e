"""Content negotiation: content types compared whole, accepted types by weight and specificity."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from graphql_api.http.content_negotiation import (
    GRAPHQL_RESPONSE,
    HTML,
    JSON,
    MAX_HEADER_LENGTH,
    find_content_type_problem,
    negotiate_encoding,
    negotiate_response_type,
)
from tests.support.factories import few_examples

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def make_request(name: str, *values: str) -> Request:
    """Return a request with a header, once for each value."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for value in values]
    return Request({"type": "http", "headers": headers})


SEND_JSON = "Send application/json."
SEND_UTF8 = "Send application/json in UTF-8: with charset=utf-8, or without a charset."


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("application/json", None),
        ("Application/JSON", None),
        (" application/json ; charset=utf-8 ", None),
        ("application/json;charset=UTF-8", None),
        ('application/json; charset="utf-8"', None),
        ('application/json; CharSet="Utf\\-8"', None),
        ("application/json; charset = utf8", None),
        ("application/json;", None),
        ("application/json; ; charset=utf-8;", None),
        ('application/json; a=1; b="x,y;charset=latin1\\""; charset=utf-8', None),
        ("application/json; charset=utf-16", SEND_UTF8),
        ("application/json; charset=iso-8859-1", SEND_UTF8),
        ('application/json; charset=""', SEND_UTF8),
        ("application/json; charset=utf-8; charset=utf-16", SEND_UTF8),
        ("application/json; charset='utf-8'", SEND_UTF8),
        ("application/json; charset", SEND_JSON),
        ("application/json; charset=", SEND_JSON),
        ('application/json; charset="utf-8', SEND_JSON),
        ("application/json charset=utf-8", SEND_JSON),
        ("application/json, application/json", SEND_JSON),
        ("application/json; a=b,application/json", SEND_JSON),
        ("application/jsonx", SEND_JSON),
        ("text/plain; application/json", SEND_JSON),
        ("application/graphql+json", SEND_JSON),
        ("", SEND_JSON),
        (";", SEND_JSON),
        (f"application/json; a={'x' * MAX_HEADER_LENGTH}", SEND_JSON),
    ],
)
def test_content_type(header: str, problem: str | None) -> None:
    """JSON in UTF-8 is accepted in every spelling, and any other type says what to send."""
    assert find_content_type_problem(header) == problem


@pytest.mark.parametrize("entry", ["a/b,", ",", "*/*;q=0.1,", "a/b;q=1;q=1,", 'a;b="'])
def test_long_headers(entry: str) -> None:
    """Of a long header only the start counts, so that none costs more than a short one."""
    header = (entry * MAX_HEADER_LENGTH)[:MAX_HEADER_LENGTH]
    offered = (JSON, GRAPHQL_RESPONSE, HTML)
    for tail in (f",{HTML};q=1", f",{HTML};q=1" * 5_000):
        chosen = negotiate_response_type(make_request("Accept", header + tail), offered)
        assert chosen == negotiate_response_type(make_request("Accept", header), offered)
        assert negotiate_encoding(f"{header}{tail},gzip") == negotiate_encoding(header)


@pytest.mark.parametrize(
    ("headers", "chosen"),
    [
        ([], JSON),
        ([""], JSON),
        ([" "], JSON),
        (["*/*"], JSON),
        (["application/*"], JSON),
        (["application/json"], JSON),
        (["APPLICATION/JSON;charset=utf-8"], JSON),
        (["application/graphql-response+json"], GRAPHQL_RESPONSE),
        (["application/graphql-response+json, application/json;q=0.9"], GRAPHQL_RESPONSE),
        (["application/json;q=0.9, application/graphql-response+json"], GRAPHQL_RESPONSE),
        (["application/graphql-response+json, application/json"], JSON),
        (["application/graphql-response+json;q=0.5, */*;q=0.1"], GRAPHQL_RESPONSE),
        (["application/json;q=0, */*"], GRAPHQL_RESPONSE),
        (["application/json;q=0, application/*;q=0.5"], GRAPHQL_RESPONSE),
        (["application/*;q=0, */*"], HTML),
        (["text/*"], HTML),
        (["text/html"], HTML),
        ([BROWSER], HTML),
        (["text/plain", "text/html"], HTML),
        (["text/html;level=1;q=0.4, application/json ; q = 0.5"], JSON),
        (["text/html;q=0.4;q=0.9, application/json;q=0.5"], HTML),
        (["text/html;q=7, application/json;q=1"], JSON),
        (["text/html;q=-1"], None),
        (["text/html;q=high"], None),
        (["text/html;q=nan"], None),
        (["text/html;q=nan, */*"], JSON),
        (["application/json;q=0"], None),
        (["*/*;q=0"], None),
        (["image/png"], None),
        (["application/jsonx"], None),
        (["application"], None),
        (["json"], None),
        (["text/plain; application/json"], None),
        ([","], None),
    ],
)
def test_preferred(headers: Sequence[str], chosen: str | None) -> None:
    """The type with the highest weight is chosen, the first offered of equals, or none."""
    assert negotiate_response_type(make_request("Accept", *headers), (JSON, GRAPHQL_RESPONSE, HTML)) == chosen


NUMBERS = st.sampled_from(("0", "1", "0.5", "1e-400", "-1", "nan", "inf", "1_0", "٣".encode().decode("latin-1"), ""))
RANGES = st.sampled_from((JSON, HTML, GRAPHQL_RESPONSE, "*/*", "text/*", "*", "/", "a/b", ""))
ACCEPTED = st.lists(st.builds("{};q={}".format, RANGES, NUMBERS) | RANGES).map(",".join)
LATIN = st.text(st.characters(codec="latin-1"))


@few_examples
@given(headers=st.lists(ACCEPTED | LATIN, max_size=3))
def test_any_header(headers: list[str]) -> None:
    """Any header is parsed without an error, and the chosen type is one of those offered."""
    offered = (JSON, GRAPHQL_RESPONSE, HTML)
    assert negotiate_response_type(make_request("Accept", *headers), offered) in (*offered, None)


@few_examples
@given(header=LATIN)
def test_any_content_type(header: str) -> None:
    """Any content type is parsed without an error, and none that does not start with JSON is accepted."""
    assert find_content_type_problem(f"x{header}") == SEND_JSON
    assert find_content_type_problem(f"{JSON};{header}") in (None, SEND_JSON, SEND_UTF8)


@few_examples
@given(weights=st.lists(st.integers(0, 1000), min_size=3, max_size=3), rest=st.integers(0, 1000))
def test_greatest_weight(weights: list[int], rest: int) -> None:
    """Among named types the highest weight wins, then the first offered; zero never does."""
    offered = (JSON, GRAPHQL_RESPONSE, HTML)
    entries = [f"{media_type};q={weight / 1000}" for media_type, weight in zip(offered, weights, strict=True)]
    chosen = negotiate_response_type(make_request("Accept", f"*/*;q={rest / 1000}", *entries), offered)
    best = max(weights)
    assert chosen == (offered[weights.index(best)] if best > 0 else None)
