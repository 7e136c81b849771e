"""A request is parsed once, and the fast path and the endpoint parse it alike."""

import json

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from graphql_api.http.content_negotiation import GRAPHQL_RESPONSE, JSON
from graphql_api.http.errors import HTTPRejection
from graphql_api.http.graphql.cache_key import CacheKey
from graphql_api.http.graphql.request import ParsedRequest, RawHeaders, RequestFields, parse_buffered, read_request
from tests.support.factories import few_examples

BODY = b'{"query": "{ __typename }"}'
JSON_TYPE = (b"content-type", b"application/json")
BODY_LIMIT = 100


async def read_in_pieces(method: str, headers: RawHeaders, text: bytes) -> ParsedRequest:
    """Return the request as the endpoint reads it from ASGI, in two pieces."""
    pieces = iter((text[:5], text[5:]))

    async def receive() -> Message:
        body = next(pieces)
        return {"type": "http.request", "body": body, "more_body": body == text[:5]}

    scope = {"type": "http", "method": method, "headers": headers, "query_string": text}
    return await read_request(Request(scope, receive), body_limit=BODY_LIMIT)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], (JSON, "identity")),
        ([(b"accept", b"text/html,*/*;q=0.5")], (JSON, "identity")),
        ([(b"accept", b"a/b"), (b"accept", GRAPHQL_RESPONSE.encode())], (GRAPHQL_RESPONSE, None)),
        ([(b"accept-encoding", b"gzip, br")], (JSON, "br")),
        ([(b"origin", b"https://a.example")], (JSON, "identity")),
        ([(b"accept-encoding", b"gzip"), (b"accept-encoding", b"br;q=0.5")], (JSON, "gzip")),
    ],
)
async def test_both_ways(method: str, headers: list[tuple[bytes, bytes]], key: tuple[str, str | None]) -> None:
    """Key and If-None-Match are the same for a request that the fast path took or declined."""
    media_type, encoding = key
    all_headers = [JSON_TYPE, *headers, (b"if-none-match", b' "x"')]
    query_string = b"" if method == "POST" else BODY
    buffered = parse_buffered(method, query_string, all_headers, BODY, body_limit=BODY_LIMIT)
    expected_key = CacheKey(method, BODY, media_type, encoding or "identity")
    has_origin = dict(headers).get(b"origin") is not None
    assert buffered == ParsedRequest(expected_key, '"x"', has_origin)
    assert await read_in_pieces(method, all_headers, BODY) == buffered


@pytest.mark.parametrize(
    ("content_type", "accepted"),
    [
        (b"application/json", True),
        (b"application/json;charset=UTF-8", True),
        (b'Application/JSON ; charset="utf-8"', True),
        (b"application/json;", True),
        (b"application/jsonx", False),
        (b"text/plain; application/json", False),
        (b"", False),
    ],
)
async def test_content_type(content_type: bytes, accepted: bool) -> None:
    """Both ways accept the same spellings of JSON."""
    headers = [(b"content-type", content_type)]
    buffered = parse_buffered("POST", b"", headers, BODY, body_limit=BODY_LIMIT)
    assert (buffered is not None) is accepted
    if accepted:
        assert await read_in_pieces("POST", headers, BODY) == buffered
    else:
        with pytest.raises(HTTPRejection, match=r"^Send application/json\.$"):
            await read_in_pieces("POST", headers, BODY)


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("PUT", [JSON_TYPE], BODY),
        ("HEAD", [], b""),
        ("POST", [JSON_TYPE, JSON_TYPE], BODY),
        ("POST", [(b"content-type", b"application/json; a=b"), JSON_TYPE], BODY),
        ("POST", [JSON_TYPE, (b"content-encoding", b"gzip")], BODY),
        ("POST", [JSON_TYPE, (b"accept", b"image/png")], BODY),
        ("POST", [JSON_TYPE], b"x" * (BODY_LIMIT + 1)),
    ],
)
async def test_rejected(method: str, headers: RawHeaders, body: bytes) -> None:
    """The fast path declines what the endpoint rejects."""
    assert parse_buffered(method, b"", headers, body, body_limit=BODY_LIMIT) is None
    with pytest.raises(HTTPRejection):
        await read_in_pieces(method, headers, body)


def make_request(method: str, text: bytes) -> ParsedRequest:
    """Return a request of this text."""
    return ParsedRequest(CacheKey(method, text, JSON, "identity"), "")


HASH = "0" * 64


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (
            make_request("POST", b'{"query":"{a}","variables":{"b":1},"operationName":"c"}'),
            RequestFields("{a}", {"b": 1}, "c", None),
        ),
        (
            make_request("GET", b"query=%7Ba%7D&variables=%7B%22b%22:1%7D&operationName=c"),
            RequestFields("{a}", {"b": 1}, "c", None),
        ),
        (make_request("GET", b"query={a}&operationName="), RequestFields("{a}", None, None, None)),
        (
            make_request(
                "POST", json.dumps({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}}).encode()
            ),
            RequestFields(None, None, None, HASH),
        ),
    ],
)
def test_fields(request_: ParsedRequest, fields: RequestFields) -> None:
    """The fields of body and query string are the same, and are parsed on first use only."""
    assert request_.fields == fields
    assert request_.fields is request_.fields
    assert request_.fields.persist_as is None


@few_examples
@drawn(
    name=st.sampled_from((b"content-type", b"accept", b"accept-encoding", b"content-encoding")),
    value=st.sampled_from(("application/json", "*/*", "br", "gzip", "identity", "", "x"))
    | st.text(st.characters(max_codepoint=255), max_size=20),
)
async def test_any_header(name: bytes, value: str) -> None:
    """Whatever a header says, the fast path parses a request like the endpoint or declines it."""
    headers = [JSON_TYPE, (name, value.encode("latin-1"))]
    buffered = parse_buffered("POST", b"", headers, BODY, body_limit=BODY_LIMIT)
    if buffered is not None:
        assert await read_in_pieces("POST", headers, BODY) == buffered
