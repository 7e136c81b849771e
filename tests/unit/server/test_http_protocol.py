"""Responses of the protocol's fast path equal those of the application."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPMessage
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.metrics_scrape import Scraper, counter_increases
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.raw_http import QUERY, TYPENAME_RESPONSE, RawConnection, RawResponse, open_connection, request_head

LIST_BODY = b'{"query": "{ countries { nodes { code name population } } }"}'
GET_LINE = f"GET /graphql?query={quote('{ countries { nodes { code } } }')}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server with KEEP_ALIVE=1 and one allowed origin."""
    folder = tmp_path_factory.mktemp("server")
    changes = {"KEEP_ALIVE": "1", "CORS_ORIGINS": "https://countries.example"}
    with running_server(folder, **BUNDLED_SOURCES, **changes) as process:
        # After the refresh of the start, which changes the ETags.
        process.wait_for_log(r"250 countries \(0 new")
        yield process


def build_post(body: bytes, **headers: str) -> bytes:
    """Return a POST request with this body."""
    return request_head(Content_Length=str(len(body)), **headers) + body


def exchange(connection: RawConnection, request: bytes) -> RawResponse:
    """Send a request and return its response."""
    connection.send(request)
    return connection.read_response(request.partition(b" ")[0].decode())


def stable_headers(headers: HTTPMessage) -> list[tuple[str, str]]:
    """Return the headers except those that differ each time."""
    return sorted(
        (name.lower(), value) for name, value in headers.items() if name.lower() not in ("date", "x-request-id")
    )


@pytest.mark.parametrize(
    "request_",
    [
        build_post(LIST_BODY),
        build_post(LIST_BODY, Accept_Encoding="br"),
        build_post(LIST_BODY, Accept_Encoding="gzip"),
        build_post(LIST_BODY, Accept="application/graphql-response+json"),
        build_post(LIST_BODY, Content_Type="application/json; charset=utf-8"),
        build_post(LIST_BODY, Connection="close"),
        build_post(LIST_BODY, Origin="https://countries.example"),
        build_post(LIST_BODY, Origin="https://elsewhere.example"),
        request_head(GET_LINE),
        request_head(GET_LINE, Accept_Encoding="br"),
        request_head(GET_LINE, Accept="text/html"),
        request_head(GET_LINE.replace("GET", "HEAD")),
        request_head("GET /graphql"),
        request_head(GET_LINE.replace("?", "/?")),
        request_head(GET_LINE.replace("?", "/?"), Accept_Encoding="gzip"),
        request_head(f"{GET_LINE}&variables=&extensions=&operationName="),
        request_head(f"{GET_LINE}#fragment"),
        request_head(f"{GET_LINE}&variables=%7B%7D#&variables=1"),
        request_head(GET_LINE.replace("?", "#?")),
        request_head("GET /graphql/"),
        build_post(LIST_BODY.replace(b"code", b"cod")),
        build_post(LIST_BODY, Content_Type="text/plain"),
        build_post(LIST_BODY, Content_Type="application/json; charset=utf-16"),
        build_post(LIST_BODY, Content_Encoding="gzip"),
    ],
)
def test_repeated_requests(server: Process, request_: bytes) -> None:
    """A repeated request gets the status, headers and bytes of its first execution, and so does one from the cache."""
    responses = []
    # The first one is one byte longer than a read, so that the fast path does not serve it.
    for size in (len(request_) - 1, *(len(request_),) * 3):
        with open_connection(server) as connection:
            connection.send(request_[:size])
            connection.send(request_[size:])
            responses.append(connection.read_response(request_.partition(b" ")[0].decode()))
    assert len({(response.status, response.body) for response in responses}) == 1
    for response in responses:
        assert stable_headers(response.headers) == stable_headers(responses[0].headers)
    assert len({response.headers["X-Request-Id"] for response in responses}) == 4
    assert all("Date" in response.headers for response in responses)


def test_address_that_is_not_ascii(server: Process) -> None:
    """An address with bytes that no address may have is rejected, whether or not it arrives in pieces."""
    request = request_head(f"{GET_LINE}&operationName=\xe9")
    for size in (len(request) - 1, len(request)):
        with open_connection(server) as connection:
            connection.send(request[:size])
            connection.send(request[size:])
            assert connection.read_response("GET").status == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "APPLICATION/Json ; Charset = utf8",
        'application/json; profile="a,b;c"; charset=utf-8; q=1',
        "application/json;",
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
def test_spellings_of_json(server: Process, content_type: str, path: str) -> None:
    """Every spelling of JSON, at both paths, gets the response that is cached for the plainest one."""
    body = json.dumps({"query": "{ countries { totalCount } }"}).encode()
    expected = server.query("{ countries { totalCount } }")
    with open_connection(server) as connection:
        _, plain = [exchange(connection, build_post(body)) for _ in range(2)]
        before = Scraper(server).scrape()
        head = request_head(f"POST {path}", Content_Type=content_type, Content_Length=str(len(body)))
        for size in (len(head), 20):  # the second one arrives in pieces, so the application serves it
            connection.send((head + body)[:size])
            connection.send((head + body)[size:])
            response = connection.read_response()
            assert (response.status, response.body, response.json) == (200, plain.body, expected)
        increases = counter_increases(before, Scraper(server).scrape())
    lookups = {name: value for name, value in increases.items() if "cache_lookups" in name}
    assert lookups == {'graphql_api_cache_lookups_total{result="hit"}': 2.0}


@pytest.mark.parametrize("headers", [{}, {"Accept_Encoding": "br"}, {"Accept": "application/graphql-response+json"}])
def test_new_variables(server: Process, headers: dict[str, str]) -> None:
    """New variables of a known document get the response that the application would send."""
    document = '{ countries(first: 40) { nodes { name capital } } one: country(code: "FR") { id } }'
    responses = []
    with open_connection(server) as connection:
        for number in range(3):
            body = json.dumps({"query": document, "variables": {"n": number}}).encode()
            responses.append(exchange(connection, build_post(body, **headers)))
        url = f"GET /graphql?query={quote(document)}"
        get_response = exchange(connection, request_head(url, **headers))
        uncached_request = request_head(f"{url}&operationName=", Origin="https://elsewhere.example", **headers)
        assert (get_response.status, get_response.body) == (200, exchange(connection, uncached_request).body)
    assert [response.status for response in responses] == [200] * 3
    assert len({response.body for response in responses}) == 1
    assert (
        stable_headers(responses[0].headers)
        == stable_headers(responses[1].headers)
        == stable_headers(responses[2].headers)
    )


def test_errors_of_known_documents(server: Process) -> None:
    """Requests of a known document still get errors, and 413 for large bodies."""
    document = "query ($n: Int) { countries(first: $n) { totalCount } }"
    with open_connection(server) as connection:

        def execute(number: object, **extra_fields: str) -> RawResponse:
            fields = {"query": document, "variables": {"n": number}, **extra_fields}
            return exchange(connection, build_post(json.dumps(fields).encode()))

        assert execute(1).json == execute(2).json == {"data": {"countries": {"totalCount": 250}}}
        assert execute("x").error_codes == ["BAD_USER_INPUT"]
        assert execute(-1).json["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert execute(3, operationName="other").error_codes == ["BAD_USER_INPUT"]
        assert execute(4, padding="x" * 200_000).status == 413


def test_not_modified(server: Process) -> None:
    """A conditional request gets 304 on a connection that stays open."""
    with open_connection(server) as connection:
        tag = exchange(connection, request_head(GET_LINE)).headers["ETag"]
        not_modified = exchange(connection, request_head(GET_LINE, If_None_Match=f'"x", {tag}'))
        assert (not_modified.status, not_modified.body, not_modified.headers["ETag"]) == (304, b"", tag)
        assert exchange(connection, request_head(GET_LINE, If_None_Match='"x"')).status == 200


@pytest.mark.parametrize("closing", ["HTTP/1.0", "HTTP/1.1\r\nConnection: close"])
def test_connection_close(server: Process, closing: str) -> None:
    """A client that sends `Connection: close` gets one response, then the connection closes."""
    request = request_head(GET_LINE).replace(b"HTTP/1.1", closing.encode())
    for _ in range(2):
        with open_connection(server) as connection:
            response = exchange(connection, request)
            assert (response.status, response.headers["Connection"]) == (200, "close")
            assert connection.is_closed()


def test_idle(server: Process) -> None:
    """A connection is closed after KEEP_ALIVE, also if the fast path served it."""
    with open_connection(server) as connection:
        for _ in range(3):
            assert exchange(connection, build_post(LIST_BODY)).status == 200
        assert connection.is_closed()


def test_pipelined(server: Process) -> None:
    """Known and new requests in one write get their responses in order."""
    new_bodies = [json.dumps({"query": f"{{ a{n}: __typename }}"}).encode() for n in range(3)]
    with open_connection(server) as connection:
        exchange(connection, build_post(LIST_BODY))
        connection.send(
            b"".join(build_post(LIST_BODY) + build_post(body) + build_post(LIST_BODY) * 3 for body in new_bodies)
            + request_head(GET_LINE)
        )
        for number in range(3):
            assert len(connection.read_response().json["data"]["countries"]["nodes"]) == 250
            assert connection.read_response().json == {"data": {f"a{number}": "Query"}}
            for _ in range(3):
                assert len(connection.read_response().json["data"]["countries"]["nodes"]) == 250
        assert connection.read_response("GET").status == 200


MIXED_REQUESTS = (
    build_post(LIST_BODY),
    request_head("GET /healthz"),
    build_post(QUERY),
    request_head(Transfer_Encoding="chunked")
    + b"9\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (QUERY[:9], len(QUERY) - 9, QUERY[9:]),
    build_post(b"{"),
    request_head(GET_LINE),
)
"""Requests for the fast path, for the application, and malformed ones."""


def send_in_pieces(server: Process, pieces: list[bytes]) -> list[tuple[int, bytes]]:
    """Return the responses to the mixed requests, sent in these pieces."""
    with open_connection(server) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.send(piece)
        responses = [connection.read_response(request.partition(b" ")[0].decode()) for request in MIXED_REQUESTS]
    return [(response.status, response.body) for response in responses]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(0, len(b"".join(MIXED_REQUESTS))), max_size=12))
def test_any_split(server: Process, cuts: set[int]) -> None:
    """Pipelined requests get the same responses, however their bytes are split."""
    stream = b"".join(MIXED_REQUESTS)
    ends = [*sorted(cuts), len(stream)]
    pieces = [stream[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    assert send_in_pieces(server, pieces) == send_in_pieces(server, list(MIXED_REQUESTS))


def test_byte_by_byte(server: Process) -> None:
    """Requests sent byte by byte get the same responses."""
    pieces = [bytes([byte]) for byte in b"".join(MIXED_REQUESTS)]
    responses = send_in_pieces(server, pieces)
    assert responses == send_in_pieces(server, list(MIXED_REQUESTS))
    assert [status for status, _ in responses] == [200, 200, 200, 200, 400, 200]
    assert json.loads(responses[3][1]) == TYPENAME_RESPONSE


def test_head_limit_when_pipelined(server: Process) -> None:
    """The size limit of a head counts that head only, not the requests before it."""
    with open_connection(server) as connection:
        requests = build_post(QUERY + b" " * 90_000) + request_head("GET /healthz")
        for _ in range(20):
            connection.send(requests[:-3])
            assert connection.read_response().json == TYPENAME_RESPONSE
            connection.send(requests[-3:])
            assert connection.read_response("GET").status == 200


def test_endless_pipeline(server: Process) -> None:
    """Pipelined requests beyond the current one are not read, so that they take no memory."""
    memory = "process_resident_memory_bytes"
    before = Scraper(server).scrape()[memory]
    with open_connection(server) as connection:

        def send() -> None:
            with suppress(OSError):
                while True:
                    connection.send(request_head("GET /healthz") * 1000)

        sender = threading.Thread(target=send)
        sender.start()
        for _ in range(300):
            assert connection.read_response("GET").status == 200
        after = Scraper(server).scrape()[memory]
        connection.socket.shutdown(socket.SHUT_RDWR)
        sender.join()
    assert after - before < 100_000_000


def test_many_connections(server: Process) -> None:
    """Two hundred clients, each with its own connection, are served repeatedly."""
    request = build_post(b'{"query": "mutation { deleteCountry(code: \\"XX\\") { id } }"}')
    with ExitStack() as stack:
        connections = [stack.enter_context(open_connection(server)) for _ in range(200)]
        codes: Counter[str] = Counter()
        for _ in range(5):
            for connection in connections:
                connection.send(request)
            for connection in connections:
                [error] = connection.read_response().json["errors"]
                codes[error["extensions"]["code"]] += 1
    assert codes == {"COUNTRY_NOT_FOUND": 1000}


def test_pipelined_new_requests(server: Process) -> None:
    """New requests of a known document in one write get their responses in order."""
    bodies = [
        json.dumps({"query": "query($n:Int){countries(first:$n){nodes{code}}}", **fields}).encode()
        for fields in ({"variables": {"n": number}} for number in range(12))
    ]
    with open_connection(server) as connection:
        exchange(connection, build_post(bodies[0]))
        connection.send(b"".join(map(build_post, bodies[1:])))
        for number in range(1, 12):
            assert len(connection.read_response().json["data"]["countries"]["nodes"]) == number


def test_client_does_not_read(server: Process) -> None:
    """Cached responses wait for a client that does not read, and none is lost."""
    with open_connection(server) as connection:
        exchange(connection, build_post(LIST_BODY))
        connection.send(build_post(LIST_BODY) * 1000)
        assert server.query("{ __typename }") == {"data": {"__typename": "Query"}}
        assert {connection.read_response().body for _ in range(1000)} == {
            exchange(connection, build_post(LIST_BODY)).body
        }


def test_access_log(tmp_path: Path) -> None:
    """With ACCESS_LOG, a repeated request is logged too."""
    with (
        running_server(tmp_path, **BUNDLED_SOURCES, ACCESS_LOG="true") as server,
        open_connection(server) as connection,
    ):
        for _ in range(3):
            assert exchange(connection, build_post(LIST_BODY)).status == 200
        assert server.stderr.count(" from 127.0.0.1:") == 3
