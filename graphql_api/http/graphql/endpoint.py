"""GraphQL over HTTP: from a request to what it asks, and from the answer to a response.

Follows https://graphql.github.io/graphql-over-http/draft/: POST with a JSON body for everything,
GET for queries.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from strawberry.schema.exceptions import InvalidOperationTypeError

from graphql_api.errors import InvalidInput, PersistedQueryNotFound, QueryTooComplex
from graphql_api.execution.document import OperationInfo
from graphql_api.execution.engine import Schema
from graphql_api.execution.execute import (
    QUERIES_AND_MUTATIONS,
    QUERIES_ONLY,
    GraphQLRequest,
    GraphQLResponse,
    build_error_response,
    execute,
    execute_sync_if_cheap,
)
from graphql_api.http.content_negotiation import (
    GRAPHQL_RESPONSE,
    HTML,
    JSON,
    get_content_type,
    negotiate_response_type,
)
from graphql_api.http.errors import HTTPRejection, log_rejection
from graphql_api.http.graphql.persisted_queries import PersistedQueries, read_hash
from graphql_api.http.graphql.request import read_body
from graphql_api.http.graphql.response_cache import CachedResponse, CacheKey, ResponseCache
from graphql_api.http.graphql.server_timing import build_server_timing
from graphql_api.http.middleware.request_id import get_request_id
from graphql_api.http.request_log import RequestLog
from graphql_api.http.site.playground import Playground
from graphql_api.schema.context import GraphQLContext

_SUBSCRIBE_OVER_WEBSOCKET = (
    "Subscriptions go over WebSocket: connect to this address with the subprotocol "
    "graphql-transport-ws."
)


class ParsedRequest(NamedTuple):
    """What a client has sent."""

    request: GraphQLRequest
    persist_as: str | None
    """The hash by which its document is to be kept, if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLEndpoint:
    """Answers /graphql."""

    schema: Schema
    create_context: Callable[[HTTPConnection, str], GraphQLContext]
    """Takes the credentials of an Authorization header besides, empty if there are none."""
    anonymous_context: GraphQLContext
    """What suffices for whoever asks for the data."""
    response_cache: ResponseCache
    persisted_queries: PersistedQueries
    playground: Playground | None
    """None where it is switched off."""
    body_limit: int
    """Bytes that a body may have."""
    request_log: RequestLog

    async def handle(
        self, request: Request, cache_key: CacheKey | None
    ) -> Response | CachedResponse:
        """Answer one request; whatever is wrong with it is told in GraphQL's shape.

        An answer of the data is kept as the one to what is `asked`, if that is known.
        """
        if self.playground is not None and _wants_playground(request):
            return self.playground.build_response()
        media_type = negotiate_response_type(request, (JSON, GRAPHQL_RESPONSE))
        try:
            parsed = await self._parse_http_request(request, cache_key, media_type)
            return await self._execute(request, parsed, cache_key, media_type or JSON)
        except HTTPRejection as rejection:
            log_rejection(get_request_id(request), rejection.status, str(rejection))
            result = build_error_response(InvalidInput(str(rejection)))
            self._record_operation(request, result, None)
            return _build_response(media_type or JSON, result, rejection.status, rejection.headers)
        except PersistedQueryNotFound as error:
            result = build_error_response(error)
            self._record_operation(request, result, None)
            return _build_response(media_type or JSON, result, _http_status(result, media_type))

    def execute_sync(self, cache_key: CacheKey) -> CachedResponse | None:
        """Answer a query of the data that is short work, and keep the answer.

        None leaves it to `handle`, and so does whatever is wrong with it.
        """
        if len(cache_key.payload) > self.body_limit:
            return None
        is_get = cache_key.method == "GET"
        try:
            fields = (
                _parse_query_params(QueryParams(cache_key.payload))
                if is_get
                else _parse_json_body(cache_key.payload)
            )
            parsed = self.parse_request(fields)
        except (HTTPRejection, PersistedQueryNotFound):
            return None
        if parsed.persist_as is not None:
            return None
        snapshot = self.anonymous_context.catalog.snapshot
        result = execute_sync_if_cheap(self.schema, parsed.request, context=self.anonymous_context)
        if result is None:
            return None
        self.request_log.metrics.record_cache_lookup("miss")
        return self.response_cache.add(
            cache_key, encode_json(result.body), snapshot, result.operation
        )

    async def _parse_http_request(
        self, request: Request, cache_key: CacheKey | None, media_type: str | None
    ) -> ParsedRequest:
        if request.method not in ("GET", "POST"):
            raise HTTPRejection(405, "Send GET or POST.", {"Allow": "GET, POST"})
        if media_type is None:
            raise HTTPRejection(406, f"Accept {JSON}.")
        if request.method == "GET":
            return self.parse_request(_parse_query_params(request.query_params))
        if get_content_type(request) != JSON:
            raise HTTPRejection(415, f"Send {JSON}.")
        body = cache_key.payload if cache_key else await read_body(request, self.body_limit)
        return self.parse_request(_parse_json_body(body))

    def parse_request(self, fields: object) -> ParsedRequest:
        """Read what a client asks from its JSON.

        Raises:
            Refused: a field is missing or of the wrong kind.
            PersistedQueryNotFound: it names a document that is not kept.
        """
        if not isinstance(fields, Mapping):
            raise HTTPRejection(400, 'The body must be an object: {"query": …, "variables": {…}}.')
        query, variables = fields.get("query"), fields.get("variables")
        operation_name, extensions = fields.get("operationName"), fields.get("extensions")
        if extensions is not None and not isinstance(extensions, Mapping):
            raise HTTPRejection(400, "extensions must be an object or null.")
        digest = read_hash(extensions, query)
        persist_as = digest if query is not None else None
        if query is None and digest is not None:
            query = self.persisted_queries.find(digest)
        if not isinstance(query, str) or not query.strip():
            raise HTTPRejection(400, "query must be the text of a GraphQL document.")
        if variables is not None and not isinstance(variables, Mapping):
            raise HTTPRejection(400, "variables must be an object or null.")
        if operation_name is not None and not isinstance(operation_name, str):
            raise HTTPRejection(400, "operationName must be a text or null.")
        return ParsedRequest(
            GraphQLRequest(query=query, variables=variables, operation_name=operation_name or None),
            persist_as,
        )

    def register_persisted_query(
        self, parsed: ParsedRequest, result: GraphQLResponse, request_id: str
    ) -> None:
        """Keep a document that is to be persisted, and log that one asks for too much."""
        if not result.executed:
            _log_complexity_rejection(result, request_id)
        elif parsed.persist_as is not None:
            self.persisted_queries.add(parsed.persist_as, parsed.request.query)

    async def _execute(
        self, request: Request, parsed: ParsedRequest, cache_key: CacheKey | None, media_type: str
    ) -> Response | CachedResponse:
        context = self.create_context(request, request.headers.get("Authorization", ""))
        snapshot = context.catalog.snapshot
        try:
            result = await execute(
                self.schema,
                parsed.request,
                context=context,
                allowed_operations=QUERIES_ONLY
                if request.method == "GET"
                else QUERIES_AND_MUTATIONS,
                request_id=get_request_id(request),
            )
        except InvalidOperationTypeError:
            if request.method == "GET":
                message = "GET is for queries; send everything else by POST."
                raise HTTPRejection(405, message, {"Allow": "POST"}) from None
            result = build_error_response(InvalidInput(_SUBSCRIBE_OVER_WEBSOCKET))
        self._record_operation(request, result, parsed.request.operation_name)
        self.register_persisted_query(parsed, result, get_request_id(request))
        if parsed.persist_as is not None:
            # An answer that is sent again would not persist the document again.
            cache_key = None
        if result.cacheable and cache_key is not None and context.catalog.snapshot is snapshot:
            self.request_log.metrics.record_cache_lookup("miss")
            return self.response_cache.add(
                cache_key, encode_json(result.body), snapshot, result.operation
            )
        # Of several refreshes in one request the last one is told.
        headers = build_server_timing(context.reports[-1].timings) if context.reports else None
        return _build_response(media_type, result, _http_status(result, media_type), headers)

    def _record_operation(
        self, request: Request, result: GraphQLResponse, operation_name: str | None
    ) -> None:
        """Note what is asked; a name that no operation has is at least told."""
        operation = result.operation
        if operation.kind is None:
            operation = OperationInfo(None, operation_name)
        self.request_log.record_operation(request.scope["state"], operation, result.error_codes)


def _log_complexity_rejection(result: GraphQLResponse, request_id: str) -> None:
    """Log that a query asks for too much; whatever else is wrong with it is the client's alone."""
    for error in result.body["errors"]:
        if error["extensions"]["code"] == QueryTooComplex.code:
            # The message has names and numbers of ours, and nothing that the client wrote.
            log_rejection(request_id, None, error["message"])


def _wants_playground(request: Request) -> bool:
    return (
        request.method == "GET"
        and "query" not in request.query_params
        and negotiate_response_type(request, (JSON, GRAPHQL_RESPONSE, HTML)) == HTML
    )


def _parse_query_params(query_params: QueryParams) -> Mapping[str, Any]:
    params = query_params.multi_items()
    fields: dict[str, Any] = dict(params)
    if len(fields) < len(params):
        raise HTTPRejection(400, "A parameter is given twice.")
    for name in ("variables", "extensions"):
        if name in fields:
            fields[name] = parse_json(fields[name], name)
    return fields


def _parse_json_body(body: bytes) -> object:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise HTTPRejection(400, "The body is not UTF-8.") from None
    return parse_json(text, "The body")


def parse_json(text: str, subject: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read JSON, strictly.

    Raises:
        Refused: it is none; the message says of `what`.
    """
    try:
        return _JSON_DECODER.decode(text)
    except (ValueError, RecursionError):
        raise HTTPRejection(400, f"{subject} is not JSON.") from None


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, each of whose keys means one thing, here and to whoever reads along."""
    json_object = dict(pairs)
    if len(json_object) < len(pairs):
        raise HTTPRejection(400, "An object has the same key twice.")
    return json_object


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_JSON_DECODER = json.JSONDecoder(parse_constant=_reject_constant, object_pairs_hook=_build_object)


def _http_status(result: GraphQLResponse, media_type: str | None) -> int:
    return 200 if result.executed or media_type != GRAPHQL_RESPONSE else 400


def _build_response(
    media_type: str,
    result: GraphQLResponse,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(
        encode_json(result.body),
        status,
        {"Vary": "Accept", "Cache-Control": "no-store", **(headers or {})},
        media_type=f"{media_type}; charset=utf-8",
    )


def encode_json(body: Mapping[str, Any]) -> bytes:
    """Write an answer as JSON."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # A lone surrogate, echoed in an error's message, has no UTF-8.
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="replace")
