"""Answers of the data that were given before, ready to be sent again: plain and compressed.

They hold for one snapshot: with the next one all of them are forgotten.
"""

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import brotli

from graphql_api import __version__
from graphql_api.domain.snapshot import Snapshot
from graphql_api.execution.document import OperationInfo
from graphql_api.http.content_negotiation import BROTLI, GZIP, IDENTITY
from graphql_api.http.middleware.security_headers import SECURITY_HEADERS
from graphql_api.http.raw_response import encode_head
from graphql_api.metrics.definitions import CACHE_BYTES
from graphql_api.metrics.recorder import MetricsRecorder

_MIN_COMPRESSIBLE_BYTES = 1000
"""Bytes of the shortest body that is compressed."""
_ENTRY_OVERHEAD_BYTES = 1000
"""Bytes that an answer takes besides its body and its request, roughly."""

_VARY = b"Accept, Accept-Encoding"

HeaderList = list[tuple[bytes, bytes]]

_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    BROTLI: lambda body: brotli.compress(body, mode=brotli.MODE_TEXT, quality=5),
    # Without a time in it, so that every replica sends the same.
    GZIP: lambda body: gzip.compress(body, compresslevel=6, mtime=0),
}


_ANONYMOUS_QUERY = OperationInfo("query", None)
"""What is asked with the tag of an answer: its name is not kept."""


class CacheKey(NamedTuple):
    """A request, as far as an answer of the data depends on it."""

    method: str
    payload: bytes
    """The query of the URL, or the body."""
    media_type: str
    encoding: str


class CachedResponse(NamedTuple):
    """What is sent, but for what differs from one request to the next."""

    status: int
    headers: HeaderList
    body: bytes
    head: bytes
    """The status and the headers as HTTP/1.1 writes them, with those that others add."""
    operation: OperationInfo


class ResponseCache:
    """Keeps answers, and says what caches elsewhere may do with them."""

    def __init__(
        self,
        *,
        response_cache_bytes: int,
        cache_max_age: int,
        metrics: MetricsRecorder,
        vary_on_origin: bool = False,
    ) -> None:
        """Keep `limit` bytes; caches may use an answer `max_age` seconds without asking.

        `cross_origin` when requests from pages elsewhere are answered with other headers.
        """
        self._metrics = metrics
        self._response_cache_bytes = response_cache_bytes
        self._cache_control = f"public, max-age={cache_max_age}, must-revalidate".encode()
        self._vary = b"Accept, Accept-Encoding, Origin" if vary_on_origin else _VARY
        self._snapshot: Snapshot | None = None
        self._snapshot_fingerprint = b""
        self._entries: OrderedDict[CacheKey, CachedResponse] = OrderedDict()
        self._total_bytes = 0

    def find(self, key: CacheKey, snapshot: Snapshot) -> CachedResponse | None:
        """Return the answer to a request over a snapshot, if it is kept."""
        if snapshot is not self._snapshot:
            self._reset(snapshot)
        cached = self._entries.get(key)
        if cached is not None:
            self._entries.move_to_end(key)
            return cached
        uncompressed = self._entries.get(key._replace(encoding=IDENTITY))
        return (
            self._store(key, uncompressed.body, uncompressed.operation)
            if uncompressed is not None
            else None
        )

    def add(
        self, key: CacheKey, body: bytes, snapshot: Snapshot, operation: OperationInfo
    ) -> CachedResponse:
        """Return the answer to a request, whose body over a snapshot is this, and keep it."""
        if snapshot is not self._snapshot:
            self._reset(snapshot)
        if key.encoding != IDENTITY:
            self._store(key._replace(encoding=IDENTITY), body, operation)
        return self._store(key, body, operation)

    def compute_etag(self, key: CacheKey, snapshot: Snapshot) -> bytes:
        """Return the ETag of the answer to a request over a snapshot.

        It is the same on every replica, and another one for any other body.
        """
        if snapshot is not self._snapshot:
            self._reset(snapshot)
        variant = f"{key.method}\n{key.media_type}\n{key.encoding}".encode()
        digest = hashlib.blake2b(
            b"\n".join((self._snapshot_fingerprint, variant, key.payload)), digest_size=16
        )
        return f'"{digest.hexdigest()}"'.encode()

    def build_not_modified(self, etag: bytes) -> CachedResponse:
        """Return the answer to whoever has that of this tag already."""
        return self._build_response(304, self._build_cache_headers(etag), b"", _ANONYMOUS_QUERY)

    def _build_cache_headers(self, etag: bytes) -> HeaderList:
        return [
            (b"etag", etag),
            (b"cache-control", self._cache_control),
            (b"vary", _VARY),
        ]

    def _reset(self, snapshot: Snapshot) -> None:
        self._entries.clear()
        self._total_bytes = 0
        self._metrics.set(CACHE_BYTES, 0)
        self._snapshot = snapshot
        # The time tells apart what begins anew at revision 1, in a database that was emptied.
        self._snapshot_fingerprint = (
            f"{__version__} {snapshot.version} {snapshot.last_refreshed_at}".encode()
        )

    def _store(
        self, key: CacheKey, uncompressed_body: bytes, operation: OperationInfo
    ) -> CachedResponse:
        response = self._build_ok_response(key, uncompressed_body, operation)
        entry_bytes = _measure_entry(key, response)
        if entry_bytes <= self._response_cache_bytes and key not in self._entries:
            self._entries[key] = response
            self._total_bytes += entry_bytes
            while self._total_bytes > self._response_cache_bytes:
                self._total_bytes -= _measure_entry(*self._entries.popitem(last=False))
            self._metrics.set(CACHE_BYTES, self._total_bytes)
        return response

    def _build_ok_response(
        self, key: CacheKey, uncompressed_body: bytes, operation: OperationInfo
    ) -> CachedResponse:
        body = uncompressed_body
        headers: HeaderList = [(b"content-type", f"{key.media_type}; charset=utf-8".encode())]
        if key.encoding != IDENTITY and len(uncompressed_body) >= _MIN_COMPRESSIBLE_BYTES:
            body = _COMPRESSORS[key.encoding](uncompressed_body)
            headers.append((b"content-encoding", key.encoding.encode()))
        headers.append((b"content-length", str(len(body)).encode()))
        if key.method == "GET" and self._snapshot is not None:
            headers += self._build_cache_headers(self.compute_etag(key, self._snapshot))
        else:
            headers.append((b"vary", _VARY))
        return self._build_response(200, headers, body, operation)

    def _build_response(
        self, status: int, headers: HeaderList, body: bytes, operation: OperationInfo
    ) -> CachedResponse:
        all_headers = {**dict(headers), b"vary": self._vary, **dict(SECURITY_HEADERS)}
        head = encode_head(status, all_headers.items())
        return CachedResponse(status, headers, body, head, operation)


def _measure_entry(key: CacheKey, response: CachedResponse) -> int:
    return len(key.payload) + len(response.body) + _ENTRY_OVERHEAD_BYTES
