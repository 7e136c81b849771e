"""Request ids: one per request, on every response and in its log lines."""

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

from graphql_api.http.middleware.request_id import (
    RequestIdMiddleware,
    create_id_generator,
    find_trace_id,
    get_request_id,
)
from graphql_api.http.request_log import RequestLog
from graphql_api.metrics.recorder import MetricsRecorder
from tests.support.app import AppClient

module_loop = pytest.mark.asyncio(loop_scope="module")
MASKED_MESSAGE = "Something went wrong here; the server's log has it as request {}."


async def echo(request: Request) -> Response:
    """Return the id that the endpoint sees."""
    return PlainTextResponse(get_request_id(request))


async def fail(_: Request) -> Response:
    """Fail before a response."""
    raise RuntimeError("the cause, which is nobody's business")


class FailingMidResponse:
    """An application that fails after its response has started."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Start a response, and fail."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late to say so")


def make_client() -> httpx.AsyncClient:
    """Return a client of an application whose request ids are r1, r2, and so on."""
    new_id = map("r{}".format, count(1)).__next__
    recorder = RequestLog(metrics=MetricsRecorder.standalone(), access_log=False)
    middleware = Middleware(RequestIdMiddleware, new_id=new_id, request_log=recorder)
    routes = [Route("/echo", echo), Route("/fail", fail), Route("/midway", FailingMidResponse())]
    app = Starlette(routes=routes, middleware=[middleware])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")


async def test_id() -> None:
    """The endpoint sees the id in the header, and each request has its own."""
    async with make_client() as http_client:
        responses = [await http_client.get("/echo") for _ in range(3)]
    assert [response.text for response in responses] == ["r1", "r2", "r3"]
    assert [response.headers["X-Request-Id"] for response in responses] == ["r1", "r2", "r3"]


def test_new_ids() -> None:
    """Ids are counted within a process, and have 32 characters."""
    new_id = create_id_generator("0123456789abcdef")
    assert [new_id() for _ in range(3)] == [f"0123456789abcdef{n:016}" for n in range(3)]


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (["7f3c"], "7f3c"),
        (["1-67891233-abcdef012345678912345678"], "1-67891233-abcdef012345678912345678"),
        (["urn:uuid:4b1b/a+b=c@d.e_f"], "urn:uuid:4b1b/a+b=c@d.e_f"),
        (["x" * 128], "x" * 128),
        (["x" * 129], "r1"),
        (["a", "b"], "r1"),
        *(([value], "r1") for value in ("", "a b", 'a"b', "a,b", "a%0Ab", "-a", "a;b", "\xe9", "{a}")),
    ],
)
async def test_id_of_a_proxy(ids: list[str], kept: str) -> None:
    """A well-formed id that a request brings is kept; any other, or several, would let a client write into the log."""
    headers = [(b"X-Request-Id", value.encode("latin-1")) for value in ids]
    async with make_client() as http_client:
        response = await http_client.get("/echo", headers=headers)
    assert (response.text, response.headers.get_list("X-Request-Id")) == (kept, [kept])


TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("traceparents", "found"),
    [
        ([f"00-{TRACE_ID}-00f067aa0ba902b7-01"], TRACE_ID),
        ([f"cc-{TRACE_ID}-00f067aa0ba902b7-01-of-a-later-version"], TRACE_ID),
        ([], None),
        ([f"00-{TRACE_ID}-00f067aa0ba902b7-01"] * 2, None),
        ([f"ff-{TRACE_ID}-00f067aa0ba902b7-01"], None),
        ([f"00-{'0' * 32}-00f067aa0ba902b7-01"], None),
        ([f"00-{TRACE_ID}-{'0' * 16}-01"], None),
        ([f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01"], None),
        ([f"00-{TRACE_ID}-00f067aa0ba902b7"], None),
    ],
)
def test_trace_id(traceparents: list[str], found: str | None) -> None:
    """The trace is that of one valid traceparent."""
    assert find_trace_id([(b"traceparent", value.encode()) for value in traceparents]) == found


async def test_defect(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error gets a 500 without its cause, which the log has under the same id."""
    async with make_client() as http_client:
        response = await http_client.get("/fail?token=secret")
    assert (response.status_code, response.headers["X-Request-Id"]) == (500, "r1")
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": "r1"}
    assert response.json() == {"errors": [{"message": MASKED_MESSAGE.format("r1"), "extensions": extensions}]}
    error_record, access_record = caplog.records
    assert re.fullmatch(
        r"Request r1 from 127\.0\.0\.1: GET /fail, none, status 500, \d+ bytes, [\d.]+ ms", access_record.getMessage()
    )
    assert (error_record.levelno, error_record.getMessage()) == (logging.ERROR, "Request r1 failed: GET /fail")
    assert error_record.exc_info is not None
    assert str(error_record.exc_info[1]) == "the cause, which is nobody's business"


async def test_defect_after_the_answer_began(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error after the start of a response is logged and breaks the response off."""
    async with make_client() as http_client:
        with pytest.raises(RuntimeError, match=r"^too late to say so$"):
            await http_client.get("/midway")
    assert [record.getMessage() for record in caplog.records] == ["Request r1 failed: GET /midway"]


@module_loop
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
async def test_every_answer_has_an_id(server: AppClient, method: str, path: str, status: int) -> None:
    """Every response of the application has an id of its own."""
    responses = [await server.client.request(method, path) for _ in range(2)]
    assert [response.status_code for response in responses] == [status, status]
    ids = [response.headers["X-Request-Id"] for response in responses]
    assert [request_id for request_id in ids if not re.fullmatch(r"[0-9a-f]{32}", request_id)] == []
    assert len(set(ids)) == 2


@module_loop
async def test_defect_in_the_application(server: AppClient, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected error in an endpoint has one id in response and log."""
    server.app.routes.insert(0, Route("/fail", fail))
    try:
        response = await server.get("/fail")
    finally:
        server.app.routes.pop(0)
    request_id = response.headers["X-Request-Id"]
    assert (response.status_code, response.json()["errors"][0]["message"]) == (500, MASKED_MESSAGE.format(request_id))
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == f"Request {request_id} failed: GET /fail"
    assert [line.partition(":")[0] for line in messages[1:]] == [f"Request {request_id} from 127.0.0.1"]
