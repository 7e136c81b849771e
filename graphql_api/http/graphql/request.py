"""Requests to /graphql, parsed once: by the fast path if it can, else by the endpoint."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from starlette.datastructures import QueryParams
from starlette.requests import Request

from graphql_api.http.content_negotiation import (
    EVENT_STREAM,
    GRAPHQL_RESPONSE,
    JSON,
    MAX_HEADER_LENGTH,
    find_content_type_problem,
    negotiate_encoding,
    negotiate_media_type,
)
from graphql_api.http.errors import HTTPRejection
from graphql_api.http.graphql.cache_key import CacheKey
from graphql_api.http.graphql.persisted_queries import read_hash
from graphql_api.utils.lazy import lazy_property
from graphql_api.utils.named_tuples import new_tuple

GRAPHQL_PATHS = ("/graphql", "/graphql/")
"""Both are served alike: proxies and clients add the slash, and many do not repeat a POST that is redirected."""
RESPONSE_TYPES = (JSON, GRAPHQL_RESPONSE)
COST_HEADER = "GraphQL-Cost"
"""With the value `report`, the client asks for the cost of its operations, as of Hot Chocolate's servers."""
DOCUMENT_ID_PARAMETERS = ("documentId", "doc_id", "id")
"""Parameters that name a trusted document: that of GraphQL over HTTP, and those of Relay's network layers."""
PARSED_REQUEST_KEY = "graphql_request"
"""Key of `scope["state"]` under which the fast path hands on the request that it has parsed."""

RawHeaders = Sequence[tuple[bytes, bytes]]

_COST_HEADER = COST_HEADER.lower().encode()
_READ_HEADERS = {
    b"accept",
    b"accept-encoding",
    b"if-none-match",
    b"content-type",
    b"content-encoding",
    b"content-length",
}


class RequestFields(NamedTuple):
    """The validated fields of a request. It has a query, a hash, both, or the id of a trusted document."""

    query: str | None
    variables: Mapping[str, Any] | None
    operation_name: str | None
    query_hash: str | None
    """SHA-256 of the query, if the client uses persisted queries."""
    document_id: str | None = None
    """Id of a trusted document."""

    @property
    def persist_as(self) -> str | None:
        """Return the hash to register the query under, if the client sent both."""
        return None if self.query is None else self.query_hash


class _RequestValues(NamedTuple):
    key: CacheKey
    if_none_match: str = ""
    """The If-None-Match header; empty if there is none."""
    has_origin: bool = False
    """True if the response depends on the Origin header."""
    asks_for_cost: bool = False
    """True if the client wants the cost of its operations, which cached responses do not have."""


class ParsedRequest(_RequestValues):
    """A GET or POST that is well-formed as far as HTTP is concerned.

    It is a tuple because every cached response makes one: a frozen dataclass takes twice the time.
    """

    def with_body(self, body: bytes) -> "ParsedRequest":
        """Return the request with the same head and another body."""
        (method, text, media_type, encoding), if_none_match, has_origin, asks_for_cost = self
        key = new_tuple(CacheKey, (method, body if method == "POST" else text, media_type, encoding))
        return new_tuple(ParsedRequest, (key, if_none_match, has_origin, asks_for_cost))

    @property
    def is_event_stream(self) -> bool:
        """Return whether the client prefers a stream of events."""
        return self.key.media_type == EVENT_STREAM

    @lazy_property
    def fields(self) -> RequestFields:
        """Validate the fields of a request that is no batch.

        Raises:
            HTTPRejection: the text is not JSON, or a field is missing or of the wrong type.
        """
        framed = _parse_framed(self.key.text) if self.key.method == "POST" else None
        return framed or parse_fields(self.payload)

    @lazy_property
    def payload(self) -> object:
        """Parse the text on first use; a cached response does not need it. A list is a batch of requests.

        Raises:
            HTTPRejection: the text is not JSON.
        """
        if self.key.method == "GET":
            return _parse_query_string(self.key.text)
        try:
            text = self.key.text.decode()
        except UnicodeDecodeError:
            raise HTTPRejection(400, "The body is not UTF-8.") from None
        return parse_json(text, "The body")


def parse_buffered(
    method: str, query_string: bytes, raw_headers: RawHeaders, body: bytes, *, body_limit: int
) -> ParsedRequest | None:
    """Parse a request that has arrived in full. Return None if `read_request` may reject it."""
    headers = _merge_headers(raw_headers)
    if method == "POST":
        problem = _find_content_type_problem(headers)
        if problem or b"content-encoding" in headers or len(body) > body_limit:
            return None
    elif method != "GET":
        return None
    return _build_request(method, body if method == "POST" else query_string, headers)


async def read_request(request: Request, *, body_limit: int) -> ParsedRequest:
    """Read a request and its body of at most `body_limit` bytes.

    Raises:
        HTTPRejection: method, headers or size of the body are not accepted.
        ClientDisconnect: the client disconnected, or timed out, before the end of the body.
    """
    if request.method not in ("GET", "POST"):
        raise HTTPRejection(405, "Send GET or POST.", {"Allow": "GET, POST"})
    headers = _merge_headers(request.scope["headers"])
    if request.method == "GET":
        text: bytes = request.scope["query_string"]
    elif problem := _find_content_type_problem(headers):
        raise HTTPRejection(415, problem)
    else:
        text = await _read_body(request, headers, body_limit)
    parsed = _build_request(request.method, text, headers)
    if parsed is None:
        raise HTTPRejection(406, f"Accept {JSON}.")
    return parsed


def parse_fields(parameters: object) -> RequestFields:
    """Validate the fields of a request, of whichever transport.

    Raises:
        HTTPRejection: a field is missing or of the wrong type.
    """
    if not isinstance(parameters, dict):
        raise HTTPRejection(400, 'A request must be an object: {"query": …, "variables": {…}}.')
    query, variables = parameters.get("query"), parameters.get("variables")
    operation_name, extensions = parameters.get("operationName"), parameters.get("extensions")
    if extensions is not None and not isinstance(extensions, dict):
        raise HTTPRejection(400, "extensions must be an object or null.")
    query_hash = read_hash(extensions, query)
    document_id = _read_document_id(parameters) if query is None else None
    is_by_id = query is None and (query_hash or document_id) is not None
    if not is_by_id and (not isinstance(query, str) or not query.strip()):
        raise HTTPRejection(400, "query must be the text of a GraphQL document.")
    if variables is not None and not isinstance(variables, dict):
        raise HTTPRejection(400, "variables must be an object or null.")
    if operation_name is not None and not isinstance(operation_name, str):
        raise HTTPRejection(400, "operationName must be a text or null.")
    return RequestFields(query, variables, operation_name or None, query_hash, document_id)


def _parse_framed(body: bytes) -> RequestFields | None:
    """Parse the variables of a body alone, if the text around them is known. None: parse the body as a whole.

    Most of a body is the document, and clients repeat the document byte by byte.
    """
    try:
        text = body.decode()
        start = text.index(_VARIABLES_KEY) + len(_VARIABLES_KEY)
        start += text.startswith(" ", start)
        variables, end = _JSON_DECODER.raw_decode(text, start)
    except (ValueError, RecursionError, HTTPRejection):
        return None
    if not isinstance(variables, dict) or start + len(text) - end > _MAX_FRAME_LENGTH:
        return None
    frame = _parse_frame(text[:start], text[end:])
    if frame is None:
        return None
    query, _, operation_name, query_hash, document_id = frame
    return new_tuple(RequestFields, (query, variables, operation_name, query_hash, document_id))


@lru_cache(maxsize=256)
def _parse_frame(before: str, after: str) -> RequestFields | None:
    """Return the fields of a body by the text before and after its variables; None if the gap is not `variables`."""
    try:
        fields = parse_fields(parse_json(f'{before}{{"{_VARIABLES_MARK}": 0}}{after}', "The body"))
    except HTTPRejection:
        return None
    return fields if fields.variables == {_VARIABLES_MARK: 0} else None


def _read_document_id(parameters: Mapping[str, Any]) -> str | None:
    """Return the first id of a document among the parameters, or None without one.

    Raises:
        HTTPRejection: It is not a text.
    """
    name = next((name for name in DOCUMENT_ID_PARAMETERS if parameters.get(name) is not None), None)
    if name is None:
        return None
    document_id = parameters[name]
    if not isinstance(document_id, str) or not document_id:
        raise HTTPRejection(400, f"{name} must be the id of a trusted document, a text.")
    return document_id


def parse_json(text: str, subject: str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse strict JSON: no NaN, no duplicate keys.

    Raises:
        HTTPRejection: the text is not JSON. The message names `subject`.
    """
    try:
        stripped = text.strip(_JSON_WHITE_SPACE)
        value, end = _JSON_DECODER.raw_decode(stripped)  # `decode` takes half as long again for the white space
    except (ValueError, RecursionError):
        raise HTTPRejection(400, f"{subject} is not JSON.") from None
    if end < len(stripped):
        raise HTTPRejection(400, f"{subject} is not JSON.")
    return value


def _build_request(method: str, text: bytes, headers: Mapping[bytes, bytes]) -> ParsedRequest | None:
    """Return the request, or None if it accepts no media type that the endpoint offers."""
    accept, accept_encoding = headers.get(b"accept", b""), headers.get(b"accept-encoding", b"")
    media_type, encoding = _negotiate(accept[:MAX_HEADER_LENGTH], accept_encoding[:MAX_HEADER_LENGTH])
    if media_type is None:
        return None
    if_none_match = headers.get(b"if-none-match")
    return ParsedRequest(
        CacheKey(method, text, media_type, encoding),
        if_none_match.decode("latin-1").strip() if if_none_match else "",
        b"origin" in headers,
        asks_for_cost(headers.get(_COST_HEADER)),
    )


def asks_for_cost(value: object) -> bool:
    """Return whether the value of the header asks for costs."""
    return value in ("report", b"report")


def _merge_headers(raw_headers: RawHeaders) -> dict[bytes, bytes]:
    """Return the headers by name. Values of a repeated header are joined by commas, if it is one read here."""
    headers = dict(raw_headers)
    if len(headers) < len(raw_headers):
        for read_name in _READ_HEADERS & headers.keys():
            headers[read_name] = b",".join([value for name, value in raw_headers if name == read_name])
    return headers


def _find_content_type_problem(headers: Mapping[bytes, bytes]) -> str | None:
    content_type = headers.get(b"content-type", b"")[: MAX_HEADER_LENGTH + 1]
    return find_content_type_problem(content_type.decode("latin-1"))


@lru_cache(maxsize=256)
def _negotiate(accept: bytes, accept_encoding: bytes) -> tuple[str | None, str]:
    """Return media type and encoding of the response. The type is None if none is acceptable."""
    media_type = negotiate_media_type(accept.decode("latin-1"), (*RESPONSE_TYPES, EVENT_STREAM))
    return media_type, negotiate_encoding(accept_encoding.decode("latin-1"))


async def _read_body(request: Request, headers: Mapping[bytes, bytes], body_limit: int) -> bytes:
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        message = "Send the body without compression."
        raise HTTPRejection(415, message, {"Accept-Encoding": "identity"})
    too_large = HTTPRejection(413, f"Send at most {body_limit} bytes.")
    content_length = headers.get(b"content-length", b"0")
    # The server checks that it is a number. Python does not parse one of thousands of digits.
    if len(content_length) > len(str(body_limit)) or int(content_length) > body_limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > body_limit:
            raise too_large
    return bytes(body)


def _parse_query_string(query_string: bytes) -> Mapping[str, Any]:
    items = QueryParams(query_string).multi_items()
    if len(dict(items)) < len(items):
        raise HTTPRejection(400, "A parameter is given twice.")
    # A client that fills in a form or a template sends what it does not need as an empty parameter.
    parameters: dict[str, Any] = {name: value for name, value in items if value.strip()}
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = parse_json(parameters[name], name)
    return parameters


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Reject duplicate keys: a proxy may read the other one."""
    json_object = dict(pairs)
    if len(json_object) < len(pairs):
        raise HTTPRejection(400, "An object has the same key twice.")
    return json_object


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_VARIABLES_KEY = '"variables":'
"""Begins no text within a JSON string, where quotes follow a backslash."""
_VARIABLES_MARK = "the variables of the body"
_MAX_FRAME_LENGTH = 4_000
"""Characters around the variables of a body whose parts are remembered."""
_JSON_WHITE_SPACE = " \t\n\r"
_JSON_DECODER = json.JSONDecoder(parse_constant=_reject_constant, object_pairs_hook=_build_object)
