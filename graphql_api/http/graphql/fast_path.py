"""Fast path: responds to cached and cheap queries from the HTTP protocol, without ASGI.

A request that it cannot respond to takes the way through middleware and endpoint.
"""

import time

from graphql_api.http.graphql.endpoint import GraphQLEndpoint
from graphql_api.http.graphql.request import GRAPHQL_PATHS, ParsedRequest, RawHeaders, parse_buffered
from graphql_api.http.graphql.response_cache import CachedResponse

FAST_PATH_KEY = "fast_path"
"""Key of the lifespan state under which the HTTP protocol finds the `FastPath`."""

_PATHS = frozenset(path.encode() for path in GRAPHQL_PATHS)


class FastPath:
    """Responds to requests that need no waiting."""

    def __init__(self, endpoint: GraphQLEndpoint) -> None:
        self._endpoint = endpoint
        self._catalog = endpoint.anonymous_context.catalog
        self._metrics = endpoint.request_log.metrics

    def parse(self, method: bytes, url: bytes, headers: RawHeaders, body: bytes) -> ParsedRequest | None:
        """Parse a request that has arrived in full, or return None if the fast path declines it."""
        path, _, query_string = url.partition(b"?")
        if path not in _PATHS or b"#" in query_string or not query_string.isascii():
            return None  # uvicorn cuts off a fragment, and rejects what is not ASCII
        return parse_buffered(method.decode(), query_string, headers, body, body_limit=self._endpoint.body_limit)

    def respond(self, request: ParsedRequest, *, may_execute: bool) -> CachedResponse | None:
        """Return the cached response, or execute a cheap query if allowed.

        Return None if the application has to execute the request, or to add CORS headers.
        """
        started_at = time.perf_counter()
        if request.has_origin or not self._catalog.is_loaded:
            return None
        response = self._endpoint.find_cached(request)
        if response is None and may_execute:
            response = self._endpoint.execute_sync(request)
        if response is not None:
            self._metrics.record_request("query", response.status, time.perf_counter() - started_at)
        return response
