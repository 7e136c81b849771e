"""Answers of the data that were given before, ready to be sent again: plain and compressed.

They hold for one snapshot: with the next one all of them are forgotten.
"""

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import brotli
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from graphql_api import __version__
from graphql_api.domain.snapshot import Snapshot
from graphql_api.http.negotiation import BROTLI, GZIP, IDENTITY
from graphql_api.http.security import HEADERS
from graphql_api.metrics.families import CACHE_BYTES
from graphql_api.metrics.meter import Meter
from graphql_api.schema.plans import OperationInfo

_WORTH_COMPRESSING = 1000
"""Bytes of the shortest body that is compressed."""
_OVERHEAD = 1000
"""Bytes that an answer takes besides its body and its request, roughly."""

_VARY = b"Accept, Accept-Encoding"

Headers = list[tuple[bytes, bytes]]

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    BROTLI: lambda body: brotli.compress(body, mode=brotli.MODE_TEXT, quality=5),
    # Without a time in it, so that every replica sends the same.
    GZIP: lambda body: gzip.compress(body, compresslevel=6, mtime=0),
}


_REPEATED = OperationInfo("query", None)
"""What is asked with the tag of an answer: its name is not kept."""


class Asked(NamedTuple):
    """A request, as far as an answer of the data depends on it."""

    method: str
    text: bytes
    """The query of the URL, or the body."""
    media_type: str
    coding: str


class Answer(NamedTuple):
    """What is sent, but for what differs from one request to the next."""

    status: int
    headers: Headers
    body: bytes
    head: bytes
    """The status and the headers as HTTP/1.1 writes them, with those that others add."""
    operation: OperationInfo


class Answers:
    """Keeps answers, and says what caches elsewhere may do with them."""

    def __init__(
        self, *, limit: int, max_age: int, meter: Meter, cross_origin: bool = False
    ) -> None:
        """Keep `limit` bytes; caches may use an answer `max_age` seconds without asking.

        `cross_origin` when requests from pages elsewhere are answered with other headers.
        """
        self._meter = meter
        self._limit = limit
        self._cache_control = f"public, max-age={max_age}, must-revalidate".encode()
        self._vary = b"Accept, Accept-Encoding, Origin" if cross_origin else _VARY
        self._snapshot: Snapshot | None = None
        self._state = b""
        self._kept: OrderedDict[Asked, Answer] = OrderedDict()
        self._size = 0

    def find(self, asked: Asked, snapshot: Snapshot) -> Answer | None:
        """Return the answer to a request over a snapshot, if it is kept."""
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        answer = self._kept.get(asked)
        if answer is not None:
            self._kept.move_to_end(asked)
            return answer
        plain = self._kept.get(asked._replace(coding=IDENTITY))
        return self._keep(asked, plain.body, plain.operation) if plain is not None else None

    def add(
        self, asked: Asked, body: bytes, snapshot: Snapshot, operation: OperationInfo
    ) -> Answer:
        """Return the answer to a request, whose body over a snapshot is this, and keep it."""
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        if asked.coding != IDENTITY:
            self._keep(asked._replace(coding=IDENTITY), body, operation)
        return self._keep(asked, body, operation)

    def tag(self, asked: Asked, snapshot: Snapshot) -> bytes:
        """Return the ETag of the answer to a request over a snapshot.

        It is the same on every replica, and another one for any other body.
        """
        if snapshot is not self._snapshot:
            self._begin(snapshot)
        written = f"{asked.method}\n{asked.media_type}\n{asked.coding}".encode()
        digest = hashlib.blake2b(b"\n".join((self._state, written, asked.text)), digest_size=16)
        return f'"{digest.hexdigest()}"'.encode()

    def not_modified(self, tag: bytes) -> Answer:
        """Return the answer to whoever has that of this tag already."""
        return self._with_head(304, self._caching(tag), b"", _REPEATED)

    def _caching(self, tag: bytes) -> Headers:
        return [
            (b"etag", tag),
            (b"cache-control", self._cache_control),
            (b"vary", _VARY),
        ]

    def _begin(self, snapshot: Snapshot) -> None:
        self._kept.clear()
        self._size = 0
        self._meter.set(CACHE_BYTES, 0)
        self._snapshot = snapshot
        # The time tells apart what begins anew at revision 1, in a database that was emptied.
        self._state = f"{__version__} {snapshot.version} {snapshot.last_refreshed_at}".encode()

    def _keep(self, asked: Asked, plain: bytes, operation: OperationInfo) -> Answer:
        answer = self._make(asked, plain, operation)
        size = _size(asked, answer)
        if size <= self._limit and asked not in self._kept:
            self._kept[asked] = answer
            self._size += size
            while self._size > self._limit:
                self._size -= _size(*self._kept.popitem(last=False))
            self._meter.set(CACHE_BYTES, self._size)
        return answer

    def _make(self, asked: Asked, plain: bytes, operation: OperationInfo) -> Answer:
        body = plain
        headers: Headers = [(b"content-type", f"{asked.media_type}; charset=utf-8".encode())]
        if asked.coding != IDENTITY and len(plain) >= _WORTH_COMPRESSING:
            body = _COMPRESS[asked.coding](plain)
            headers.append((b"content-encoding", asked.coding.encode()))
        headers.append((b"content-length", str(len(body)).encode()))
        if asked.method == "GET" and self._snapshot is not None:
            headers += self._caching(self.tag(asked, self._snapshot))
        else:
            headers.append((b"vary", _VARY))
        return self._with_head(200, headers, body, operation)

    def _with_head(
        self, status: int, headers: Headers, body: bytes, operation: OperationInfo
    ) -> Answer:
        written = {**dict(headers), b"vary": self._vary, **dict(HEADERS)}
        lines = (b"%b: %b\r\n" % header for header in written.items())
        return Answer(status, headers, body, STATUS_LINE[status] + b"".join(lines), operation)


def _size(asked: Asked, answer: Answer) -> int:
    return len(asked.text) + len(answer.body) + _OVERHEAD
