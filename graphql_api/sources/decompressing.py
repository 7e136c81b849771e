"""Reading a body that may be compressed, even a bomb: no more of it ever exists than is allowed."""

import zlib
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass, field

from graphql_api.sources.provider import Unusable
from graphql_api.sources.reading import printable

ACCEPTED = "gzip"
"""What `Accept-Encoding` asks for: the one coding that every server has."""

_STEP = 65_536
"""Bytes that are decompressed at once: a chunk from the network may hold a thousand times that."""
_GZIP = zlib.MAX_WBITS | 16


async def read_body(chunks: AsyncIterable[bytes], *, coding: str, at_most: int) -> bytes:
    """Return the body that comes in `chunks`, under a Content-Encoding, decompressed.

    Raises:
        Unusable: it is larger than `at_most` bytes, or is not what its coding says.
    """
    decode = _decoder(coding.strip().lower())
    body, received = bytearray(), 0
    async for chunk in chunks:
        received += len(chunk)
        for piece in decode.pieces(chunk):
            body += piece
            if len(body) > at_most:
                break
        # Compressed data may also say nothing, at any length.
        if max(len(body), received) > at_most:
            raise Unusable(f"its answer is larger than {at_most} bytes")
    if received and not decode.complete:
        raise Unusable("its compressed answer is cut short")
    return bytes(body)


class _Identity:
    complete = True

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


@dataclass(slots=True)
class _Gzip:
    _member: "zlib._Decompress" = field(default_factory=lambda: zlib.decompressobj(_GZIP))

    @property
    def complete(self) -> bool:
        return self._member.eof

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the chunk holds in steps; members that follow one another are one body."""
        try:
            while chunk:
                if self._member.eof:
                    self._member = zlib.decompressobj(_GZIP)
                piece = self._member.decompress(chunk, _STEP)
                while piece:
                    yield piece
                    piece = self._member.decompress(self._member.unconsumed_tail, _STEP)
                chunk = self._member.unused_data
        except zlib.error as error:
            raise Unusable(f"its answer is not compressed as it says: {error}") from None


def _decoder(coding: str) -> _Identity | _Gzip:
    if coding in ("", "identity"):
        return _Identity()
    if coding in ("gzip", "x-gzip"):
        return _Gzip()
    raise Unusable(f"its answer has the coding {printable(coding)}, which was not asked for")
