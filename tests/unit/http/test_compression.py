"""Compression of response bodies."""

import gzip

import brotli
import pytest

from graphql_api.http.compression import compress

BODY = '{"name": "Åland Islands"}'.encode() * 100


@pytest.mark.parametrize(
    ("encoding", "decode"), [("br", brotli.decompress), ("gzip", gzip.decompress), ("identity", bytes)]
)
def test_compress(encoding: str, decode: type[bytes]) -> None:
    """A compressed body decodes to the original, and equal bodies give equal bytes."""
    compressed = compress(BODY, encoding)
    assert decode(compressed) == BODY
    assert compress(BODY, encoding) == compressed
    assert (len(compressed) < 200) is (encoding != "identity")
