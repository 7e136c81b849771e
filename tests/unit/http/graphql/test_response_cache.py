"""Answers are kept for one snapshot, within a number of bytes, plain and compressed."""

import gzip

import brotli
import pytest

from graphql_api.execution.document import OperationInfo
from graphql_api.http.content_negotiation import JSON
from graphql_api.http.graphql.response_cache import CacheKey, ResponseCache
from graphql_api.metrics.recorder import MetricsRecorder
from tests.support.factories import make_country, make_snapshot

SNAPSHOT = make_snapshot([make_country("FR")])
PLAIN_KEY = CacheKey("POST", b"a", JSON, "identity")
OPERATION = OperationInfo("query", "Name")
LONG_BODY = b'{"data":"' + b"long " * 400 + b'"}'
ENTRY_BYTES = 1 + 1000 + 100
"""Bytes that an answer of 100 bytes takes."""


def make_cache(max_bytes: int = 100_000) -> ResponseCache:
    """Return a memory of answers that is empty."""
    return ResponseCache(
        response_cache_bytes=max_bytes, cache_max_age=60, metrics=MetricsRecorder.standalone()
    )


def test_kept() -> None:
    """An answer is found by the same request over the same snapshot, and by no other."""
    cache = make_cache()
    assert cache.find(PLAIN_KEY, SNAPSHOT) is None
    cached = cache.add(PLAIN_KEY, b"{}", SNAPSHOT, OPERATION)
    assert cache.find(PLAIN_KEY, SNAPSHOT) is cached
    for other_key in (
        PLAIN_KEY._replace(method="GET"),
        PLAIN_KEY._replace(payload=b"b"),
        PLAIN_KEY._replace(media_type="application/graphql-response+json"),
    ):
        assert cache.find(other_key, SNAPSHOT) is None


def test_next_snapshot() -> None:
    """With another snapshot nothing is left, even if it is of the same rows."""
    cache = make_cache()
    cache.add(PLAIN_KEY, b"{}", SNAPSHOT, OPERATION)
    assert cache.find(PLAIN_KEY, make_snapshot(SNAPSHOT.rows)) is None
    assert cache.find(PLAIN_KEY, SNAPSHOT) is None


def test_least_recently_used() -> None:
    """Beyond the number of bytes, what was not used for longest is forgotten."""
    cache = make_cache(max_bytes=2 * ENTRY_BYTES)
    keys = [PLAIN_KEY._replace(payload=text) for text in (b"1", b"2", b"3")]
    for key in keys[:2]:
        cache.add(key, b"x" * 100, SNAPSHOT, OPERATION)
    assert cache.find(keys[0], SNAPSHOT) is not None
    cache.add(keys[2], b"x" * 100, SNAPSHOT, OPERATION)
    hits = [cache.find(key, SNAPSHOT) is not None for key in keys]
    assert hits == [True, False, True]


@pytest.mark.parametrize("limit", [0, ENTRY_BYTES - 1])
def test_too_large(limit: int) -> None:
    """What is larger than everything that may be kept is answered, and not kept."""
    cache = make_cache(limit)
    assert cache.add(PLAIN_KEY, b"x" * 100, SNAPSHOT, OPERATION).body == b"x" * 100
    assert cache.find(PLAIN_KEY, SNAPSHOT) is None


@pytest.mark.parametrize(
    ("coding", "decompress"), [("gzip", gzip.decompress), ("br", brotli.decompress)]
)
def test_compressed(coding: str, decompress: object) -> None:
    """A long answer is compressed, once, from the plain one, which is kept beside it."""
    cache = make_cache()
    key = PLAIN_KEY._replace(encoding=coding)
    cache.add(PLAIN_KEY, LONG_BODY, SNAPSHOT, OPERATION)
    compressed = cache.find(key, SNAPSHOT)
    assert compressed is not None
    assert callable(decompress)
    assert decompress(compressed.body) == LONG_BODY
    assert len(compressed.body) < 100
    assert (b"content-encoding", coding.encode()) in compressed.headers
    assert (b"content-length", str(len(compressed.body)).encode()) in compressed.headers
    assert cache.find(key, SNAPSHOT) is compressed
    plain = cache.find(PLAIN_KEY, SNAPSHOT)
    assert plain is not None
    assert (plain.body, plain.operation, compressed.operation) == (LONG_BODY, OPERATION, OPERATION)


def test_short_answers_are_plain() -> None:
    """A short answer is not compressed."""
    cached = make_cache().add(PLAIN_KEY._replace(encoding="br"), b"{}", SNAPSHOT, OPERATION)
    assert cached.body == b"{}"
    assert b"content-encoding" not in dict(cached.headers)


def test_tags() -> None:
    """A tag is the same for the same request and rows, and another for anything else."""
    key = PLAIN_KEY._replace(method="GET")
    tag = make_cache().compute_etag(key, SNAPSHOT)
    assert make_cache().compute_etag(key, make_snapshot(SNAPSHOT.rows)) == tag
    others = {
        make_cache().compute_etag(key, make_snapshot([make_country("FR", revision=2)])),
        make_cache().compute_etag(key._replace(payload=b"b"), SNAPSHOT),
        make_cache().compute_etag(key._replace(encoding="br"), SNAPSHOT),
        make_cache().compute_etag(key._replace(media_type="x"), SNAPSHOT),
        tag,
    }
    assert len(others) == 5


def test_headers_by_method() -> None:
    """Only an answer to GET says what caches may do."""
    post_headers = dict(make_cache().add(PLAIN_KEY, b"{}", SNAPSHOT, OPERATION).headers)
    assert set(post_headers) == {b"content-type", b"content-length", b"vary"}
    get_headers = dict(
        make_cache().add(PLAIN_KEY._replace(method="GET"), b"{}", SNAPSHOT, OPERATION).headers
    )
    assert get_headers[b"cache-control"] == b"public, max-age=60, must-revalidate"
    assert get_headers[b"vary"] == b"Accept, Accept-Encoding"
    assert get_headers[b"etag"] == make_cache().compute_etag(
        PLAIN_KEY._replace(method="GET"), SNAPSHOT
    )


def test_head() -> None:
    """The head that is written has the status, the headers, and those that others would add."""
    cached = make_cache().add(PLAIN_KEY, b"{}", SNAPSHOT, OPERATION)
    assert cached.head == (
        b"HTTP/1.1 200 OK\r\n"
        b"content-type: application/json; charset=utf-8\r\n"
        b"content-length: 2\r\n"
        b"vary: Accept, Accept-Encoding\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"x-frame-options: DENY\r\n"
        b"referrer-policy: no-referrer\r\n"
        b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    )
    cross_origin_cache = ResponseCache(
        response_cache_bytes=0,
        cache_max_age=60,
        metrics=MetricsRecorder.standalone(),
        vary_on_origin=True,
    )
    cross_origin = cross_origin_cache.add(PLAIN_KEY, b"{}", SNAPSHOT, OPERATION)
    assert b"vary: Accept, Accept-Encoding, Origin\r\n" in cross_origin.head
    assert cross_origin.headers == cached.headers
