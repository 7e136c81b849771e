"""Decompression: complete bodies in any chunks, and never more than the limit in memory."""

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.decompression import read_body
from graphql_api.sources.provider import ProviderError
from tests.support.fake_providers.faults import empty_gzip_blocks, gzip_bomb
from tests.support.turns import counting_turns

LIMIT = 1000


async def read_chunks(*chunks: bytes, coding: str = "gzip", max_bytes: int = LIMIT) -> bytes:
    """Return the body of these chunks."""

    async def iter_chunks() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return await read_body(iter_chunks(), content_encoding=coding, max_bytes=max_bytes)


async def rejection_reason(*chunks: bytes, coding: str = "gzip", max_bytes: int = LIMIT) -> str:
    """Return the reason that rejects a body."""
    with pytest.raises(ProviderError) as exc_info:
        await read_chunks(*chunks, coding=coding, max_bytes=max_bytes)
    return str(exc_info.value)


def split_body(body: bytes, size: int) -> Iterable[bytes]:
    """Split a body into chunks of `size` bytes."""
    return (body[start : start + size] for start in range(0, len(body), size))


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
async def test_plain(coding: str) -> None:
    """An uncompressed body is returned unchanged."""
    assert await read_chunks(b"fig", b"", b"ures", coding=coding) == b"figures"
    assert await read_chunks(coding=coding) == b""


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZIP"])
async def test_gzip(coding: str) -> None:
    """A gzip body is decompressed."""
    assert await read_chunks(gzip.compress(b"figures"), coding=coding) == b"figures"


async def test_other_tasks_run_between_chunks() -> None:
    """A body of many chunks that have all arrived does not keep other tasks from running."""
    async with counting_turns() as counter:
        assert await read_chunks(*[b"x"] * 1000, coding="") == b"x" * 1000
        assert counter.turns >= 9


async def test_no_chunks() -> None:
    """Without any chunk a gzip body is empty."""
    assert await read_chunks() == b""


async def test_members() -> None:
    """Consecutive gzip members form one body."""
    members = gzip.compress(b"fig") + gzip.compress(b"") + gzip.compress(b"ures")
    assert await read_chunks(members) == b"figures"
    assert await read_chunks(*split_body(members, 1)) == b"figures"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.integers(1, 400))
async def test_any_body(bodies: list[bytes], size: int) -> None:
    """Any body, in any members and chunks, is decompressed completely."""
    compressed = b"".join(gzip.compress(body) for body in bodies)
    assert await read_chunks(*split_body(compressed, size)) == b"".join(bodies)


async def test_body_of_many_steps() -> None:
    """A chunk that expands to many pieces is decompressed completely."""
    body = bytes(range(256)) * 4000
    assert await read_chunks(gzip.compress(body), max_bytes=len(body)) == body


@given(st.binary(max_size=50), st.integers(1, 50))
async def test_any_bytes(junk: bytes, size: int) -> None:
    """Any bytes as gzip give a body or a ProviderError."""
    try:
        await read_chunks(*split_body(junk, size))
    except ProviderError:
        return


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_limit(coding: str) -> None:
    """A body of the maximum size is accepted, and one byte more is rejected."""
    largest, larger = bytes(LIMIT), bytes(LIMIT + 1)
    if coding:
        largest, larger = gzip.compress(largest), gzip.compress(larger)
    assert await read_chunks(largest, coding=coding) == bytes(LIMIT)
    assert await rejection_reason(larger, coding=coding) == "the response is larger than 1000 bytes"


async def test_bomb() -> None:
    """Of a bomb of 20 GB, memory never holds more than a small multiple of the limit."""
    body = gzip_bomb(megabytes=20_000)
    assert 10_000_000 < len(body) < 25_000_000
    tracemalloc.start()
    try:
        reason = await rejection_reason(body, max_bytes=20_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason == "the response is larger than 20000000 bytes"
    assert peak < 70_000_000


async def test_empty_blocks() -> None:
    """Received bytes count towards the limit even if they decompress to nothing."""
    assert await rejection_reason(*split_body(empty_gzip_blocks(2000), 100)) == "the response is larger than 1000 bytes"


async def test_truncated() -> None:
    """A truncated gzip body is rejected."""
    compressed = gzip.compress(b"figures")
    for length in range(1, len(compressed)):
        assert await rejection_reason(compressed[:length]) == "the compressed response is incomplete"


async def test_invalid_gzip() -> None:
    """Bytes that are not gzip are rejected, also after a gzip member."""
    message = "the response is not valid gzip: Error -3 while decompressing data: incorrect header check"
    assert await rejection_reason(b"junk") == message
    assert await rejection_reason(gzip.compress(b"figures") + b"junk") == message


@pytest.mark.parametrize(("coding", "shown"), [("br", "br"), ("gzip, gzip", "gzip, gzip"), ("a\x1bb", "a�b")])
async def test_other_encoding(coding: str, shown: str) -> None:
    """An encoding that was not requested is rejected by its name."""
    reason = await rejection_reason(b"figures", coding=coding)
    assert reason == f"the response has the encoding {shown}, which was not requested"
