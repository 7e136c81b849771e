"""A request is parsed once, and the fast path and the endpoint parse it alike."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from graphql_api.http.content_negotiation import GRAPHQL_RESPONSE, JSON
from graphql_api.http.errors import HTTPRejection
from graphql_api.http.graphql.cache_key import CacheKey
from graphql_api.http.graphql.request import (
    ParsedRequest,
    RawHeaders,
    RequestFields,
    _merge_headers,
    _parse_frame,
    parse_buffered,
    parse_fields,
    read_request,
)
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
        (b'application/json; a="b,c"', True),
        (b"application/json; a=b", True),
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
        with pytest.raises(HTTPRejection, match=r"^Send application/json\.$") as exc_info:
            await read_in_pieces("POST", headers, BODY)
        assert exc_info.value.status == 415


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("PUT", [JSON_TYPE], BODY),
        ("HEAD", [], b""),
        ("POST", [JSON_TYPE, JSON_TYPE], BODY),
        ("POST", [(b"content-type", b"application/json; a=b"), JSON_TYPE], BODY),
        ("POST", [(b"content-type", b"application/json; charset=utf-16")], BODY),
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
PERSISTED = json.dumps({"version": 1, "sha256Hash": HASH})


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
        (make_request("GET", b"query={a}&variables=&extensions=+%0A"), RequestFields("{a}", None, None, None)),
        (
            make_request("GET", b"query=&variables=&extensions=" + quote(f'{{"persistedQuery":{PERSISTED}}}').encode()),
            RequestFields(None, None, None, HASH),
        ),
        (
            make_request("POST", f'{{"extensions":{{"persistedQuery":{PERSISTED}}}}}'.encode()),
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


@pytest.mark.parametrize(
    "query_string",
    [b"variables=", b"query=&variables={}", b"query={a}&variables=x", b"query={a}&variables=&variables={}", b"query="],
)
def test_malformed_parameters(query_string: bytes) -> None:
    """An empty parameter is absent, so a query is still required; one that is not JSON, or comes twice, is rejected."""
    with pytest.raises(HTTPRejection) as exc_info:
        make_request("GET", query_string).fields  # noqa: B018 - reading it parses
    assert exc_info.value.status == 400


def test_many_repeated_headers() -> None:
    """Repetitions are joined only of headers that are read here, so that thousands of others cost no copies."""
    headers = [(b"x", b"%d" % number) for number in range(10_000)]
    request = parse_buffered(
        "GET", b"query={a}", [*headers, (b"accept", b"a/b"), (b"accept", b"*/*")], b"", body_limit=1
    )
    assert request == ParsedRequest(CacheKey("GET", b"query={a}", JSON, "identity"))
    merged = _merge_headers([*headers, (b"accept", b"a"), (b"accept", b"b")])
    assert merged == {b"x": b"9999", b"accept": b"a,b"}


@pytest.mark.parametrize("name", [b"accept", b"accept-encoding", b"content-type"])
def test_remembered_headers(name: bytes) -> None:
    """Long headers, all different, are not remembered whole: 200 of 50 kB leave less than 1 MB."""
    tracemalloc.start()
    try:
        for number in range(200):
            value = b"application/json" + b" " * 50_000 + b"%d" % number
            parse_buffered(
                "POST",
                b"",
                [(name, value)] if name == JSON_TYPE[0] else [JSON_TYPE, (name, value)],
                BODY,
                body_limit=BODY_LIMIT,
            )
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 1_000_000


def json_texts() -> st.SearchStrategy[str]:
    """Draw requests in any order of their fields and any style of JSON, some of them damaged."""
    query = st.sampled_from(
        ["{ a }", 'query ($n: Int) { a(b: "\\"variables\\":{}") }', '{ a("variables": 1) }', "", "é\ud800"]
    )
    value = st.recursive(
        st.none() | st.integers() | st.sampled_from(["", '"variables": {', "{}", "\u2028"]),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["n", "variables", "é"]), inner),
        max_leaves=4,
    )
    pairs = st.tuples(st.sampled_from(["query", "variables", "operationName", "extensions", "id"]), value | query)
    variables = st.dictionaries(st.sampled_from(["n", "variables"]), value).map(lambda drawn: ("variables", drawn))
    required = st.tuples(query.map(lambda text: ("query", text)), variables).map(list)
    fields = st.tuples(required, st.lists(pairs, max_size=2)).map(lambda parts: parts[0] + parts[1])
    style = st.fixed_dictionaries(
        {"separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :  ")]), "ensure_ascii": st.booleans()}
    )
    texts = st.builds(write_object, fields.flatmap(st.permutations), style)
    damage = st.tuples(
        st.integers(0, 200), st.sampled_from(["", "}", "{", '"', ",", " ", '"variables":', '"variables":{}'])
    )
    return st.builds(lambda text, change: text[: change[0]] + change[1] + text[change[0] :], texts, damage) | texts


def write_object(pairs: list[tuple[str, object]], style: dict[str, Any]) -> str:
    """Write an object, which may have a key twice."""
    comma, colon = style["separators"]
    return f"{{{comma.join(f'{json.dumps(key)}{colon}{json.dumps(value, **style)}' for key, value in pairs)}}}"


def outcome(parse: Callable[[], object]) -> object:
    """Return the result, or the status and the message of the rejection."""
    try:
        return parse()
    except HTTPRejection as rejection:
        return rejection.status, f"{rejection}"


@pytest.mark.parametrize("is_known", [False, True])
@few_examples
@drawn(text=json_texts())
def test_variables_alone(text: str, is_known: bool) -> None:
    """A body whose variables are parsed alone has the fields, or the fault, of the body as a whole."""
    _parse_frame.cache_clear()
    body = text.encode(errors="surrogatepass")
    request = ParsedRequest(CacheKey("POST", body, JSON, "identity"))
    expected = outcome(lambda: parse_fields(request.payload))
    for _ in range(1 + is_known):
        assert outcome(lambda: ParsedRequest(request.key).fields) == expected


def test_known_frame() -> None:
    """The text around the variables is parsed once, and only a short one is remembered."""
    _parse_frame.cache_clear()
    for number, length in ((1, 10), (2, 10), (3, 5_000)):
        query = "#" * length
        for body in (
            json.dumps({"query": query, "variables": {"n": number}}),
            json.dumps({"operationName": "A", "variables": {"n": number}, "query": query}, separators=(",", ":")),
        ):
            fields = ParsedRequest(CacheKey("POST", body.encode(), JSON, "identity")).fields
            assert (fields.query, fields.variables) == (query, {"n": number})
    assert _parse_frame.cache_info()[:2] == (2, 2)
