"""Malformed bodies on a real server: each is rejected with one log line and no other effect."""

import gzip
import json
from collections.abc import Iterator

import pytest

from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, RawConnection, is_usable, open_connection, request_head

VARIABLE_TEMPLATE = b'{"query": "{ __typename }", "variables": {"a": %s}}'
MAX_BODY_BYTES = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server with bundled sources."""
    with running_server(tmp_path_factory.mktemp("bodies"), **BUNDLED_SOURCES) as process:
        process.wait_for_log("Ctrl-C stops")
        yield process


def request_log_lines(server: Process) -> list[str]:
    """Return the log lines about requests, without times and ids."""
    log_lines = server.stderr.splitlines()
    return [line.split(maxsplit=4)[-1] for line in log_lines if " Request " in line]


def send_forever(connection: RawConnection) -> None:
    """Send a gigabyte, which no server should read to its end."""
    for _ in range(1000):
        connection.send(b"x" * 1_000_000)


MALFORMED = {
    "nothing": b"",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "infinite number": b"1e999",
    "text": b'"{ __typename }"',
    "array": b"[]",
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
    "NaN": VARIABLE_TEMPLATE % b"NaN",
    "infinity": VARIABLE_TEMPLATE % b"-Infinity",
    "5000 digits": VARIABLE_TEMPLATE % (b"9" * 5000),
    "5000 digits alone": b"9" * 5000,
    "40000 arrays": b"[" * 40_000 + b"]" * 40_000,
    "99000 arrays open": b"[" * 99_000,
    "16000 objects": b'{"a":' * 16_000 + b"1" + b"}" * 16_000,
    "16000 objects in variables": VARIABLE_TEMPLATE % (b'{"a":' * 16_000 + b"1" + b"}" * 16_000),
    "same key twice": b'{"query": "{ a }", "query": "{ __typename }"}',
    "same key twice, escaped": b'{"query": "{ a }", "\\u0071uery": "{ __typename }"}',
    "same key twice, deeper": VARIABLE_TEMPLATE % b'{"b": 1, "b": 2}',
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
    """A malformed body gets a 400 in GraphQL's shape and one log line, whole or in chunks."""
    before = len(request_log_lines(server))
    with open_connection(server) as connection:
        response = connection.post(body)
        assert (response.status, response.error_codes) == (400, ["BAD_USER_INPUT"])
        connection.send(request_head(Transfer_Encoding="chunked"))
        for start in range(0, len(body), 50_000):
            chunk = body[start : start + 50_000]
            connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        connection.send(b"0\r\n\r\n")
        chunked_response = connection.read_response()
        assert (chunked_response.status, chunked_response.body) == (400, response.body)
        assert is_usable(connection)
    [message] = {error["message"] for error in response.json["errors"]}
    assert request_log_lines(server)[before:] == [f"from 127.0.0.1 is refused, 400: {message}"] * 2


HARMLESS = {
    "half a character": b'{"query": "{ __typename }", "variables": {"a": "\\ud83c"}}',
    "half a character as name": b'{"query": "query a { __typename }", "operationName": "\\ud83c"}',
    "half a character in the query": b'{"query": "{ \\ud83c }"}',
    "NUL in the query": b'{"query": "{ \\u0000 }"}',
    "huge key": b'{"%s": 1, "query": "{ __typename }"}' % (b"k" * 90_000),
    "30000 keys": json.dumps({**dict.fromkeys(map(str, range(8000)), 1), "query": "{a}"}).encode(),
    "1e999": VARIABLE_TEMPLATE % b"1e999",
    "4300 digits": VARIABLE_TEMPLATE % (b"9" * 4300),
    "200 arrays in variables": VARIABLE_TEMPLATE % (b"[" * 200 + b"]" * 200),
    "400 objects in variables": VARIABLE_TEMPLATE % (b'{"a":' * 400 + b"1" + b"}" * 400),
    "long list": VARIABLE_TEMPLATE % (b"[" + b"1," * 40_000 + b"1]"),
}


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
def test_harmless(server: Process, body: bytes) -> None:
    """Odd but valid JSON gets a GraphQL response, and is logged only if it exceeds a limit."""
    before = len(request_log_lines(server))
    with open_connection(server) as connection:
        response = connection.post(body)
        assert response.status == 200
        assert set(response.json) <= {"data", "errors"}
        spec_response = connection.post(body, Accept="application/graphql-response+json")
        assert spec_response.status == (200 if "data" in response.json else 400)
        assert spec_response.body == response.body
        assert is_usable(connection)
    complexity_errors = [error for error in response.json.get("errors", ()) if "complex" in error["message"]]
    logged = [f"from 127.0.0.1 is refused: {error['message']}" for error in complexity_errors]
    assert request_log_lines(server)[before:] == logged * 2


def test_too_large(server: Process) -> None:
    """A body with too large a Content-Length is rejected at once, and what is sent is discarded."""
    before = len(request_log_lines(server))
    with open_connection(server) as connection:
        connection.send(request_head(Content_Length="3000000"))
        response = connection.read_response()
        assert (response.status, response.error_codes) == (413, ["BAD_USER_INPUT"])
        assert response.json["errors"][0]["message"] == "Send at most 100000 bytes."
        for _ in range(30):
            connection.send(b"x" * 100_000)
        assert is_usable(connection)
    assert request_log_lines(server)[before:] == ["from 127.0.0.1 is refused, 413: Send at most 100000 bytes."]


@pytest.mark.parametrize("length", ["9" * 18, "100001"])
def test_announced_length(server: Process, length: str) -> None:
    """A body one byte above the limit is rejected, and so is one far above it."""
    with open_connection(server) as connection:
        connection.send(request_head(Content_Length=length))
        assert connection.read_response().status == 413


def test_largest(server: Process) -> None:
    """A body of exactly the limit is accepted."""
    with open_connection(server) as connection:
        assert connection.post(QUERY + b" " * (MAX_BODY_BYTES - len(QUERY))).status == 200
        assert connection.post(QUERY + b" " * (MAX_BODY_BYTES + 1 - len(QUERY))).status == 413
        assert is_usable(connection)


def test_too_large_unannounced(server: Process) -> None:
    """A body in chunks is counted as it arrives, and rejected before its end."""
    with open_connection(server) as connection:
        connection.send(request_head(Transfer_Encoding="chunked"))
        chunk = b"%x\r\n%s\r\n" % (50_000, b" " * 50_000)
        connection.send(chunk * 3)
        response = connection.read_response()
        assert (response.status, response.error_codes) == (413, ["BAD_USER_INPUT"])
        connection.send(chunk * 3 + b"0\r\n\r\n")
        assert is_usable(connection)


def test_too_large_without_end(server: Process) -> None:
    """A client that goes on sending after the response is disconnected; others are served."""
    with open_connection(server) as connection:
        connection.send(request_head(Content_Length="1000000000"))
        assert connection.read_response().status == 413
        with pytest.raises(ConnectionError):
            send_forever(connection)
    assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
def test_compressed(server: Process, encoding: str) -> None:
    """A compressed body is rejected unread, so no bomb is ever unpacked."""
    with open_connection(server) as connection:
        response = connection.post(gzip.compress(b" " * 10_000_000), Content_Encoding=encoding)
        assert (response.status, response.error_codes) == (415, ["BAD_USER_INPUT"])
        assert response.headers["Accept-Encoding"] == "identity"
        assert is_usable(connection)
        assert connection.post(QUERY, Content_Encoding="Identity").status == 200


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
    """Malformed parameters of a GET get a 400 in GraphQL's shape and one log line."""
    before = len(request_log_lines(server))
    with open_connection(server) as connection:
        connection.send(request_head(f"GET /graphql?{parameters}".rstrip("?")))
        response = connection.read_response()
        assert (response.status, response.error_codes) == (400, ["BAD_USER_INPUT"])
        assert is_usable(connection)
    assert len(request_log_lines(server)) == before + 1


REQUESTS = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "other version": b"GET / HTTP/9.9\r\n\r\n",
    "two lengths": request_head(Content_Length="1", content_length="2") + b"12",
    "length and pieces": request_head(Content_Length="27", Transfer_Encoding="chunked") + QUERY,
    "negative length": request_head(Content_Length="-1"),
    "length in words": request_head(Content_Length="many"),
    "no number of bytes": request_head(Transfer_Encoding="chunked") + b"zz\r\n",
    "line break in a header": b"GET / HTTP/1.1\r\nA: b\r\n c\0d: e\r\n\r\n",
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_no_http(server: Process, request_: bytes) -> None:
    """Malformed HTTP gets a 400 in GraphQL's shape, and the connection is closed."""
    with open_connection(server) as connection:
        connection.send(request_)
        response = connection.read_response()
        assert (response.status, response.error_codes) == (400, ["BAD_USER_INPUT"])
        assert connection.is_closed()
    assert "Traceback" not in server.stderr


def test_endless_head(server: Process) -> None:
    """An endless request line or header is rejected before it fills the memory."""
    with open_connection(server) as connection:
        connection.send(b"GET /graphql?query=")
        with pytest.raises(ConnectionError):
            send_forever(connection)
    with open_connection(server) as connection:
        connection.send(b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000)
        response = connection.read_response()
        assert (response.status, response.error_codes) == (431, ["BAD_USER_INPUT"])
