"""Compression of response bodies; equal bodies give equal bytes on every replica."""

import gzip

import brotli

from graphql_api.http.content_negotiation import BROTLI, GZIP

_BROTLI_QUALITY = 5
"""7 would make files 2 % smaller, in twice the time."""


def compress(body: bytes, encoding: str) -> bytes:
    """Return a body of text in an encoding that `negotiate_encoding` returns."""
    if encoding == BROTLI:
        compressed: bytes = brotli.compress(body, mode=brotli.MODE_TEXT, quality=_BROTLI_QUALITY)
        return compressed
    # Without a modification time, which would differ between replicas.
    return gzip.compress(body, compresslevel=6, mtime=0) if encoding == GZIP else body
