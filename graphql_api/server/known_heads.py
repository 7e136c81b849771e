"""Known heads: heads of requests that need no parser, because clients repeat them byte by byte."""

from collections.abc import Sequence
from typing import NamedTuple

from graphql_api.http.graphql.request import ParsedRequest
from graphql_api.http.raw_response import Header
from graphql_api.utils.lru import LRUCache

_MAX_HEADS = 256
_MAX_BYTES = 2_000
"""Bytes of a head that is held."""
_END = b"\r\n\r\n"


class KnownHead(NamedTuple):
    """The head of a request that the fast path has responded to, on a connection that stays open."""

    request: ParsedRequest
    content_length: int
    headers: Sequence[Header]
    request_id: str | None
    """The id that the client sends."""


class KnownHeads:
    """Heads by their bytes, shared by all connections.

    A parser between two requests would read the same bytes in the same way. So a request that arrives alone and in one
    piece can be taken apart at the end of a known head.
    """

    def __init__(self) -> None:
        self._heads: LRUCache[bytes, KnownHead] = LRUCache(_MAX_HEADS)

    def split(self, data: bytes) -> tuple[KnownHead, bytes] | None:
        """Return the known head and the body of a whole request; None for any other data."""
        end = data.find(_END)
        head = self._heads.get(data[:end]) if end > 0 else None
        if head is None:
            return None
        body = data[end + len(_END) :]
        return (head, body) if len(body) == head.content_length else None

    def add(self, data: bytes, head: KnownHead) -> None:
        """Hold the head of the request that the parser has found in `data`, if it is all of that."""
        end = data.find(_END)
        if 0 < end <= _MAX_BYTES and end + len(_END) + head.content_length == len(data):
            self._heads.put(data[:end], head)
