"""Request ids: one per request, on every answer, and the key from a failure to its log line."""

import logging
import re
from itertools import count

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from graphql_api.http.recording import Recorder
from graphql_api.http.request_id import RequestIdMiddleware, new_ids, request_id_of
from graphql_api.metrics.meter import Meter
from tests.serving import Server

on_module = pytest.mark.asyncio(loop_scope="module")
MASKED = "Something went wrong here; the server's log has it as request {}."


async def echo(request: Request) -> Response:
    """Answer with the id that the endpoint sees."""
    return PlainTextResponse(request_id_of(request))


async def fail(_: Request) -> Response:
    """Fail before anything is answered."""
    raise RuntimeError("the cause, which is nobody's business")


class Midway:
    """An application that fails after its answer has begun."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Begin, and fail."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late to say so")


def client() -> httpx.AsyncClient:
    """Return a client of an application whose requests are named r1, r2, and so on."""
    new_id = map("r{}".format, count(1)).__next__
    recorder = Recorder(meter=Meter.alone(), log_all=False)
    naming = Middleware(RequestIdMiddleware, new_id=new_id, recorder=recorder)
    routes = [Route("/echo", echo), Route("/fail", fail), Route("/midway", Midway())]
    app = Starlette(routes=routes, middleware=[naming])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")


async def test_id() -> None:
    """The endpoint sees the id that the header tells, and each request has its own."""
    async with client() as asking:
        answers = [await asking.get("/echo") for _ in range(3)]
    assert [answer.text for answer in answers] == ["r1", "r2", "r3"]
    assert [answer.headers["X-Request-Id"] for answer in answers] == ["r1", "r2", "r3"]


def test_new_ids() -> None:
    """Ids are numbered within a process, and have 32 characters."""
    new_id = new_ids("0123456789abcdef")
    assert [new_id() for _ in range(3)] == [f"0123456789abcdef{n:016}" for n in range(3)]


async def test_id_is_the_server_s() -> None:
    """A client cannot choose the id, which would let it write into the log."""
    async with client() as asking:
        answer = await asking.get("/echo", headers={"X-Request-Id": "forged"})
    assert (answer.text, answer.headers.get_list("X-Request-Id")) == ("r1", ["r1"])


async def test_defect(caplog: pytest.LogCaptureFixture) -> None:
    """A defect is answered without its cause, which the log has under the id of the header."""
    async with client() as asking:
        answer = await asking.get("/fail?token=secret")
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (500, "r1")
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": "r1"}
    assert answer.json() == {"errors": [{"message": MASKED.format("r1"), "extensions": extensions}]}
    record, answered = caplog.records
    assert re.fullmatch(
        r"Request r1 from 127\.0\.0\.1: GET /fail, none, status 500, \d+ bytes, [\d.]+ ms",
        answered.getMessage(),
    )
    assert (record.levelno, record.getMessage()) == (
        logging.ERROR,
        "Request r1 failed: GET /fail",
    )
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "the cause, which is nobody's business"


async def test_defect_after_the_answer_began(caplog: pytest.LogCaptureFixture) -> None:
    """A defect that comes too late for an answer is logged, and breaks the answer off."""
    async with client() as asking:
        with pytest.raises(RuntimeError, match=r"^too late to say so$"):
            await asking.get("/midway")
    assert [record.getMessage() for record in caplog.records] == ["Request r1 failed: GET /midway"]


@on_module
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/schema.graphql", 200),
        ("GET", "/images/summary.png", 200),
        ("GET", "/images/summary-5-250.png", 302),
        ("GET", "/images/summary-x.png", 404),
        ("GET", "/nowhere", 404),
        ("POST", "/healthz", 405),
        ("PUT", "/graphql", 405),
        ("GET", "/graphql", 400),
        ("POST", "/graphql", 415),
    ],
)
async def test_every_answer_has_an_id(server: Server, method: str, path: str, status: int) -> None:
    """Every answer of the application has an id, another one each time."""
    answers = [await server.client.request(method, path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert [one for one in ids if not re.fullmatch(r"[0-9a-f]{32}", one)] == []
    assert len(set(ids)) == 2


@on_module
async def test_defect_in_the_application(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A defect in an endpoint of the application itself is answered and logged under one id."""
    server.app.router.routes.append(Route("/fail", fail))
    try:
        answer = await server.get("/fail")
    finally:
        server.app.router.routes.pop()
    name = answer.headers["X-Request-Id"]
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (500, MASKED.format(name))
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == f"Request {name} failed: GET /fail"
    assert [line.partition(":")[0] for line in told[1:]] == [f"Request {name} from 127.0.0.1"]
