"""Reading a body that may be compressed, even a bomb: no more of it ever exists than is allowed."""

import zlib
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass, field

from graphql_api.sources.parsing import to_printable
from graphql_api.sources.provider import ProviderError

ACCEPT_ENCODING = "gzip"
"""What `Accept-Encoding` asks for: the one coding that every server has."""

_CHUNK_BYTES = 65_536
"""Bytes that are decompressed at once: a chunk from the network may hold a thousand times that."""
_GZIP_WBITS = zlib.MAX_WBITS | 16


async def read_body(
    chunks: AsyncIterable[bytes], *, content_encoding: str, max_bytes: int
) -> bytes:
    """Return the body that comes in `chunks`, under a Content-Encoding, decompressed.

    Raises:
        Unusable: it is larger than `at_most` bytes, or is not what its coding says.
    """
    decoder = _create_decoder(content_encoding.strip().lower())
    body, received_bytes = bytearray(), 0
    async for chunk in chunks:
        received_bytes += len(chunk)
        for piece in decoder.decode(chunk):
            body += piece
            if len(body) > max_bytes:
                break
        # Compressed data may also say nothing, at any length.
        if max(len(body), received_bytes) > max_bytes:
            raise ProviderError(f"its answer is larger than {max_bytes} bytes")
    if received_bytes and not decoder.is_complete:
        raise ProviderError("its compressed answer is cut short")
    return bytes(body)


class _IdentityDecoder:
    is_complete = True

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk


@dataclass(slots=True)
class _GzipDecoder:
    _member: "zlib._Decompress" = field(default_factory=lambda: zlib.decompressobj(_GZIP_WBITS))

    @property
    def is_complete(self) -> bool:
        return self._member.eof

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the chunk holds in steps; members that follow one another are one body."""
        try:
            while chunk:
                if self._member.eof:
                    self._member = zlib.decompressobj(_GZIP_WBITS)
                piece = self._member.decompress(chunk, _CHUNK_BYTES)
                while piece:
                    yield piece
                    piece = self._member.decompress(self._member.unconsumed_tail, _CHUNK_BYTES)
                chunk = self._member.unused_data
        except zlib.error as error:
            raise ProviderError(f"its answer is not compressed as it says: {error}") from None


def _create_decoder(content_encoding: str) -> _IdentityDecoder | _GzipDecoder:
    if content_encoding in ("", "identity"):
        return _IdentityDecoder()
    if content_encoding in ("gzip", "x-gzip"):
        return _GzipDecoder()
    raise ProviderError(
        f"its answer has the coding {to_printable(content_encoding)}, which was not asked for"
    )
