"""Fast path: responds to cached and cheap queries from the HTTP protocol, without ASGI.

A request that it cannot respond to takes the way through middleware and endpoint.
"""

import time

from graphql_api.errors import RateLimited
from graphql_api.execution.document import NO_OPERATION
from graphql_api.execution.rejections import build_error_response
from graphql_api.http.graphql.endpoint import GraphQLEndpoint, encode_json
from graphql_api.http.graphql.request import GRAPHQL_PATHS, ParsedRequest, RawHeaders, parse_buffered
from graphql_api.http.graphql.response_cache import CachedResponse
from graphql_api.http.middleware.security_headers import SECURITY_HEADERS
from graphql_api.http.rate_limiter import TokenBucket
from graphql_api.http.raw_response import encode_head, encode_headers
from graphql_api.metrics.definitions import NO_KIND

FAST_PATH_KEY = "fast_path"
"""Key of the lifespan state under which the HTTP protocol finds the `FastPath`."""

_TOO_MANY_REQUESTS = 429
_COMMON_HEAD = encode_headers(SECURITY_HEADERS)
_PATHS = frozenset(path.encode() for path in GRAPHQL_PATHS)


class FastPath:
    """Responds to requests that need no waiting."""

    def __init__(self, endpoint: GraphQLEndpoint) -> None:
        self._endpoint = endpoint
        self._catalog = endpoint.anonymous_context.catalog
        self._response_cache = endpoint.response_cache
        self._metrics = endpoint.request_log.metrics

    def parse(self, method: bytes, url: bytes, headers: RawHeaders, body: bytes) -> ParsedRequest | None:
        """Parse a request that has arrived in full, or return None if the fast path declines it."""
        path, _, query_string = url.partition(b"?")
        if path not in _PATHS or b"#" in query_string or not query_string.isascii():
            return None  # uvicorn cuts off a fragment, and rejects what is not ASCII
        return parse_buffered(method.decode(), query_string, headers, body, body_limit=self._endpoint.body_limit)

    @property
    def has_rate_limit(self) -> bool:
        """Return whether clients have buckets."""
        return self._endpoint.rate_limiter is not None

    def find_bucket(self, client: str | None) -> TokenBucket | None:
        """Return what the client of this address may still spend. None if there is no rate limit."""
        return self._endpoint.find_bucket(client)

    def respond(
        self, request: ParsedRequest, *, may_execute: bool, bucket: TokenBucket | None = None
    ) -> CachedResponse | None:
        """Return the cached response, execute a cheap query if allowed, or refuse a client without quota.

        Return None if the application has to execute the request, to add CORS headers, or to stream the response.
        """
        started_at = time.perf_counter()
        has_own_way = request.has_origin or request.asks_for_cost or request.is_event_stream
        if has_own_way or not self._catalog.is_loaded:
            return None
        if bucket is not None:
            try:
                bucket.check(1)
            except RateLimited as error:
                return self._refuse(error, request.key.media_type, started_at)
        response = self._response_cache.find(request, self._catalog.snapshot)
        if response is None and may_execute:
            response = self._endpoint.execute_sync(request, bucket)
        if response is not None:
            if bucket is not None:
                bucket.spend(1)
            self._metrics.record_request("query", response.status, time.perf_counter() - started_at)
        return response

    def _refuse(self, error: RateLimited, media_type: str, started_at: float) -> CachedResponse:
        """Return the response to a client without quota, which would take the application ten times as long."""
        body = encode_json(build_error_response(error).body)
        headers = [
            (b"vary", b"Accept, Origin"),
            (b"cache-control", b"no-store"),
            (b"retry-after", b"%d" % error.retry_after),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", f"{media_type}; charset=utf-8".encode()),
        ]
        self._metrics.record_error(error.code)
        self._metrics.record_request(NO_KIND, _TOO_MANY_REQUESTS, time.perf_counter() - started_at)
        head = encode_head(_TOO_MANY_REQUESTS, headers)
        return CachedResponse(_TOO_MANY_REQUESTS, head, _COMMON_HEAD, body, NO_OPERATION)
