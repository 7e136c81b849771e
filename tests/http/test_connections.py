"""What a connection answers by itself is what the application would have answered."""

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

from tests.cli.running import BUNDLED, Process, serving
from tests.http.scraping import Scraper
from tests.http.wire import ANSWER, QUERY, Answered, Wire, connected, head

LIST = b'{"query": "{ countries { nodes { code name population } } }"}'
GET = f"GET /graphql?query={quote('{ countries { nodes { code } } }')}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server that closes idle connections after a second, and lets a page elsewhere ask."""
    folder = tmp_path_factory.mktemp("server")
    changes = {"KEEP_ALIVE": "1", "CORS_ORIGINS": "https://countries.example"}
    with serving(folder, **BUNDLED, **changes) as process:
        # The refresh at the start, after which answers have other tags, is over.
        process.wait_until_said(r"250 countries \(0 new")
        yield process


def post(body: bytes, **headers: str) -> bytes:
    """Return a request that posts a body."""
    return head(Content_Length=str(len(body)), **headers) + body


def ask(wire: Wire, request: bytes) -> Answered:
    """Send a request, and return its answer."""
    wire.send(request)
    return wire.answer(request.partition(b" ")[0].decode())


def shown(headers: HTTPMessage) -> list[tuple[str, str]]:
    """Return the headers but for those that differ each time."""
    return sorted(
        (name.lower(), value)
        for name, value in headers.items()
        if name.lower() not in ("date", "x-request-id")
    )


@pytest.mark.parametrize(
    "request_",
    [
        post(LIST),
        post(LIST, Accept_Encoding="br"),
        post(LIST, Accept_Encoding="gzip"),
        post(LIST, Accept="application/graphql-response+json"),
        post(LIST, Content_Type="application/json; charset=utf-8"),
        post(LIST, Connection="close"),
        post(LIST, Origin="https://countries.example"),
        post(LIST, Origin="https://elsewhere.example"),
        head(GET),
        head(GET, Accept_Encoding="br"),
        head(GET, Accept="text/html"),
        head(GET.replace("GET", "HEAD")),
        head("GET /graphql"),
        post(LIST.replace(b"code", b"cod")),
        post(LIST, Content_Type="text/plain"),
        post(LIST, Content_Encoding="gzip"),
    ],
)
def test_answers(server: Process, request_: bytes) -> None:
    """Repeated, a request gets the status, headers and bytes that it got when it was executed."""
    answers = []
    # The first of them is one byte more than what came at once, so that it is not answered here.
    for size in (len(request_) - 1, len(request_), len(request_)):
        with connected(server) as wire:
            wire.send(request_[:size])
            wire.send(request_[size:])
            answers.append(wire.answer(request_.partition(b" ")[0].decode()))
    assert len({(one.status, one.body) for one in answers}) == 1
    assert shown(answers[0].headers) == shown(answers[1].headers) == shown(answers[2].headers)
    assert len({one.headers["X-Request-Id"] for one in answers}) == 3
    assert all("Date" in one.headers for one in answers)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Accept_Encoding": "br"}, {"Accept": "application/graphql-response+json"}],
)
def test_at_once(server: Process, headers: dict[str, str]) -> None:
    """What is new is answered as the application does, of which it needs to know the document."""
    question = '{ countries(first: 40) { nodes { name capital } } one: country(code: "FR") { id } }'
    answers = []
    with connected(server) as wire:
        for number in range(3):
            body = json.dumps({"query": question, "variables": {"n": number}}).encode()
            answers.append(ask(wire, post(body, **headers)))
        url = f"GET /graphql?query={quote(question)}"
        got = ask(wire, head(url, **headers))
        slow = head(f"{url}&operationName=", Origin="https://elsewhere.example", **headers)
        assert (got.status, got.body) == (200, ask(wire, slow).body)
    assert [one.status for one in answers] == [200] * 3
    assert len({one.body for one in answers}) == 1
    assert shown(answers[0].headers) == shown(answers[1].headers) == shown(answers[2].headers)


def test_not_at_once(server: Process) -> None:
    """Of a document that is known, too, errors are told and large bodies refused."""
    question = "query ($n: Int) { countries(first: $n) { totalCount } }"
    with connected(server) as wire:

        def answer(number: object, **more: str) -> Answered:
            fields = {"query": question, "variables": {"n": number}, **more}
            return ask(wire, post(json.dumps(fields).encode()))

        assert answer(1).json == answer(2).json == {"data": {"countries": {"totalCount": 250}}}
        assert answer("x").codes == ["BAD_USER_INPUT"]
        assert answer(-1).json["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert answer(3, operationName="other").codes == ["BAD_USER_INPUT"]
        assert answer(4, padding="x" * 200_000).status == 413


def test_not_modified(server: Process) -> None:
    """Who has the answer is told so, on a connection that stays."""
    with connected(server) as wire:
        tag = ask(wire, head(GET)).headers["ETag"]
        known = ask(wire, head(GET, If_None_Match=f'"x", {tag}'))
        assert (known.status, known.body, known.headers["ETag"]) == (304, b"", tag)
        assert ask(wire, head(GET, If_None_Match='"x"')).status == 200


@pytest.mark.parametrize("closing", ["HTTP/1.0", "HTTP/1.1\r\nConnection: close"])
def test_closes(server: Process, closing: str) -> None:
    """A client that wants no second answer gets one, and the connection's end."""
    request = head(GET).replace(b"HTTP/1.1", closing.encode())
    for _ in range(2):
        with connected(server) as wire:
            answered = ask(wire, request)
            assert (answered.status, answered.headers["Connection"]) == (200, "close")
            assert wire.closed()


def test_idle(server: Process) -> None:
    """After such answers, too, a connection that asks no more is closed."""
    with connected(server) as wire:
        for _ in range(3):
            assert ask(wire, post(LIST)).status == 200
        assert wire.closed()


def test_pipelined(server: Process) -> None:
    """Known and new requests that come all at once are answered in their order."""
    new = [json.dumps({"query": f"{{ a{n}: __typename }}"}).encode() for n in range(3)]
    with connected(server) as wire:
        ask(wire, post(LIST))
        wire.send(b"".join(post(LIST) + post(one) + post(LIST) * 3 for one in new) + head(GET))
        for number in range(3):
            assert len(wire.answer().json["data"]["countries"]["nodes"]) == 250
            assert wire.answer().json == {"data": {f"a{number}": "Query"}}
            for _ in range(3):
                assert len(wire.answer().json["data"]["countries"]["nodes"]) == 250
        assert wire.answer("GET").status == 200


MIXED = (
    post(LIST),
    head("GET /healthz"),
    post(QUERY),
    head(Transfer_Encoding="chunked")
    + b"9\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (QUERY[:9], len(QUERY) - 9, QUERY[9:]),
    post(b"{"),
    head(GET),
)
"""Requests that are answered here, or by the application, or refused."""


def answered_in_pieces(server: Process, pieces: list[bytes]) -> list[tuple[int, bytes]]:
    """Return the answers to the mixed requests, which are sent in these pieces."""
    with connected(server) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            wire.send(piece)
        answers = [wire.answer(sent.partition(b" ")[0].decode()) for sent in MIXED]
    return [(one.status, one.body) for one in answers]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.sets(st.integers(0, len(b"".join(MIXED))), max_size=12))
def test_cut_anywhere(server: Process, cuts: set[int]) -> None:
    """However the bytes of requests that follow one another are cut, the answers are the same."""
    sent = b"".join(MIXED)
    ends = [*sorted(cuts), len(sent)]
    pieces = [sent[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    assert answered_in_pieces(server, pieces) == answered_in_pieces(server, list(MIXED))


def test_byte_by_byte(server: Process) -> None:
    """Requests that come byte by byte get the same answers, too."""
    pieces = [bytes([byte]) for byte in b"".join(MIXED)]
    answers = answered_in_pieces(server, pieces)
    assert answers == answered_in_pieces(server, list(MIXED))
    assert [status for status, _ in answers] == [200, 200, 200, 200, 400, 200]
    assert json.loads(answers[3][1]) == ANSWER


def test_head_behind_others(server: Process) -> None:
    """A head that is cut off counts for itself alone, however much comes with it."""
    with connected(server) as wire:
        sent = post(QUERY + b" " * 90_000) + head("GET /healthz")
        for _ in range(20):
            wire.send(sent[:-3])
            assert wire.answer().json == ANSWER
            wire.send(sent[-3:])
            assert wire.answer("GET").status == 200


def test_pipelines_without_end(server: Process) -> None:
    """Requests that wait for their turn are not read, so that they take no memory."""
    memory = "process_resident_memory_bytes"
    before = Scraper(server).scrape()[memory]
    with connected(server) as wire:

        def send() -> None:
            with suppress(OSError):
                while True:
                    wire.send(head("GET /healthz") * 1000)

        sending = threading.Thread(target=send)
        sending.start()
        for _ in range(300):
            assert wire.answer("GET").status == 200
        after = Scraper(server).scrape()[memory]
        wire.socket.shutdown(socket.SHUT_RDWR)
        sending.join()
    assert after - before < 100_000_000


def test_keeps_alive(server: Process) -> None:
    """Two hundred callers with a connection each are answered on it, time after time."""
    refused = post(b'{"query": "mutation { deleteCountry(code: \\"XX\\") { id } }"}')
    with ExitStack() as stack:
        wires = [stack.enter_context(connected(server)) for _ in range(200)]
        codes: Counter[str] = Counter()
        for _ in range(5):
            for wire in wires:
                wire.send(refused)
            for wire in wires:
                [error] = wire.answer().json["errors"]
                codes[error["extensions"]["code"]] += 1
    assert codes == {"COUNTRY_NOT_FOUND": 1000}


def test_pipelined_work(server: Process) -> None:
    """New requests of a known document that come all at once are answered in their order."""
    asked = [
        json.dumps({"query": "query($n:Int){countries(first:$n){nodes{code}}}", **of}).encode()
        for of in ({"variables": {"n": number}} for number in range(12))
    ]
    with connected(server) as wire:
        ask(wire, post(asked[0]))
        wire.send(b"".join(map(post, asked[1:])))
        for number in range(1, 12):
            assert len(wire.answer().json["data"]["countries"]["nodes"]) == number


def test_nobody_reads(server: Process) -> None:
    """Known answers are kept back for a client that does not read, and none is lost."""
    with connected(server) as wire:
        ask(wire, post(LIST))
        wire.send(post(LIST) * 1000)
        assert server.query("{ __typename }") == {"data": {"__typename": "Query"}}
        assert {wire.answer().body for _ in range(1000)} == {ask(wire, post(LIST)).body}


def test_access_log(tmp_path: Path) -> None:
    """With the access log on, a repeated request has its line as well."""
    with serving(tmp_path, **BUNDLED, ACCESS_LOG="true") as server, connected(server) as wire:
        for _ in range(3):
            assert ask(wire, post(LIST)).status == 200
        assert server.said.count(" from 127.0.0.1:") == 3
