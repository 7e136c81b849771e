"""Bodies that nobody should send, to a real server: refused in one line, with no other effect."""

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.cli.running import BUNDLED, Process, serving
from tests.http.wire import QUERY, Wire, connected, head, is_usable

DEEP = b'{"query": "{ __typename }", "variables": {"a": %s}}'
LIMIT = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server that asks nobody."""
    with serving(tmp_path_factory.mktemp("bodies"), **BUNDLED) as process:
        process.wait_until_said("Ctrl-C stops")
        yield process


def lines(server: Process) -> list[str]:
    """Return what the log says of requests, without times and ids."""
    said = server.said.splitlines()
    return [line.split(maxsplit=4)[-1] for line in said if " Request " in line]


def send_without_end(wire: Wire) -> None:
    """Send a gigabyte; whoever reads it all has failed."""
    for _ in range(1000):
        wire.send(b"x" * 1_000_000)


MALFORMED = {
    "nothing": b"",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "infinite number": b"1e999",
    "text": b'"{ __typename }"',
    "array": b"[]",
    "batch": b"[%s, %s]" % (QUERY, QUERY),
    "empty object": b"{}",
    "half": QUERY[:9],
    "more": QUERY + b" x",
    "two": QUERY + QUERY,
    "single quotes": b"{'query': '{ __typename }'}",
    "comment": b"/**/" + QUERY,
    "trailing comma": b'{"query": "{ __typename }",}',
    "control character": b'{"query": "{\n}"}',
    "NUL": b"\0",
    "invalid UTF-8": b'{"query": "\xff\xfe"}',
    "overlong UTF-8": b'{"query": "\xc0\xaf"}',
    "surrogates in UTF-8": b'{"query": "\xed\xa0\x80"}',
    "latin-1": '{"query": "é"}'.encode("latin-1"),
    "UTF-16": QUERY.decode().encode("utf-16"),
    "UTF-16, little end first": QUERY.decode().encode("utf-16-le"),
    "UTF-32": QUERY.decode().encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + QUERY,
    "NaN": DEEP % b"NaN",
    "infinity": DEEP % b"-Infinity",
    "5000 digits": DEEP % (b"9" * 5000),
    "5000 digits alone": b"9" * 5000,
    "200 arrays": b"[" * 200 + b"]" * 200,
    "40000 arrays": b"[" * 40_000 + b"]" * 40_000,
    "99000 arrays open": b"[" * 99_000,
    "16000 objects": b'{"a":' * 16_000 + b"1" + b"}" * 16_000,
    "16000 objects in variables": DEEP % (b'{"a":' * 16_000 + b"1" + b"}" * 16_000),
    "same key twice": b'{"query": "{ a }", "query": "{ __typename }"}',
    "same key twice, escaped": b'{"query": "{ a }", "\\u0071uery": "{ __typename }"}',
    "same key twice, deeper": DEEP % b'{"b": 1, "b": 2}',
    "huge key alone": b'{"%s": 1}' % (b"k" * 90_000),
    "null query": b'{"query": null}',
    "empty query": b'{"query": " "}',
    "number as query": b'{"query": 1}',
    "array as query": b'{"query": ["{ __typename }"]}',
    "array of variables": b'{"query": "{ __typename }", "variables": []}',
    "text of variables": b'{"query": "{ __typename }", "variables": "{}"}',
    "number as name": b'{"query": "{ __typename }", "operationName": 1}',
    "form": b"query=%7B__typename%7D",
    "gzip": gzip.compress(QUERY),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed(server: Process, body: bytes) -> None:
    """A malformed body is a 400 in GraphQL's shape and one line of the log, by either framing."""
    before = len(lines(server))
    with connected(server) as wire:
        answered = wire.post(body)
        assert (answered.status, answered.codes) == (400, ["BAD_USER_INPUT"])
        wire.send(head(Transfer_Encoding="chunked"))
        for start in range(0, len(body), 50_000):
            piece = body[start : start + 50_000]
            wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        wire.send(b"0\r\n\r\n")
        chunked = wire.answer()
        assert (chunked.status, chunked.body) == (400, answered.body)
        assert is_usable(wire)
    [message] = {error["message"] for error in answered.json["errors"]}
    assert lines(server)[before:] == [f"is refused, 400: {message}"] * 2


HARMLESS = {
    "half a character": b'{"query": "{ __typename }", "variables": {"a": "\\ud83c"}}',
    "half a character as name": b'{"query": "query a { __typename }", "operationName": "\\ud83c"}',
    "half a character in the query": b'{"query": "{ \\ud83c }"}',
    "NUL in the query": b'{"query": "{ \\u0000 }"}',
    "huge key": b'{"%s": 1, "query": "{ __typename }"}' % (b"k" * 90_000),
    "30000 keys": json.dumps({**dict.fromkeys(map(str, range(8000)), 1), "query": "{a}"}).encode(),
    "1e999": DEEP % b"1e999",
    "4300 digits": DEEP % (b"9" * 4300),
    "200 arrays in variables": DEEP % (b"[" * 200 + b"]" * 200),
    "400 objects in variables": DEEP % (b'{"a":' * 400 + b"1" + b"}" * 400),
    "long list": DEEP % (b"[" + b"1," * 40_000 + b"1]"),
}


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
def test_harmless(server: Process, body: bytes) -> None:
    """What is JSON, however odd, is answered as GraphQL, and logged only if it is too complex."""
    before = len(lines(server))
    with connected(server) as wire:
        answered = wire.post(body)
        assert answered.status == 200
        assert set(answered.json) <= {"data", "errors"}
        typed = wire.post(body, Accept="application/graphql-response+json")
        assert typed.status == (200 if "data" in answered.json else 400)
        assert typed.body == answered.body
        assert is_usable(wire)
    complex_ = [error for error in answered.json.get("errors", ()) if "complex" in error["message"]]
    told = [f"is refused: {error['message']}" for error in complex_]
    assert lines(server)[before:] == told * 2


def test_too_large(server: Process) -> None:
    """A body that announces too much is refused before it is sent, and what comes is let pass."""
    before = len(lines(server))
    with connected(server) as wire:
        wire.send(head(Content_Length="3000000"))
        answered = wire.answer()
        assert (answered.status, answered.codes) == (413, ["BAD_USER_INPUT"])
        assert answered.json["errors"][0]["message"] == "Send at most 100000 bytes."
        for _ in range(30):
            wire.send(b"x" * 100_000)
        assert is_usable(wire)
    assert lines(server)[before:] == ["is refused, 413: Send at most 100000 bytes."]


@pytest.mark.parametrize("length", ["9" * 18, "100001"])
def test_announced_length(server: Process, length: str) -> None:
    """One byte too many is too many, and so is any number of them."""
    with connected(server) as wire:
        wire.send(head(Content_Length=length))
        assert wire.answer().status == 413


def test_largest(server: Process) -> None:
    """A body of exactly the limit is answered."""
    with connected(server) as wire:
        assert wire.post(QUERY + b" " * (LIMIT - len(QUERY))).status == 200
        assert wire.post(QUERY + b" " * (LIMIT + 1 - len(QUERY))).status == 413
        assert is_usable(wire)


def test_too_large_unannounced(server: Process) -> None:
    """A body in pieces is counted while it comes, and refused before its end."""
    with connected(server) as wire:
        wire.send(head(Transfer_Encoding="chunked"))
        piece = b"%x\r\n%s\r\n" % (50_000, b" " * 50_000)
        wire.send(piece * 3)
        answered = wire.answer()
        assert (answered.status, answered.codes) == (413, ["BAD_USER_INPUT"])
        wire.send(piece * 3 + b"0\r\n\r\n")
        assert is_usable(wire)


def test_too_large_without_end(server: Process) -> None:
    """Who goes on sending for ever after the answer is cut off, and others are served."""
    with connected(server) as wire:
        wire.send(head(Content_Length="1000000000"))
        assert wire.answer().status == 413
        with pytest.raises(ConnectionError):
            send_without_end(wire)
    assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
def test_compressed(server: Process, encoding: str) -> None:
    """A compressed body is refused unread, so that no bomb is ever unpacked."""
    with connected(server) as wire:
        answered = wire.post(gzip.compress(b" " * 10_000_000), Content_Encoding=encoding)
        assert (answered.status, answered.codes) == (415, ["BAD_USER_INPUT"])
        assert answered.headers["Accept-Encoding"] == "identity"
        assert is_usable(wire)
        assert wire.post(QUERY, Content_Encoding="Identity").status == 200


PARAMETERS = {
    "none": "",
    "empty": "query=",
    "not JSON": "query={__typename}&variables={",
    "an array": "query={__typename}&variables=[]",
    "twice": "query={__typename}&query={__typename}",
    "NaN": 'query={__typename}&variables={"a":NaN}',
    "deep": "query={__typename}&variables=" + "[" * 20_000,
}


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
def test_malformed_parameters(server: Process, parameters: str) -> None:
    """Malformed parameters of a GET are a 400 in GraphQL's shape, and one line of the log."""
    before = len(lines(server))
    with connected(server) as wire:
        wire.send(head(f"GET /graphql?{parameters}".rstrip("?")))
        answered = wire.answer()
        assert (answered.status, answered.codes) == (400, ["BAD_USER_INPUT"])
        assert is_usable(wire)
    assert len(lines(server)) == before + 1


REQUESTS = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "other version": b"GET / HTTP/9.9\r\n\r\n",
    "two lengths": head(Content_Length="1", content_length="2") + b"12",
    "length and pieces": head(Content_Length="27", Transfer_Encoding="chunked") + QUERY,
    "negative length": head(Content_Length="-1"),
    "length in words": head(Content_Length="many"),
    "no number of bytes": head(Transfer_Encoding="chunked") + b"zz\r\n",
    "line break in a header": b"GET / HTTP/1.1\r\nA: b\r\n c\0d: e\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_no_http(server: Process, request_: bytes) -> None:
    """What is no HTTP is a 400 in GraphQL's shape, after which the connection is closed."""
    with connected(server) as wire:
        wire.send(request_)
        answered = wire.answer()
        assert (answered.status, answered.codes) == (400, ["BAD_USER_INPUT"])
        assert wire.closed()
    assert "Traceback" not in server.said


def test_endless_head(server: Process) -> None:
    """An address or header without end is refused before it fills the memory."""
    with connected(server) as wire:
        wire.send(b"GET /graphql?query=")
        with pytest.raises(ConnectionError):
            send_without_end(wire)
    with connected(server) as wire:
        wire.send(b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000)
        answered = wire.answer()
        assert (answered.status, answered.codes) == (431, ["BAD_USER_INPUT"])
