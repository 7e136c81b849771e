"""Upgrade headers: only a WebSocket handshake changes the protocol, and it waits for earlier responses."""

import json
from collections.abc import Iterator

import pytest

from tests.support.metrics_scrape import Scraper, counter_increases
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, TYPENAME_RESPONSE, RawConnection, open_connection, request_head

UPGRADES = {
    "java.net.http": {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAEAAEAAAAIAAAAB"},
    "TLS": {"Connection": "Upgrade", "Upgrade": "TLS/1.0"},
    "unknown": {"Connection": "keep-alive, upgrade", "Upgrade": "foo"},
    "empty": {"Connection": "Upgrade", "Upgrade": ""},
    "list": {"Connection": "Upgrade", "Upgrade": "h2c, websocket"},
    "two headers": {"Connection": "Upgrade\r\nConnection: keep-alive", "Upgrade": "websocket\r\nUpgrade: h2c"},
    "WebSocket": {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"},
}
HANDSHAKE = request_head(
    "GET /graphql",
    Connection="Upgrade",
    Upgrade="websocket",
    Sec_WebSocket_Version="13",
    Sec_WebSocket_Key="x3JJHMbDL1EzLkh9GBhXDw==",
    Sec_WebSocket_Protocol="graphql-transport-ws",
)
INIT_FRAME = b"\x81\x9b\0\0\0\0" + b'{"type": "connection_init"}'
ACK_FRAME = b"\x81\x19" + b'{"type":"connection_ack"}'
DELETION = b'{"query": "mutation { deleteCountry(code: \\"AQ\\") { code } }"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server of the bundled data, and check its log at the end."""
    with running_server(tmp_path_factory.mktemp("upgrade"), **BUNDLED_SOURCES) as process:
        process.wait_for_log(r"250 countries \(0 new")
        yield process
        assert "Traceback" not in process.stderr, process.stderr
        assert "WARNING" not in process.stderr, process.stderr


def build_post(upgrade: dict[str, str], body: bytes, *, chunked: bool = False) -> bytes:
    """Return a POST with an Upgrade header, its body in chunks of nine bytes or whole."""
    if not chunked:
        return request_head(**upgrade, Content_Length=str(len(body))) + body
    chunks = [body[begin : begin + 9] for begin in range(0, len(body), 9)]
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return request_head(**upgrade, Transfer_Encoding="chunked") + encoded + b"0\r\n\r\n"


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [1_000_000, 1, 40, 300], ids=["whole", "bytes", "pieces", "body later"])
def test_post_keeps_its_body(server: Process, upgrade: dict[str, str], chunked: bool, size: int) -> None:
    """A POST whose upgrade is ignored is served with its body, and so are the requests after it."""
    request = build_post(upgrade, QUERY, chunked=chunked)
    stream = request * 2 + build_post({}, QUERY) + request
    with open_connection(server) as connection:
        for begin in range(0, len(stream), size):
            connection.send(stream[begin : begin + size])
        for _ in range(4):
            response = connection.read_response()
            assert (response.status, response.json) == (200, TYPENAME_RESPONSE)
            assert response.headers["Connection"] is None
            assert response.headers["Upgrade"] is None


def test_body_of_a_later_segment(server: Process) -> None:
    """A body that the client sends once the server has had time to read the head is the request's body."""
    head = request_head(**UPGRADES["java.net.http"], Content_Length=str(len(QUERY)))
    with open_connection(server) as connection:
        connection.send(head)
        assert server.query("{ __typename }") == TYPENAME_RESPONSE
        for byte in QUERY:
            connection.send(bytes([byte]))
        assert connection.read_response().json == TYPENAME_RESPONSE
        connection.send(build_post({}, QUERY))
        assert connection.read_response().json == TYPENAME_RESPONSE


def test_body_that_looks_like_a_request(server: Process) -> None:
    """The body of a request whose upgrade is ignored is never served as a second request."""
    smuggled = build_post({}, DELETION)
    before = Scraper(server).scrape()
    with open_connection(server) as connection:
        connection.send(build_post(UPGRADES["java.net.http"], smuggled))
        connection.send(build_post({}, QUERY))
        assert connection.read_response().status == 400
        assert connection.read_response().json == TYPENAME_RESPONSE
    increases = counter_increases(before, Scraper(server).scrape())
    requests = {name: count for name, count in increases.items() if name.startswith("graphql_api_requests_total")}
    assert requests == {
        'graphql_api_requests_total{kind="none",status="400"}': 1.0,
        'graphql_api_requests_total{kind="query",status="200"}': 1.0,
    }
    assert server.query('{ country(code: "AQ") { code } }') == {"data": {"country": {"code": "AQ"}}}


@pytest.mark.parametrize("name", ["java.net.http", "TLS", "unknown", "empty", "list", "two headers"])
def test_get(server: Process, name: str) -> None:
    """A GET whose upgrade is ignored is served, and so is the request after it in the same segment."""
    with open_connection(server) as connection:
        request = request_head("GET /graphql?query=%7B__typename%7D", **UPGRADES[name])
        connection.send(request * 3 + request_head("GET /healthz"))
        assert [connection.read_response("GET").json for _ in range(3)] == [TYPENAME_RESPONSE] * 3
        assert connection.read_response("GET").json == {"status": "ok"}


@pytest.mark.parametrize(
    "request_",
    [
        build_post({"Connection": "Upgrade, close", "Upgrade": "h2c"}, QUERY),
        build_post(UPGRADES["java.net.http"], QUERY).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        build_post(UPGRADES["WebSocket"], QUERY).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    ],
)
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_last_request(server: Process, request_: bytes, size: int) -> None:
    """A request with an Upgrade header that is the last one of its connection is served before it closes."""
    with open_connection(server) as connection:
        for begin in range(0, len(request_), size):
            connection.send(request_[begin : begin + size])
        response = connection.read_response()
        assert (response.status, response.json) == (200, TYPENAME_RESPONSE)
        assert connection.is_closed()


def test_expect_continue(server: Process) -> None:
    """A POST with Upgrade and Expect is told to go on once, and then is served."""
    with open_connection(server) as connection:
        head = request_head(**UPGRADES["java.net.http"], Expect="100-continue", Content_Length=str(len(QUERY)))
        connection.send(head)
        assert connection._reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert connection._reader.readline() == b"\r\n"
        connection.send(QUERY)
        assert connection.read_response().json == TYPENAME_RESPONSE


@pytest.mark.parametrize("tail", [b"", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"])
def test_connect(server: Process, tail: bytes) -> None:
    """CONNECT, which is for proxies, is rejected, and what follows it is not read as a request."""
    with open_connection(server) as connection:
        connection.send(request_head("CONNECT countries.example:443") + tail)
        response = connection.read_response("GET")
        assert (response.status, response.error_codes) == (405, ["BAD_USER_INPUT"])
        assert response.headers["Allow"] == "GET, POST"
        assert connection.is_closed()


def read_switch(connection: RawConnection) -> None:
    """Read the response that opens a WebSocket."""
    assert connection._reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
    while connection._reader.readline() != b"\r\n":
        pass


@pytest.mark.parametrize("count", [1, 3])
def test_handshake_after_a_mutation(server: Process, count: int) -> None:
    """A handshake in the segment of earlier requests gets its response after theirs."""
    mutation = json.dumps({"query": 'mutation { deleteCountry(code: "XX") { code } }'}).encode()
    with open_connection(server) as connection:
        connection.send(build_post({}, mutation) * count + HANDSHAKE)
        for _ in range(count):
            [error] = connection.read_response().json["errors"]
            assert error["extensions"]["code"] == "COUNTRY_NOT_FOUND"
        read_switch(connection)
        connection.send(INIT_FRAME)
        assert connection._reader.read(len(ACK_FRAME)) == ACK_FRAME


def test_frames_with_the_handshake(server: Process) -> None:
    """Frames in the segment of the handshake and of the mutation before it are not lost."""
    mutation = json.dumps({"query": 'mutation { deleteCountry(code: "XX") { code } }'}).encode()
    with open_connection(server) as connection:
        connection.send(build_post({}, mutation) + HANDSHAKE + INIT_FRAME)
        assert connection.read_response().status == 200
        read_switch(connection)
        assert connection._reader.read(len(ACK_FRAME)) == ACK_FRAME


@pytest.mark.parametrize(
    "invalid", [b"\0\r\n\r\n", request_head("GET /healthz", Host="a b"), b"GET / HTTP/9.9\r\n\r\n"]
)
def test_rejection_after_a_mutation(server: Process, invalid: bytes) -> None:
    """A request that is rejected gets its response after those of the earlier requests of its segment."""
    mutation = json.dumps({"query": 'mutation { deleteCountry(code: "XX") { code } }'}).encode()
    with open_connection(server) as connection:
        connection.send(build_post({}, mutation) * 2 + invalid)
        for _ in range(2):
            [error] = connection.read_response().json["errors"]
            assert error["extensions"]["code"] == "COUNTRY_NOT_FOUND"
        response = connection.read_response()
        assert (response.status, response.error_codes) == (400, ["BAD_USER_INPUT"])
        assert connection.is_closed()


def test_bad_chunk_after_a_mutation(server: Process) -> None:
    """A request with a malformed body waits for earlier responses, then gets 400 and is not executed."""
    deletion = request_head(Transfer_Encoding="chunked") + b"%x\r\n%b\r\nzz\r\n" % (len(DELETION), DELETION)
    mutation = json.dumps({"query": 'mutation { deleteCountry(code: "XX") { code } }'}).encode()
    with open_connection(server) as connection:
        connection.send(build_post({}, mutation) + deletion)
        assert connection.read_response().status == 200
        assert connection.read_response().status == 400
        assert connection.is_closed()
    assert server.query('{ country(code: "AQ") { code } }') == {"data": {"country": {"code": "AQ"}}}


def test_bad_chunk_after_the_response(server: Process) -> None:
    """A malformed body of a request that already has its response gets no second one."""
    with open_connection(server) as connection:
        connection.send(request_head("POST /none", Transfer_Encoding="chunked") + b"1\r\na\r\n")
        assert connection.read_response().status == 404
        connection.send(b"zz\r\n")
        assert connection.is_closed()
