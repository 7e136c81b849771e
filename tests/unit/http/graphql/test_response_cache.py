"""The response cache: one snapshot, a limit of bytes, plain and compressed, 304s."""

import gc
import gzip
import tracemalloc

import brotli
import orjson
import pytest

from graphql_api.domain.snapshot import Snapshot
from graphql_api.execution.document import OperationInfo
from graphql_api.http.content_negotiation import JSON
from graphql_api.http.graphql.cache_key import CacheKey
from graphql_api.http.graphql.request import ParsedRequest
from graphql_api.http.graphql.response_cache import CachedResponse, ResponseCache
from graphql_api.http.graphql.trusted_documents import TrustedDocuments
from graphql_api.metrics.definitions import CACHE_BYTES
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.utils.exact_bytes import copy_exactly
from tests.support.factories import make_country, make_snapshot

SNAPSHOT = make_snapshot([make_country("FR")])
PLAIN_KEY = CacheKey("POST", b"a", JSON, "identity")
OPERATION = OperationInfo("query", "Name")
LONG_BODY = b'{"data":"' + b"long " * 400 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 100\r\n"
ENTRY_BYTES = 1 + len(HEAD) + 100 + len("Name") + 500
"""Bytes of an entry whose request has 1 byte and whose body has 100."""


def make_cache(max_bytes: int = 100_000) -> ResponseCache:
    """Return an empty cache."""
    metrics, trusted_documents = MetricsRecorder.standalone(), TrustedDocuments(only=False)
    return ResponseCache(
        response_cache_bytes=max_bytes, cache_max_age=60, metrics=metrics, trusted_documents=trusted_documents
    )


def find(
    cache: ResponseCache, key: CacheKey = PLAIN_KEY, snapshot: Snapshot = SNAPSHOT, if_none_match: str = ""
) -> CachedResponse | None:
    """Return the cached response to a request."""
    return cache.find(ParsedRequest(key, if_none_match), snapshot)


def add(
    cache: ResponseCache, key: CacheKey = PLAIN_KEY, body: bytes = b"{}", if_none_match: str = ""
) -> CachedResponse:
    """Cache a response, at its second use."""
    request = ParsedRequest(key, if_none_match)
    first, second = (cache.add(request, body, SNAPSHOT, OPERATION) for _ in range(2))
    assert first == second
    return second


def test_found() -> None:
    """A response is found by the same request over the same snapshot only."""
    cache = make_cache()
    assert find(cache) is None
    cached = add(cache)
    assert find(cache) == cached
    for other_key in (
        PLAIN_KEY._replace(method="GET"),
        PLAIN_KEY._replace(text=b"b"),
        PLAIN_KEY._replace(media_type="application/graphql-response+json"),
    ):
        assert find(cache, other_key) is None


def test_second_use() -> None:
    """A response is cached from its second use on, in any encoding, and at once in a snapshot that follows."""
    cache, request = make_cache(), ParsedRequest(PLAIN_KEY)
    cache.add(request, b"{}", SNAPSHOT, OPERATION)
    assert find(cache) is None
    cached = cache.add(ParsedRequest(PLAIN_KEY._replace(encoding="br")), b"{}", SNAPSHOT, OPERATION)
    assert find(cache) == cached
    snapshot = make_snapshot(SNAPSHOT.rows)
    assert cache.add(request, b"{}", snapshot, OPERATION) == find(cache, snapshot=snapshot)


def test_next_snapshot() -> None:
    """Another snapshot empties the cache, even one of the same rows."""
    cache = make_cache()
    add(cache)
    assert find(cache, snapshot=make_snapshot(SNAPSHOT.rows)) is None
    assert find(cache) is None


def test_least_recently_used() -> None:
    """Beyond the limit, the least recently used response is evicted."""
    cache = make_cache(max_bytes=2 * ENTRY_BYTES)
    keys = [PLAIN_KEY._replace(text=text) for text in (b"1", b"2", b"3")]
    for key in keys[:2]:
        add(cache, key, b"x" * 100)
    assert find(cache, keys[0]) is not None
    add(cache, keys[2], b"x" * 100)
    assert [find(cache, key) is not None for key in keys] == [True, False, True]


@pytest.mark.parametrize("limit", [0, ENTRY_BYTES - 1])
def test_too_large(limit: int) -> None:
    """A response larger than the cache is returned and not held."""
    cache = make_cache(limit)
    assert add(cache, body=b"x" * 100).body == b"x" * 100
    assert find(cache) is None


def test_bytes() -> None:
    """The gauge of bytes follows what is held."""
    metrics = MetricsRecorder.standalone()
    cache = ResponseCache(
        response_cache_bytes=100_000, cache_max_age=60, metrics=metrics, trusted_documents=TrustedDocuments(only=False)
    )
    start = metrics.shared_metrics.offsets[CACHE_BYTES][()]
    row = metrics.shared_metrics.row_for(0)
    for _ in range(2):
        add(cache, body=b"x" * 100)
        assert row[start] == ENTRY_BYTES
    find(cache, snapshot=make_snapshot(SNAPSHOT.rows))
    assert row[start] == 0


@pytest.mark.parametrize(("coding", "decompress"), [("gzip", gzip.decompress), ("br", brotli.decompress)])
def test_compressed(coding: str, decompress: object) -> None:
    """A long response is compressed once, from the plain one, which is held beside it."""
    cache = make_cache()
    key = PLAIN_KEY._replace(encoding=coding)
    add(cache, body=LONG_BODY)
    compressed = find(cache, key)
    assert compressed is not None
    assert callable(decompress)
    assert decompress(compressed.body) == LONG_BODY
    assert len(compressed.body) < 100
    assert (b"content-encoding", coding.encode()) in compressed.headers
    assert (b"content-length", str(len(compressed.body)).encode()) in compressed.headers
    assert find(cache, key) == compressed
    plain = find(cache)
    assert plain is not None
    assert (plain.body, plain.operation, compressed.operation) == (LONG_BODY, OPERATION, OPERATION)


def test_short_responses_are_plain() -> None:
    """A short response is not compressed."""
    cached = add(make_cache(), PLAIN_KEY._replace(encoding="br"))
    assert cached.body == b"{}"
    assert b"content-encoding" not in dict(cached.headers)


def get_etag(key: CacheKey, snapshot: Snapshot = SNAPSHOT) -> bytes:
    """Return the ETag of a response over a snapshot."""
    request = ParsedRequest(key, "")
    return dict(make_cache().add(request, b"{}", snapshot, OPERATION).headers)[b"etag"]


def test_etags() -> None:
    """An ETag is the same for the same request and rows, and differs for anything else."""
    key = PLAIN_KEY._replace(method="GET")
    etag = get_etag(key)
    assert get_etag(key, make_snapshot(SNAPSHOT.rows)) == etag
    others = {
        get_etag(key, make_snapshot([make_country("FR", revision=2)])),
        get_etag(key._replace(text=b"b")),
        get_etag(key._replace(encoding="br")),
        get_etag(key._replace(media_type="x")),
        etag,
    }
    assert len(others) == 5


def test_etags_of_one_version() -> None:
    """Other rows of the same version and time have another ETag, and no cached response or 304 of each other."""
    key = PLAIN_KEY._replace(method="GET")
    first, other = make_snapshot([make_country("FR")]), make_snapshot([make_country("DE")])
    assert first.checksum == other.checksum
    etag = get_etag(key, first)
    assert get_etag(key, other) != etag
    cache = make_cache()
    for _ in range(2):
        cache.add(ParsedRequest(key, ""), b"{}", first, OPERATION)
    assert cache.find(ParsedRequest(key, etag.decode()), first) is not None
    assert cache.find(ParsedRequest(key, etag.decode()), other) is None


def test_not_modified() -> None:
    """A matching ETag gets a 304 whether or not the response is cached; `*` only if it exists."""
    key = PLAIN_KEY._replace(method="GET")
    cache, etag = make_cache(), get_etag(key).decode()
    for response in (find(cache, key, if_none_match=f'W/{etag}, "x"'), add(cache, key, b"", "*")):
        assert response is not None
        assert (response.status, response.body) == (304, b"")
        assert dict(response.headers) == {
            b"etag": etag.encode(),
            b"cache-control": b"public, max-age=60, must-revalidate",
            b"vary": b"Accept, Accept-Encoding",
        }
    cached = find(cache, key)
    assert cached is not None
    assert [
        response is not None and response.status
        for response in (
            find(cache, key, if_none_match="*"),
            find(cache, key, if_none_match='"x"'),
            find(cache, key._replace(text=b"b"), if_none_match="*"),
            find(cache, key._replace(text=b"b"), if_none_match=etag),
        )
    ] == [304, 200, False, False]


def test_post_is_unconditional() -> None:
    """A response to POST has no ETag, so If-None-Match does not apply to it."""
    cache = make_cache()
    assert add(cache, if_none_match="*").status == 200
    response = find(cache, if_none_match="*")
    assert response is not None
    assert response.status == 200


def test_headers_by_method() -> None:
    """Only a response to GET says what caches may do."""
    post_headers = dict(add(make_cache()).headers)
    assert set(post_headers) == {b"content-type", b"content-length", b"vary"}
    key = PLAIN_KEY._replace(method="GET")
    get_headers = dict(add(make_cache(), key).headers)
    assert get_headers[b"cache-control"] == b"public, max-age=60, must-revalidate"
    assert get_headers[b"vary"] == b"Accept, Accept-Encoding"
    assert get_headers[b"etag"] == get_etag(key)


def test_head() -> None:
    """The head for HTTP/1.1 has the status, the headers, and those that middleware would add."""
    cached = add(make_cache())
    assert cached.head == (
        b"HTTP/1.1 200 OK\r\n"
        b"content-type: application/json; charset=utf-8\r\n"
        b"content-length: 2\r\n"
        b"vary: Accept, Accept-Encoding, Origin\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"x-frame-options: DENY\r\n"
        b"referrer-policy: no-referrer\r\n"
        b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    )


@pytest.mark.slow
def test_memory() -> None:
    """A full cache of short answers takes no more than it counts, and the collector visits none of its entries."""
    limit = 2_000_000
    cache = make_cache(limit)
    gc.collect()
    objects_before = len(gc.get_objects())
    tracemalloc.start()
    try:
        for number in range(20_000):
            text = b'{"variables": {"n": %d}}' % number
            body = orjson.dumps({"data": {"countries": {"totalCount": number}}})
            add(cache, PLAIN_KEY._replace(text=text), copy_exactly(body))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gc.collect()
    assert len(gc.get_objects()) - objects_before < 100
    assert 0.5 * limit < held_bytes < 1.1 * limit
    assert cache._entries.size <= limit
