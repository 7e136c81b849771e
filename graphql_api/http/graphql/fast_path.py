"""Answering what was asked before, or is short work, in front of everything that costs.

For a request whose answer is kept, or held by the client already, nothing is parsed, validated or
executed; a short query of a known document is executed here; the rest goes on to the endpoint.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from http.client import NOT_MODIFIED
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.catalog import Catalog
from graphql_api.http.content_negotiation import (
    GRAPHQL_RESPONSE,
    JSON,
    negotiate_encoding,
    negotiate_media_type,
)
from graphql_api.http.graphql.endpoint import GraphQLEndpoint
from graphql_api.http.graphql.response_cache import CachedResponse, CacheKey, ResponseCache
from graphql_api.http.middleware.request_id import REQUEST_ID_HEADER
from graphql_api.metrics.recorder import MetricsRecorder

RawHeaders = Sequence[tuple[bytes, bytes]]


class FastPathHandler(Protocol):
    """What answers a request that needs no application."""

    def __call__(
        self, method: bytes, url: bytes, headers: RawHeaders, body: bytes, /, *, may_execute: bool
    ) -> tuple[bytes, bytes] | None:
        """Return the answer's head, without its end, and its body.

        None if it is for the application to answer, as is whatever takes work unless it `works`.
        """


FAST_PATH_KEY = "write"
"""Where the state of an application has it, if it has."""

GRAPHQL_PATH = "/graphql"
_GRAPHQL_PATH_BYTES = GRAPHQL_PATH.encode()
_METHODS = {b"GET": "GET", b"POST": "POST"}


class FastPath:
    """Finds the answers to requests that need no waiting."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        response_cache: ResponseCache,
        new_id: Callable[[], str],
        metrics: MetricsRecorder,
        execute_sync: Callable[[CacheKey], CachedResponse | None],
    ) -> None:
        """Answer from `answers`, over the catalog's snapshot, or at once what is short work."""
        self._execute_sync = execute_sync
        self._metrics = metrics
        self._catalog = catalog
        self._response_cache = response_cache
        self._new_id = new_id

    def find(self, cache_key: CacheKey, if_none_match: bytes | None) -> CachedResponse | None:
        """Return the answer to what is asked, of which the client knows what has these tags."""
        if not self._catalog.is_loaded:
            return None  # an answer over nothing would look true
        snapshot = self._catalog.snapshot
        response = None
        if if_none_match is not None and cache_key.method == "GET":
            etag = self._response_cache.compute_etag(cache_key, snapshot)
            if etag in (
                known_etag.strip().removeprefix(b"W/") for known_etag in if_none_match.split(b",")
            ):
                response = self._response_cache.build_not_modified(etag)
        response = response or self._response_cache.find(cache_key, snapshot)
        if response is not None:
            self._metrics.record_cache_lookup(
                "not_modified" if response.status == NOT_MODIFIED else "hit"
            )
        return response

    def handle(
        self, method: bytes, url: bytes, headers: RawHeaders, body: bytes, *, may_execute: bool
    ) -> tuple[bytes, bytes] | None:
        """Return head and body of the answer to a request that is here in full.

        What is new is executed if it `works` and that is short. None if it is for the application,
        or its answer depends on where it comes from. The head is as HTTP/1.1 writes it, without its
        end.
        """
        started_at = time.perf_counter()
        path, _, payload = url.partition(b"?")
        if path != _GRAPHQL_PATH_BYTES or method not in _METHODS:
            return None
        merged_headers = _merge_headers(headers)
        if method == b"POST":
            if not _is_json(merged_headers):
                return None
            payload = body
        if b"origin" in merged_headers:
            return None
        cache_key = _build_cache_key(_METHODS[method], payload, merged_headers)
        if cache_key is None or not self._catalog.is_loaded:
            return None
        response = self.find(cache_key, merged_headers.get(b"if-none-match"))
        if response is None and may_execute:
            response = self._execute_sync(cache_key)
        if response is None:
            return None
        self._metrics.record_request("query", response.status, time.perf_counter() - started_at)
        request_id_header = b"%b: %b\r\n" % (REQUEST_ID_HEADER, self._new_id().encode())
        return response.head + request_id_header, response.body


class ResponseCacheMiddleware:
    """Serves /graphql; every other path is the application's."""

    def __init__(self, app: ASGIApp, *, fast_path: FastPath, endpoint: GraphQLEndpoint) -> None:
        """Wrap `app`."""
        self._app = app
        self._fast_path = fast_path
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != GRAPHQL_PATH:
            await self._app(scope, receive, send)
            return
        headers = _merge_headers(scope["headers"])
        cache_key: CacheKey | None = None
        if scope["method"] == "GET":
            cache_key = _build_cache_key("GET", scope["query_string"], headers)
        elif scope["method"] == "POST" and self._may_buffer_body(headers):
            messages = await _receive_body(receive)
            receive = _replay_messages(messages, receive)
            if messages[-1]["type"] == "http.request":
                cache_key = _build_cache_key(
                    "POST", b"".join(message.get("body", b"") for message in messages), headers
                )
        response: CachedResponse | Response | None = None
        if cache_key is not None:
            response = self._fast_path.find(cache_key, headers.get(b"if-none-match"))
        response = response or await self._endpoint.handle(Request(scope, receive), cache_key)
        if isinstance(response, CachedResponse):
            scope["state"]["operation"] = response.operation
            await _send_response(send, response)
        else:
            await response(scope, receive, send)

    def _may_buffer_body(self, headers: dict[bytes, bytes]) -> bool:
        """Tell whether a body is JSON and may be waited for; the endpoint looks at any other."""
        length = headers.get(b"content-length", b"")
        return (
            _is_json(headers)
            and length.isdigit()
            and len(length) < 10  # noqa: PLR2004 - digits of any length that is allowed
            and int(length) <= self._endpoint.body_limit
        )


_JSON_CONTENT_TYPES = (b"application/json", b"application/json; charset=utf-8")
"""What clients send; the endpoint knows every other way to write it."""


def _is_json(headers: dict[bytes, bytes]) -> bool:
    return (
        headers.get(b"content-type") in _JSON_CONTENT_TYPES and b"content-encoding" not in headers
    )


def _merge_headers(headers: RawHeaders) -> dict[bytes, bytes]:
    """Return the headers by name; what is given several times is joined by commas."""
    merged = dict(headers)
    if len(merged) < len(headers):
        merged = {}
        for name, value in headers:
            merged[name] = merged[name] + b"," + value if name in merged else value
    return merged


def _build_cache_key(method: str, payload: bytes, headers: dict[bytes, bytes]) -> CacheKey | None:
    """Return what is asked; None if the answer would not be acceptable."""
    media_type, encoding = _negotiate(
        headers.get(b"accept", b""), headers.get(b"accept-encoding", b"")
    )
    return None if media_type is None else CacheKey(method, payload, media_type, encoding)


@lru_cache(maxsize=256)
def _negotiate(accept: bytes, accept_encoding: bytes) -> tuple[str | None, str]:
    media_type = negotiate_media_type(accept.decode("latin-1"), (JSON, GRAPHQL_RESPONSE))
    return media_type, negotiate_encoding(accept_encoding.decode("latin-1"))


async def _receive_body(receive: Receive) -> list[Message]:
    """Return the messages of a body, or what came of it before the client left."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _replay_messages(messages: list[Message], receive: Receive) -> Receive:
    """Return what receives these messages, and then the others."""
    buffered = iter(messages)

    async def receive_replayed() -> Message:
        return next(buffered, None) or await receive()

    return receive_replayed


async def _send_response(send: Send, response: CachedResponse) -> None:
    start = {"type": "http.response.start", "status": response.status, "headers": response.headers}
    await send(start)
    await send({"type": "http.response.body", "body": response.body})
