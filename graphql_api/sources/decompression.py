"""Reads bodies that may be compressed; memory holds no more than the limit, even of a bomb."""

import zlib
from collections.abc import AsyncIterable, Iterator
from dataclasses import dataclass, field

from graphql_api.sources.parsing import to_printable
from graphql_api.sources.provider import ProviderError

ACCEPT_ENCODING = "gzip"
"""Value of `Accept-Encoding`: every server supports gzip."""

_CHUNK_BYTES = 65_536
"""Bytes decompressed at a time: a chunk from the network may expand a thousandfold."""
_GZIP_WBITS = zlib.MAX_WBITS | 16


async def read_body(
    chunks: AsyncIterable[bytes], *, content_encoding: str, max_bytes: int
) -> bytes:
    """Return the decompressed body.

    Raises:
        ProviderError: the body exceeds `max_bytes` or does not match `content_encoding`.
    """
    decoder = _create_decoder(content_encoding.strip().lower())
    body, received_bytes = bytearray(), 0
    async for chunk in chunks:
        received_bytes += len(chunk)
        for piece in decoder.decode(chunk):
            body += piece
            if len(body) > max_bytes:
                break
        # Received bytes count too: compressed data can be empty at any length.
        if max(len(body), received_bytes) > max_bytes:
            raise ProviderError(f"the response is larger than {max_bytes} bytes")
    if received_bytes and not decoder.is_complete:
        raise ProviderError("the compressed response is incomplete")
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
        """Yield the chunk's content in pieces. Consecutive gzip members form one body."""
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
            raise ProviderError(f"the response is not valid gzip: {error}") from None


def _create_decoder(content_encoding: str) -> _IdentityDecoder | _GzipDecoder:
    if content_encoding in ("", "identity"):
        return _IdentityDecoder()
    if content_encoding in ("gzip", "x-gzip"):
        return _GzipDecoder()
    raise ProviderError(
        f"the response has the encoding {to_printable(content_encoding)}, which was not requested"
    )
