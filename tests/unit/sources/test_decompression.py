"""Reading bodies: whole however they come, and never more of them than is allowed."""

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.decompression import read_body
from graphql_api.sources.provider import ProviderError
from tests.support.fake_providers.faults import empty_gzip_blocks, gzip_bomb

LIMIT = 1000


async def read_chunks(*chunks: bytes, coding: str = "gzip", max_bytes: int = LIMIT) -> bytes:
    """Return the body that comes in these chunks."""

    async def iter_chunks() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return await read_body(iter_chunks(), content_encoding=coding, max_bytes=max_bytes)


async def refusal_reason(*chunks: bytes, coding: str = "gzip", max_bytes: int = LIMIT) -> str:
    """Return why a body is refused."""
    with pytest.raises(ProviderError) as exc_info:
        await read_chunks(*chunks, coding=coding, max_bytes=max_bytes)
    return str(exc_info.value)


def split_body(body: bytes, size: int) -> Iterable[bytes]:
    """Cut a body into chunks."""
    return (body[start : start + size] for start in range(0, len(body), size))


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
async def test_plain(coding: str) -> None:
    """What is not compressed is read as it is."""
    assert await read_chunks(b"fig", b"", b"ures", coding=coding) == b"figures"
    assert await read_chunks(coding=coding) == b""


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZIP"])
async def test_gzip(coding: str) -> None:
    """What is compressed is decompressed."""
    assert await read_chunks(gzip.compress(b"figures"), coding=coding) == b"figures"


async def test_no_gzip_at_all() -> None:
    """No body at all is empty, whatever its coding."""
    assert await read_chunks() == b""


async def test_members() -> None:
    """Compressed data that follow one another are one body."""
    members = gzip.compress(b"fig") + gzip.compress(b"") + gzip.compress(b"ures")
    assert await read_chunks(members) == b"figures"
    assert await read_chunks(*split_body(members, 1)) == b"figures"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.integers(1, 400))
async def test_any_body(bodies: list[bytes], size: int) -> None:
    """However a body is made and cut, it is read as what it holds."""
    compressed = b"".join(gzip.compress(body) for body in bodies)
    assert await read_chunks(*split_body(compressed, size)) == b"".join(bodies)


async def test_body_of_many_steps() -> None:
    """A chunk that holds far more than one step is read whole."""
    body = bytes(range(256)) * 4000
    assert await read_chunks(gzip.compress(body), max_bytes=len(body)) == body


@given(st.binary(max_size=50), st.integers(1, 50))
async def test_any_bytes(junk: bytes, size: int) -> None:
    """Any bytes that should be compressed are a body or the one exception for it."""
    try:
        await read_chunks(*split_body(junk, size))
    except ProviderError:
        return


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_limit(coding: str) -> None:
    """A body of the largest size is read, and one byte more is refused."""
    largest, larger = bytes(LIMIT), bytes(LIMIT + 1)
    if coding:
        largest, larger = gzip.compress(largest), gzip.compress(larger)
    assert await read_chunks(largest, coding=coding) == bytes(LIMIT)
    assert await refusal_reason(larger, coding=coding) == "the response is larger than 1000 bytes"


async def test_bomb() -> None:
    """Of a bomb of 20 GB no more exists at any moment than is allowed, and a little."""
    body = gzip_bomb(megabytes=20_000)
    assert 10_000_000 < len(body) < 25_000_000
    tracemalloc.start()
    try:
        reason = await refusal_reason(body, max_bytes=20_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason == "the response is larger than 20000000 bytes"
    assert peak < 70_000_000


async def test_compressed_nothing() -> None:
    """Compressed data that hold nothing are counted as they come."""
    assert (
        await refusal_reason(*split_body(empty_gzip_blocks(2000), 100))
        == "the response is larger than 1000 bytes"
    )


async def test_cut_short() -> None:
    """Compressed data without their end are refused."""
    compressed = gzip.compress(b"figures")
    for length in range(1, len(compressed)):
        assert await refusal_reason(compressed[:length]) == "the compressed response is incomplete"


async def test_junk() -> None:
    """What is not compressed is refused, also after what is."""
    message = (
        "the response is not valid gzip: Error -3 while decompressing data: incorrect header check"
    )
    assert await refusal_reason(b"junk") == message
    assert await refusal_reason(gzip.compress(b"figures") + b"junk") == message


@pytest.mark.parametrize(
    ("coding", "shown"), [("br", "br"), ("gzip, gzip", "gzip, gzip"), ("a\x1bb", "a�b")]
)
async def test_other_coding(coding: str, shown: str) -> None:
    """A coding that was not asked for is refused by name."""
    reason = await refusal_reason(b"figures", coding=coding)
    assert reason == f"the response has the encoding {shown}, which was not requested"
