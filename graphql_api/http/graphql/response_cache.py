"""Response cache: responses that depend on data and schema alone, ready to send, plain and compressed.

It belongs to one snapshot. A new snapshot empties it. It caches a response from the second request on: most new queries
come once, and a cached response costs more than the query.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from starlette.types import Receive, Scope, Send

from graphql_api import __version__
from graphql_api.domain.snapshot import Snapshot
from graphql_api.execution.document import OperationInfo
from graphql_api.http.compression import compress
from graphql_api.http.conditional import build_not_modified
from graphql_api.http.content_negotiation import IDENTITY
from graphql_api.http.graphql.cache_key import CacheKey
from graphql_api.http.graphql.request import ParsedRequest
from graphql_api.http.graphql.trusted_documents import TrustedDocuments
from graphql_api.http.middleware.security_headers import SECURITY_HEADERS
from graphql_api.http.raw_response import Header, encode_head, encode_headers
from graphql_api.metrics.definitions import CACHE_BYTES
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.utils.doorkeeper import Doorkeeper
from graphql_api.utils.lru import LRUCache
from graphql_api.utils.named_tuples import new_tuple

_MIN_COMPRESSIBLE_BYTES = 1000
"""Shorter bodies are sent plain."""
_ENTRY_OVERHEAD_BYTES = 500
"""Bytes of an entry besides its texts, measured: two tuples, the headers of five objects, its place in the cache."""
_REMEMBERED_REQUESTS = 32_768
"""Requests that may have come once. They take 8 bytes each."""

_VARY = "Accept, Accept-Encoding"
"""The CORS middleware adds Origin."""

_ANONYMOUS_QUERY = OperationInfo("query", None)
"""The operation of a 304, for which the query is not parsed."""

_Entry: TypeAlias = tuple[bytes, bytes, str | None]
"""Head and body of a response, and the name of its operation.

Plain tuples of bytes and texts are what the garbage collector does not visit: it looked at ten objects per entry for
75 ms each time.
"""


class CachedResponse(NamedTuple):
    """A response without the headers that differ from one request to the next."""

    status: int
    own_head: bytes
    """Status line, and the headers that this response has of its own."""
    common_head: bytes
    """The headers of every response of the cache, with those that the middleware would add."""
    body: bytes
    operation: OperationInfo

    @property
    def head(self) -> bytes:
        """Status line and headers for HTTP/1.1."""
        return self.own_head + self.common_head

    @property
    def headers(self) -> list[Header]:
        """Headers for ASGI; the middleware adds others."""
        lines = self.own_head.split(b"\r\n")[1:-1]
        names_and_values = (line.partition(b": ") for line in lines)
        return [*((name, value) for name, _, value in names_and_values), (b"vary", _VARY.encode())]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response as an ASGI application."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


class ResponseCache:
    """Holds responses of one snapshot and decides when a client's own copy is still good."""

    def __init__(
        self,
        *,
        response_cache_bytes: int,
        cache_max_age: int,
        metrics: MetricsRecorder,
        trusted_documents: TrustedDocuments,
    ) -> None:
        """Hold at most `response_cache_bytes`.

        Other caches may use a response for `cache_max_age` seconds before they revalidate it. ETags depend on the
        trusted documents, because an id may stand for another one after a deployment.
        """
        self._trusted_documents = trusted_documents
        self._metrics = metrics
        self._cache_control = f"public, max-age={cache_max_age}, must-revalidate"
        self._common_head = encode_headers([(b"vary", f"{_VARY}, Origin".encode()), *SECURITY_HEADERS])
        self._snapshot: Snapshot | None = None
        self._data_fingerprint = b""
        self._doorkeeper = Doorkeeper(_REMEMBERED_REQUESTS)
        self._entries: LRUCache[tuple[str, bytes, str, str], _Entry] = LRUCache(
            response_cache_bytes, size_of=_measure_entry
        )

    def find(self, request: ParsedRequest, snapshot: Snapshot) -> CachedResponse | None:
        """Return the cached response over a snapshot, or a 304 if the client holds it, cached or not."""
        if snapshot is not self._snapshot:
            self._reset(snapshot)
        entry = self._entries.get(request.key)
        if entry is None and request.key.encoding != IDENTITY:
            entry = self._compress_entry(request.key)
        cached = entry and self._build_response(*entry)
        if request.if_none_match and (not_modified := self._find_not_modified(request, exists=cached is not None)):
            self._metrics.record_cache_lookup("not_modified")
            return not_modified
        if cached is not None:
            self._metrics.record_cache_lookup("hit")
        return cached

    def add(self, request: ParsedRequest, body: bytes, snapshot: Snapshot, operation: OperationInfo) -> CachedResponse:
        """Return the response of an uncompressed body over a snapshot. Cache it if it is not the first of its request.

        `body` must have no spare memory, as `copy_exactly` describes it.
        """
        if snapshot is not self._snapshot:
            self._reset(snapshot)
        self._metrics.record_cache_lookup("miss")
        entry = self._build_entry(request.key, body, operation.name)
        if self._doorkeeper.admits(request.key.text):
            if request.key.encoding != IDENTITY:
                plain_key = request.key._replace(encoding=IDENTITY)
                self._put(plain_key, self._build_entry(plain_key, body, operation.name))
            self._put(request.key, entry)
        if request.if_none_match and (not_modified := self._find_not_modified(request, exists=True)):
            return not_modified
        return new_tuple(CachedResponse, (200, entry[0], self._common_head, entry[1], operation))

    def clear(self) -> None:
        """Drop every response, because the trusted documents have changed."""
        self._snapshot = None

    def _reset(self, snapshot: Snapshot) -> None:
        self._entries.clear()
        self._metrics.set(CACHE_BYTES, 0)
        self._snapshot = snapshot
        # A database that was restored or replaced may reach the same version with other rows.
        self._data_fingerprint = f"{__version__} {snapshot.digest}{self._trusted_documents.fingerprint}".encode()

    def _compress_entry(self, key: CacheKey) -> _Entry | None:
        """Cache and return the compressed form of a response that is held plain."""
        plain = self._entries.get(key._replace(encoding=IDENTITY))
        if plain is None:
            return None
        _, body, operation_name = plain
        entry = self._build_entry(key, body, operation_name)
        self._put(key, entry)
        return entry

    def _build_entry(self, key: CacheKey, plain_body: bytes, operation_name: str | None) -> _Entry:
        method, _, media_type, encoding = key
        is_compressed = encoding != IDENTITY and len(plain_body) >= _MIN_COMPRESSIBLE_BYTES
        body = compress(plain_body, encoding) if is_compressed else plain_body
        own_head = b"%bcontent-length: %d\r\n" % (
            _encode_content_head(media_type, encoding if is_compressed else IDENTITY),
            len(body),
        )
        if method == "GET":
            own_head += encode_headers(_encode(self._build_cache_headers(key)))
        return own_head, body, operation_name

    def _put(self, key: CacheKey, entry: _Entry) -> None:
        self._entries.put((sys.intern(key.method), *key[1:]), entry)
        self._metrics.set(CACHE_BYTES, self._entries.size)

    def _find_not_modified(self, request: ParsedRequest, *, exists: bool) -> CachedResponse | None:
        if request.key.method != "GET":
            return None
        headers = self._build_cache_headers(request.key)
        not_modified = build_not_modified(request.if_none_match, headers, exists=exists)
        if not_modified is None:
            return None
        status = not_modified.status_code
        return CachedResponse(status, encode_head(status, _encode(headers)), self._common_head, b"", _ANONYMOUS_QUERY)

    def _build_cache_headers(self, key: CacheKey) -> dict[str, str]:
        return {"ETag": key.compute_etag(self._data_fingerprint), "Cache-Control": self._cache_control}

    def _build_response(self, own_head: bytes, body: bytes, operation_name: str | None) -> CachedResponse:
        return CachedResponse(200, own_head, self._common_head, body, OperationInfo("query", operation_name))


def _measure_entry(key: tuple[str, bytes, str, str], entry: _Entry) -> int:
    own_head, body, operation_name = entry
    return len(key[1]) + len(own_head) + len(body) + len(operation_name or "") + _ENTRY_OVERHEAD_BYTES


@lru_cache(maxsize=16)
def _encode_content_head(media_type: str, encoding: str) -> bytes:
    """Return the status line, and the headers of what the body is."""
    headers = [(b"content-type", f"{media_type}; charset=utf-8".encode())]
    if encoding != IDENTITY:
        headers.append((b"content-encoding", encoding.encode()))
    return encode_head(200, headers)


def _encode(headers: Mapping[str, str]) -> list[Header]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
