"""Answers are kept for one snapshot, within a number of bytes, plain and compressed."""

import gzip

import brotli
import pytest

from graphql_api.http.answers import Answers, Asked
from graphql_api.http.negotiation import JSON
from graphql_api.metrics.meter import Meter
from graphql_api.schema.plans import OperationInfo
from tests.rows import make_country, make_snapshot

SNAPSHOT = make_snapshot([make_country("FR")])
PLAIN = Asked("POST", b"a", JSON, "identity")
ASKED = OperationInfo("query", "Name")
LONG = b'{"data":"' + b"long " * 400 + b'"}'
ONE = 1 + 1000 + 100
"""Bytes that an answer of 100 bytes takes."""


def keeping(limit: int = 100_000) -> Answers:
    """Return a memory of answers that is empty."""
    return Answers(limit=limit, max_age=60, meter=Meter.alone())


def test_kept() -> None:
    """An answer is found by the same request over the same snapshot, and by no other."""
    answers = keeping()
    assert answers.find(PLAIN, SNAPSHOT) is None
    answer = answers.add(PLAIN, b"{}", SNAPSHOT, ASKED)
    assert answers.find(PLAIN, SNAPSHOT) is answer
    for other in (
        PLAIN._replace(method="GET"),
        PLAIN._replace(text=b"b"),
        PLAIN._replace(media_type="application/graphql-response+json"),
    ):
        assert answers.find(other, SNAPSHOT) is None


def test_next_snapshot() -> None:
    """With another snapshot nothing is left, even if it is of the same rows."""
    answers = keeping()
    answers.add(PLAIN, b"{}", SNAPSHOT, ASKED)
    assert answers.find(PLAIN, make_snapshot(SNAPSHOT.rows)) is None
    assert answers.find(PLAIN, SNAPSHOT) is None


def test_least_recently_used() -> None:
    """Beyond the number of bytes, what was not used for longest is forgotten."""
    answers = keeping(limit=2 * ONE)
    asked = [PLAIN._replace(text=text) for text in (b"1", b"2", b"3")]
    for one in asked[:2]:
        answers.add(one, b"x" * 100, SNAPSHOT, ASKED)
    assert answers.find(asked[0], SNAPSHOT) is not None
    answers.add(asked[2], b"x" * 100, SNAPSHOT, ASKED)
    found = [answers.find(one, SNAPSHOT) is not None for one in asked]
    assert found == [True, False, True]


@pytest.mark.parametrize("limit", [0, ONE - 1])
def test_too_large(limit: int) -> None:
    """What is larger than everything that may be kept is answered, and not kept."""
    answers = keeping(limit)
    assert answers.add(PLAIN, b"x" * 100, SNAPSHOT, ASKED).body == b"x" * 100
    assert answers.find(PLAIN, SNAPSHOT) is None


@pytest.mark.parametrize(
    ("coding", "decompress"), [("gzip", gzip.decompress), ("br", brotli.decompress)]
)
def test_compressed(coding: str, decompress: object) -> None:
    """A long answer is compressed, once, from the plain one, which is kept beside it."""
    answers = keeping()
    asked = PLAIN._replace(coding=coding)
    answers.add(PLAIN, LONG, SNAPSHOT, ASKED)
    found = answers.find(asked, SNAPSHOT)
    assert found is not None
    assert callable(decompress)
    assert decompress(found.body) == LONG
    assert len(found.body) < 100
    assert (b"content-encoding", coding.encode()) in found.headers
    assert (b"content-length", str(len(found.body)).encode()) in found.headers
    assert answers.find(asked, SNAPSHOT) is found
    kept = answers.find(PLAIN, SNAPSHOT)
    assert kept is not None
    assert (kept.body, kept.operation, found.operation) == (LONG, ASKED, ASKED)


def test_short_answers_are_plain() -> None:
    """A short answer is not compressed."""
    answer = keeping().add(PLAIN._replace(coding="br"), b"{}", SNAPSHOT, ASKED)
    assert answer.body == b"{}"
    assert b"content-encoding" not in dict(answer.headers)


def test_tags() -> None:
    """A tag is the same for the same request and rows, and another for anything else."""
    asked = PLAIN._replace(method="GET")
    tag = keeping().tag(asked, SNAPSHOT)
    assert keeping().tag(asked, make_snapshot(SNAPSHOT.rows)) == tag
    others = {
        keeping().tag(asked, make_snapshot([make_country("FR", revision=2)])),
        keeping().tag(asked._replace(text=b"b"), SNAPSHOT),
        keeping().tag(asked._replace(coding="br"), SNAPSHOT),
        keeping().tag(asked._replace(media_type="x"), SNAPSHOT),
        tag,
    }
    assert len(others) == 5


def test_headers_by_method() -> None:
    """Only an answer to GET says what caches may do."""
    posted = dict(keeping().add(PLAIN, b"{}", SNAPSHOT, ASKED).headers)
    assert set(posted) == {b"content-type", b"content-length", b"vary"}
    got = dict(keeping().add(PLAIN._replace(method="GET"), b"{}", SNAPSHOT, ASKED).headers)
    assert got[b"cache-control"] == b"public, max-age=60, must-revalidate"
    assert got[b"vary"] == b"Accept, Accept-Encoding"
    assert got[b"etag"] == keeping().tag(PLAIN._replace(method="GET"), SNAPSHOT)


def test_head() -> None:
    """The head that is written has the status, the headers, and those that others would add."""
    answer = keeping().add(PLAIN, b"{}", SNAPSHOT, ASKED)
    assert answer.head == (
        b"HTTP/1.1 200 OK\r\n"
        b"content-type: application/json; charset=utf-8\r\n"
        b"content-length: 2\r\n"
        b"vary: Accept, Accept-Encoding\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"x-frame-options: DENY\r\n"
        b"referrer-policy: no-referrer\r\n"
        b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    )
    there = Answers(limit=0, max_age=60, meter=Meter.alone(), cross_origin=True)
    elsewhere = there.add(PLAIN, b"{}", SNAPSHOT, ASKED)
    assert b"vary: Accept, Accept-Encoding, Origin\r\n" in elsewhere.head
    assert elsewhere.headers == answer.headers
