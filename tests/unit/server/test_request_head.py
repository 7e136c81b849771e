"""Heads of requests: their Host, their size, and trailers, which belong to no head."""

import json
from collections.abc import Iterator

import pytest

from graphql_api.server.request_head import MAX_HEAD_BYTES
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, TYPENAME_RESPONSE, RawResponse, is_usable, open_connection, request_head

TOO_LARGE = "Send at most 65536 bytes of address and headers."
GET = "GET /graphql?query=%7B__typename%7D"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server of the bundled data that requires a token, and check its log at the end."""
    folder = tmp_path_factory.mktemp("heads")
    with running_server(folder, **BUNDLED_SOURCES, ADMIN_TOKEN="a-token-of-enough-characters") as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process
        assert "Traceback" not in process.stderr, process.stderr


def exchange(server: Process, request: bytes, size: int = 1_000_000) -> RawResponse:
    """Send a request in segments of a size over a connection of its own, and return the response."""
    with open_connection(server) as connection:
        for begin in range(0, len(request), size):
            try:
                connection.send(request[begin : begin + size])
            except OSError:  # the server has responded and closed
                break
        return connection.read_response(request.partition(b" ")[0].decode())


def with_hosts(line: str, *hosts: str) -> bytes:
    """Return a request with these Host headers."""
    return "".join([f"{line}\r\n", *(f"{host}\r\n" for host in hosts), "\r\n"]).encode("latin-1")


@pytest.mark.parametrize("path", ["/graphql?query=%7B__typename%7D", "/healthz"])
@pytest.mark.parametrize(
    ("version", "hosts", "problem"),
    [
        ("1.1", [], "missing"),
        ("1.1", ["Host: a", "Host: a"], "given 2 times"),
        ("1.1", ["Host: a", "hOST: b", "Host: c"], "given 3 times"),
        ("1.1", ["Host: a b"], "not valid"),
        ("1.1", ["Host: a, b"], "not valid"),
        ("1.1", ["Host: http://a"], "not valid"),
        ("1.1", ["Host:"], "not valid"),
        ("1.1", ["Host: a:99999"], "not valid"),
        ("1.1", ["Host: caf\xe9"], "not valid"),
        ("1.0", ["Host: a", "Host: b"], "given 2 times"),
        ("1.0", ["Host: a b"], "not valid"),
        ("1.1", ["Host: a"], None),
        ("1.1", ["hOST:\t[::1]:8000 \t"], None),
        ("1.0", ["Host: a"], None),
        ("1.0", [], None),
    ],
)
def test_host(server: Process, path: str, version: str, hosts: list[str], problem: str | None) -> None:
    """A request has one valid Host; only one of HTTP/1.0 may have none."""
    response = exchange(server, with_hosts(f"GET {path} HTTP/{version}", *hosts))
    if problem is None:
        assert response.status == 200
    else:
        message = f"The Host header is {problem}. Send one, for example Host: countries.example.org:8000."
        assert (response.status, response.json["errors"][0]["message"]) == (400, message)
        assert response.headers["Connection"] == "close"


def test_host_of_each_request(server: Process) -> None:
    """Each request of a connection needs a Host, also after one that had it."""
    good, missing = request_head(GET), with_hosts(f"{GET} HTTP/1.1")
    with open_connection(server) as connection:
        connection.send(good * 2 + missing + good)
        assert [connection.read_response("GET").status for _ in range(3)] == [200, 200, 400]
        assert connection.is_closed()


def test_host_of_a_handshake(server: Process) -> None:
    """A WebSocket handshake needs a Host too."""
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="
    response = exchange(server, with_hosts("GET /graphql HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket", key))
    assert (response.status, response.error_codes) == (400, ["BAD_USER_INPUT"])


def head_of_size(size: int, kind: str) -> bytes:
    """Return a request whose head has exactly this many bytes, in one way or another."""
    empty = len(request_head(GET, X=""))
    if kind == "one header":
        return request_head(GET, X="x" * (size - empty))
    if kind == "address":
        return request_head(f"{GET}&operationName=&x={'x' * (size - len(request_head(f'{GET}&operationName=&x=')))}")
    count = (size - empty) // 100
    headers = {f"X{number:04}": "x" * 91 for number in range(count)}
    return request_head(GET, X="x" * (size - len(request_head(GET, X="", **headers))), **headers)


@pytest.mark.parametrize("kind", ["one header", "address", "many headers"])
@pytest.mark.parametrize("segment_bytes", [1_000_000, 60_000, 1000])
def test_size(server: Process, kind: str, segment_bytes: int) -> None:
    """A head beyond the limit is rejected, whether it arrives at once or in segments; one of the limit is served."""
    allowed, rejected = head_of_size(65_500, kind), head_of_size(100_000, kind)
    assert [len(allowed), len(rejected)] == [65_500, 100_000]
    assert MAX_HEAD_BYTES == 65_536
    assert exchange(server, allowed, segment_bytes).json == TYPENAME_RESPONSE
    response = exchange(server, rejected, segment_bytes)
    assert (response.status, response.json["errors"][0]["message"]) == (431, TOO_LARGE)


def test_size_after_other_requests(server: Process) -> None:
    """A large head is rejected behind others in the same segment, and after their responses."""
    body = b'{"query": "mutation { deleteCountry(code: \\"XX\\") { code } }"}'
    with open_connection(server) as connection:
        post = request_head(Content_Length=str(len(body))) + body
        connection.send(post + request_head(GET) + head_of_size(70_000, "one header"))
        statuses = [connection.read_response(method).status for method in ("POST", "GET", "GET")]
        assert statuses == [200, 200, 431]
        assert connection.is_closed()


def test_endless_head_is_not_held(server: Process) -> None:
    """Of a head that does not end, little more than the limit is read."""
    with open_connection(server) as connection:
        connection.send(f"{GET} HTTP/1.1\r\nHost: a\r\nX: ".encode())
        sent = 0
        while sent < 20_000_000:
            try:
                connection.send(b"x" * 50_000)
            except OSError:
                break
            sent += 50_000
        assert sent < 20_000_000


def chunked(body: bytes, trailers: bytes) -> bytes:
    """Return a POST in one chunk, with trailers."""
    return request_head(Transfer_Encoding="chunked") + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


@pytest.mark.parametrize("size", [1_000_000, 1])
def test_trailers_are_no_headers(server: Process, size: int) -> None:
    """Trailers are ignored: they neither authorize a request nor change its type, host or response."""
    body = json.dumps({"query": 'mutation { deleteCountry(code: "AQ") { code } }'}).encode()
    trailers = (
        b"Authorization: Bearer a-token-of-enough-characters\r\nHost: b\r\nHost: c\r\nContent-Type: text/plain\r\n"
        b"Accept: image/png\r\nContent-Encoding: gzip\r\nX-Forwarded-For: 198.51.100.7\r\n"
    )
    [error] = exchange(server, chunked(body, trailers), size).json["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert exchange(server, chunked(QUERY, trailers), size).json == TYPENAME_RESPONSE
    assert server.query('{ country(code: "AQ") { code } }') == {"data": {"country": {"code": "AQ"}}}


@pytest.mark.parametrize("trailer", [b"X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n" * 1000, b"x" * 50_000])
def test_endless_trailers(server: Process, trailer: bytes) -> None:
    """Trailers that do not end are rejected like a large head."""
    with open_connection(server) as connection:
        connection.send(request_head(Transfer_Encoding="chunked") + b"1\r\n{\r\n0\r\nX: ")
        for _ in range(100):
            try:
                connection.send(trailer)
            except OSError:
                break
        assert connection.read_response().status == 431
        assert connection.is_closed()


def test_many_small_chunks(server: Process) -> None:
    """A body in chunks of one byte, each size in a segment of its own, is no large head."""
    body = QUERY + b" " * 30_000
    with open_connection(server) as connection:
        connection.send(request_head(Transfer_Encoding="chunked"))
        connection.send(b"".join(b"1;%b\r\n%c\r\n" % (b"x" * 9, byte) for byte in body) + b"0\r\n\r\n")
        assert connection.read_response().json == TYPENAME_RESPONSE
        assert is_usable(connection)
