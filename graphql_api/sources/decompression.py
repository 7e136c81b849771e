"""Reads bodies that may be compressed; memory holds no more than the limit, even of a bomb."""

import asyncio
import zlib
from collections.abc import AsyncIterable, Iterator

from graphql_api.sources.parsing import to_printable
from graphql_api.sources.provider import ProviderError

ACCEPT_ENCODING = "gzip"
"""Value of `Accept-Encoding`: every server supports gzip."""

_CHUNK_BYTES = 65_536
"""Bytes decompressed at a time: a chunk from the network may expand a thousandfold."""
_CHUNKS_PER_TURN = 100
"""Chunks read before other tasks run: a provider may send each byte as a chunk, many of which arrive at once."""
_GZIP_WBITS = zlib.MAX_WBITS | 16


async def read_body(chunks: AsyncIterable[bytes], *, content_encoding: str, max_bytes: int) -> bytes:
    """Return the decompressed body.

    Raises:
        ProviderError: the body exceeds `max_bytes` or does not match `content_encoding`.
    """
    encoding = content_encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        shown = to_printable(encoding)
        raise ProviderError(f"the response has the encoding {shown}, which was not requested")
    decoder = _GzipDecoder() if "gzip" in encoding else None
    body, received_bytes, chunk_count = bytearray(), 0, 0
    async for chunk in chunks:
        received_bytes += len(chunk)
        chunk_count += 1
        if chunk_count % _CHUNKS_PER_TURN == 0:
            await asyncio.sleep(0)
        for piece in decoder.decode(chunk) if decoder else (chunk,):
            body += piece
            if len(body) > max_bytes:
                break
        # Received bytes count too: compressed data can be empty at any length.
        if max(len(body), received_bytes) > max_bytes:
            raise ProviderError(f"the response is larger than {max_bytes} bytes")
    if received_bytes and decoder and not decoder.member.eof:
        raise ProviderError("the compressed response is incomplete")
    return bytes(body)


class _GzipDecoder:
    def __init__(self) -> None:
        self.member = zlib.decompressobj(_GZIP_WBITS)

    def decode(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the chunk's content in pieces. Consecutive gzip members form one body."""
        try:
            while chunk:
                if self.member.eof:
                    self.member = zlib.decompressobj(_GZIP_WBITS)
                piece = self.member.decompress(chunk, _CHUNK_BYTES)
                while piece:
                    yield piece
                    piece = self.member.decompress(self.member.unconsumed_tail, _CHUNK_BYTES)
                chunk = self.member.unused_data
        except zlib.error as error:
            raise ProviderError(f"the response is not valid gzip: {error}") from None
