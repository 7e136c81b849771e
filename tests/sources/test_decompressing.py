"""Reading bodies: whole however they come, and never more of them than is allowed."""

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.decompressing import read_body
from graphql_api.sources.provider import Unusable
from tests.upstream.faults import bomb, nothing

LIMIT = 1000


async def read(*chunks: bytes, coding: str = "gzip", at_most: int = LIMIT) -> bytes:
    """Return the body that comes in these chunks."""

    async def come() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return await read_body(come(), coding=coding, at_most=at_most)


async def refusal(*chunks: bytes, coding: str = "gzip", at_most: int = LIMIT) -> str:
    """Return why a body is refused."""
    with pytest.raises(Unusable) as refused:
        await read(*chunks, coding=coding, at_most=at_most)
    return str(refused.value)


def split(body: bytes, size: int) -> Iterable[bytes]:
    """Cut a body into chunks."""
    return (body[start : start + size] for start in range(0, len(body), size))


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
async def test_plain(coding: str) -> None:
    """What is not compressed is read as it is."""
    assert await read(b"fig", b"", b"ures", coding=coding) == b"figures"
    assert await read(coding=coding) == b""


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZIP"])
async def test_gzip(coding: str) -> None:
    """What is compressed is decompressed."""
    assert await read(gzip.compress(b"figures"), coding=coding) == b"figures"


async def test_no_gzip_at_all() -> None:
    """No body at all is empty, whatever its coding."""
    assert await read() == b""


async def test_members() -> None:
    """Compressed data that follow one another are one body."""
    both = gzip.compress(b"fig") + gzip.compress(b"") + gzip.compress(b"ures")
    assert await read(both) == b"figures"
    assert await read(*split(both, 1)) == b"figures"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.integers(1, 400))
async def test_any_body(bodies: list[bytes], size: int) -> None:
    """However a body is made and cut, it is read as what it holds."""
    compressed = b"".join(gzip.compress(body) for body in bodies)
    assert await read(*split(compressed, size)) == b"".join(bodies)


async def test_body_of_many_steps() -> None:
    """A chunk that holds far more than one step is read whole."""
    body = bytes(range(256)) * 4000
    assert await read(gzip.compress(body), at_most=len(body)) == body


@given(st.binary(max_size=50), st.integers(1, 50))
async def test_any_bytes(junk: bytes, size: int) -> None:
    """Any bytes that should be compressed are a body or the one exception for it."""
    try:
        await read(*split(junk, size))
    except Unusable:
        return


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_limit(coding: str) -> None:
    """A body of the largest size is read, and one byte more is refused."""
    largest, larger = bytes(LIMIT), bytes(LIMIT + 1)
    if coding:
        largest, larger = gzip.compress(largest), gzip.compress(larger)
    assert await read(largest, coding=coding) == bytes(LIMIT)
    assert await refusal(larger, coding=coding) == "its answer is larger than 1000 bytes"


async def test_bomb() -> None:
    """Of a bomb of 20 GB no more exists at any moment than is allowed, and a little."""
    body = bomb(megabytes=20_000)
    assert 10_000_000 < len(body) < 25_000_000
    tracemalloc.start()
    try:
        reason = await refusal(body, at_most=20_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reason == "its answer is larger than 20000000 bytes"
    assert peak < 70_000_000


async def test_compressed_nothing() -> None:
    """Compressed data that hold nothing are counted as they come."""
    assert await refusal(*split(nothing(2000), 100)) == "its answer is larger than 1000 bytes"


async def test_cut_short() -> None:
    """Compressed data without their end are refused."""
    whole = gzip.compress(b"figures")
    for length in range(1, len(whole)):
        assert await refusal(whole[:length]) == "its compressed answer is cut short"


async def test_junk() -> None:
    """What is not compressed is refused, also after what is."""
    message = (
        "its answer is not compressed as it says: "
        "Error -3 while decompressing data: incorrect header check"
    )
    assert await refusal(b"junk") == message
    assert await refusal(gzip.compress(b"figures") + b"junk") == message


@pytest.mark.parametrize(
    ("coding", "shown"), [("br", "br"), ("gzip, gzip", "gzip, gzip"), ("a\x1bb", "a�b")]
)
async def test_other_coding(coding: str, shown: str) -> None:
    """A coding that was not asked for is refused by name."""
    reason = await refusal(b"figures", coding=coding)
    assert reason == f"its answer has the coding {shown}, which was not asked for"
