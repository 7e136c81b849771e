"""GraphQL over HTTP: POST with a JSON body for every operation, GET for queries.

Follows https://graphql.github.io/graphql-over-http/draft/.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import InvalidOperationTypeError

from graphql_api.errors import (
    CountriesError,
    DocumentNotTrusted,
    InvalidInput,
    PersistedQueryNotFound,
    QueryTooComplex,
    RateLimited,
    Unauthenticated,
)
from graphql_api.execution.document import OperationInfo
from graphql_api.execution.engine import Schema
from graphql_api.execution.execute import QUERIES_AND_MUTATIONS, QUERIES_ONLY, execute, execute_sync_if_cheap
from graphql_api.execution.limits import Budget
from graphql_api.execution.messages import GraphQLRequest, GraphQLResponse
from graphql_api.execution.rejections import build_error_response
from graphql_api.http.auth import WRONG_TOKEN
from graphql_api.http.content_negotiation import GRAPHQL_RESPONSE, HTML, JSON, negotiate_response_type
from graphql_api.http.errors import HTTPRejection, build_get_rejection, get_client, log_rejection
from graphql_api.http.forwarded import group_address
from graphql_api.http.graphql.batch import BatchResponse, execute_batch
from graphql_api.http.graphql.persisted_queries import PERSISTED_QUERY_NOT_FOUND, PersistedQueries
from graphql_api.http.graphql.request import (
    COST_HEADER,
    DOCUMENT_ID_PARAMETERS,
    PARSED_REQUEST_KEY,
    RESPONSE_TYPES,
    ParsedRequest,
    RequestFields,
    parse_fields,
    read_request,
)
from graphql_api.http.graphql.response_cache import CachedResponse, ResponseCache
from graphql_api.http.graphql.server_timing import build_server_timing
from graphql_api.http.graphql.trusted_documents import TrustedDocuments
from graphql_api.http.middleware.request_id import get_request_id
from graphql_api.http.rate_limiter import RateLimiter, TokenBucket, add_rate_limit_headers
from graphql_api.http.request_log import RequestLog
from graphql_api.http.site.playground import Playground
from graphql_api.http.wrong_tokens import WrongTokens
from graphql_api.schema.context import GraphQLContext
from graphql_api.utils.exact_bytes import copy_exactly

REJECTIONS = (HTTPRejection, PersistedQueryNotFound, DocumentNotTrusted, RateLimited)
"""Errors of requests that are not executed."""
_DOCUMENT_PARAMETERS = ("query", *DOCUMENT_ID_PARAMETERS)
_SUBSCRIBE_BY_STREAM = (
    "Subscriptions go over WebSocket: connect to this address with the subprotocol graphql-transport-ws. "
    "Or send Accept: text/event-stream."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLEndpoint:
    """The ASGI application at /graphql, for HTTP."""

    schema: Schema
    create_context: Callable[[HTTPConnection, str, bool], GraphQLContext]
    """Builds the context of a connection, of its Authorization header, and of whether it asks for costs."""
    anonymous_context: GraphQLContext
    """The context of cacheable queries, which need neither credentials nor absolute URLs."""
    response_cache: ResponseCache
    persisted_queries: PersistedQueries
    trusted_documents: TrustedDocuments
    playground: Playground | None
    """None if the playground is disabled."""
    body_limit: int
    """Maximum bytes of a request's body."""
    batch_limit: int
    """Maximum requests of a batch. 1 turns batches off."""
    rate_limiter: RateLimiter | None
    """None if clients may spend what they want."""
    request_log: RequestLog
    wrong_tokens: WrongTokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request of any method."""
        bucket = self.find_bucket(get_client(scope))
        response = await self._handle(Request(scope, receive), bucket)
        await response(scope, receive, send if bucket is None else add_rate_limit_headers(send, bucket))

    def find_bucket(self, client: str | None) -> TokenBucket | None:
        """Return what the client of this address may still spend."""
        return None if self.rate_limiter is None else self.rate_limiter.get_bucket(client)

    async def read(self, request: Request) -> ParsedRequest:
        """Return the request that the fast path has parsed, or read it.

        Raises:
            HTTPRejection: method, headers or size of the body are not accepted.
        """
        parsed: ParsedRequest | None = request.scope["state"].get(PARSED_REQUEST_KEY)
        return parsed or await read_request(request, body_limit=self.body_limit)

    def execute_sync(self, request: ParsedRequest, bucket: TokenBucket | None) -> CachedResponse | None:
        """Execute a cheap, cacheable query and cache its response.

        Return None for every other request, including invalid ones.
        """
        try:
            fields = request.fields
            if fields.persist_as is not None:
                return None
            # By the wall clock, which needs no system call. If that runs out, `execute` counts processor time.
            budget = Budget(self.schema.query_limits, time.perf_counter, bucket)
            query = self.find_query(fields)
        except REJECTIONS:
            return None
        context = self.anonymous_context
        snapshot = context.catalog.snapshot
        response = execute_sync_if_cheap(self.schema, query, fields, budget, context)
        return response and self.response_cache.add(request, response.json, snapshot, response.operation)

    def build_graphql_request(self, fields: RequestFields, budget: Budget, client: str) -> GraphQLRequest:
        """Return what to execute, or raise as `find_query`."""
        return GraphQLRequest(self.find_query(fields), fields.variables, fields.operation_name, budget, client)

    def find_query(self, fields: RequestFields) -> str:
        """Return the document, also if the client sent only its hash or its id.

        Raises:
            PersistedQueryNotFound: no document with this hash or id is held.
            DocumentNotTrusted: only trusted documents are executed, and this is none of them.
        """
        query = fields.query
        if not query:
            key = fields.document_id or fields.query_hash or ""
            query = self.trusted_documents.find(key) or self.persisted_queries.get(key.removeprefix("sha256:"))
        self.trusted_documents.check(query)
        if query is None:
            raise PersistedQueryNotFound(PERSISTED_QUERY_NOT_FOUND)
        return query

    def register_persisted_query(
        self, fields: RequestFields, result: GraphQLResponse, request_id: str, client: str | None
    ) -> None:
        """Persist the document of an executed request, or log that it exceeded a limit."""
        if not result.executed:
            for error in result.body["errors"]:
                if error["extensions"]["code"] == QueryTooComplex.code:
                    # Unlike those of other invalid requests, this message quotes no client.
                    log_rejection(request_id, client, None, error["message"])
        elif fields.query is not None and fields.query_hash is not None:
            self.persisted_queries.put(fields.query_hash, fields.query)

    async def pause_wrong_token(
        self, context: GraphQLContext, error_codes: Sequence[str], request_id: str, client: str | None
    ) -> None:
        """Wait before a response that denies something because of a wrong token."""
        is_denied = Unauthenticated.code in error_codes or COST_HEADER in context.denied_acts
        if context.denial == WRONG_TOKEN and is_denied:
            await self.wrong_tokens.pause(request_id, client, ", ".join(sorted(context.denied_acts)))

    def reject(self, request: Request, error: CountriesError) -> Response:
        """Return the response to a request that is rejected before its execution."""
        status, headers = None, dict[str, str]()
        if isinstance(error, HTTPRejection):
            status, headers = error.status, dict(error.headers)
        if isinstance(error, HTTPRejection | DocumentNotTrusted):
            log_rejection(get_request_id(request), get_client(request.scope), status, str(error))
        result = build_error_response(error)
        state = request.scope["state"]
        self.request_log.record_operation(state, result.operation, result.error_codes)
        media_type = negotiate_response_type(request, RESPONSE_TYPES) or JSON
        return build_response(result, media_type, status, headers)

    async def _handle(self, request: Request, bucket: TokenBucket | None) -> Response | CachedResponse:
        may_be_page = request.method == "GET" and not any(map(request.query_params.get, _DOCUMENT_PARAMETERS))
        if self.playground and may_be_page and negotiate_response_type(request, (*RESPONSE_TYPES, HTML)) == HTML:
            return self.playground.build_response(request)
        try:
            if bucket is not None:
                bucket.charge(1)
            parsed = await self.read(request)
            snapshot = self.anonymous_context.catalog.snapshot
            cached = None if parsed.asks_for_cost else self.response_cache.find(parsed, snapshot)
            if cached is None:
                return await self._execute(request, parsed, self.schema.create_budget(bucket))
        except REJECTIONS as error:
            return self.reject(request, error)
        request.scope["state"]["operation"] = cached.operation
        return cached

    async def _execute(self, request: Request, parsed: ParsedRequest, budget: Budget) -> Response | CachedResponse:
        context = self.create_context(request, request.headers.get("Authorization", ""), parsed.asks_for_cost)
        snapshot, payload = context.catalog.snapshot, parsed.payload
        result: GraphQLResponse | BatchResponse
        if isinstance(payload, list):
            result = await execute_batch(
                payload, self.batch_limit, lambda item: self._execute_item(request, item, context, budget)
            )
        else:
            result = await self._execute_fields(request, parsed.fields, context, budget)
        self.request_log.record_operation(request.scope["state"], result.operation, result.error_codes)
        request.scope["state"]["cost"] = budget.cost
        request_id, client = get_request_id(request), get_client(request.scope)
        await self.pause_wrong_token(context, result.error_codes, request_id, client)
        if result.cacheable and context.catalog.snapshot is snapshot:
            body = copy_exactly(encode_json(result.body))
            return self.response_cache.add(parsed, body, snapshot, result.operation)
        # A request with several refreshes reports the last one.
        headers = build_server_timing(context.reports[-1].timings) if context.reports else None
        return build_response(result, parsed.key.media_type, headers=headers)

    async def _execute_item(
        self, request: Request, item: object, context: GraphQLContext, budget: Budget
    ) -> GraphQLResponse:
        """Execute one request of a batch. Its rejection is a response too."""
        try:
            budget.charge(1)
            return await self._execute_fields(request, parse_fields(item), context, budget)
        except REJECTIONS as error:
            if isinstance(error, HTTPRejection | DocumentNotTrusted):
                log_rejection(get_request_id(request), get_client(request.scope), None, str(error))
            return build_error_response(error)

    async def _execute_fields(
        self, request: Request, fields: RequestFields, context: GraphQLContext, budget: Budget
    ) -> GraphQLResponse:
        is_get, request_id, client = request.method == "GET", get_request_id(request), get_client(request.scope)
        try:
            result = await execute(
                self.schema,
                self.build_graphql_request(fields, budget, group_address(client or "")),
                context=context,
                allowed_operations=QUERIES_ONLY if is_get else QUERIES_AND_MUTATIONS,
                request_id=request_id,
            )
        except InvalidOperationTypeError:
            if is_get:
                raise build_get_rejection() from None
            result = build_error_response(InvalidInput(_SUBSCRIBE_BY_STREAM))
        self.register_persisted_query(fields, result, request_id, client)
        # Of a rejected request, record at least the name that the client sent.
        is_known = result.operation.kind is not None
        operation = result.operation if is_known else OperationInfo(None, fields.operation_name)
        # A cached response would not register the document.
        return result._replace(operation=operation, cacheable=result.cacheable and fields.persist_as is None)


def encode_json(body: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    """Return a response as JSON in UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        # An error message may quote a lone surrogate, which has no UTF-8.
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="replace")


def build_response(
    result: GraphQLResponse | BatchResponse,
    media_type: str,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response that is not cached. Its status follows from the result unless it has one."""
    all_headers = {"Vary": "Accept", "Cache-Control": "no-store", **(headers or {})}
    if (retry_after := result.retry_after) is not None:
        status, all_headers["Retry-After"] = 429, str(retry_after)
    if status is None:
        status = 200 if result.executed or media_type != GRAPHQL_RESPONSE else 400
    content_type = f"{media_type}; charset=utf-8"
    return Response(encode_json(result.body), status, all_headers, content_type)
