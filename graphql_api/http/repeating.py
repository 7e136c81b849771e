"""Answering what was asked before, in front of everything that costs.

For a request whose answer is kept, or held by the client already, nothing is parsed, validated or
executed. Whatever is new goes on to the endpoint.
"""

from functools import lru_cache

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.catalog import Catalog
from graphql_api.http.answers import Answers, Asked, Headers
from graphql_api.http.graphql import GraphQLEndpoint
from graphql_api.http.negotiation import (
    GRAPHQL_RESPONSE,
    JSON,
    preferred_coding,
    preferred_of,
)
from graphql_api.http.recording import State
from graphql_api.metrics.meter import Meter
from graphql_api.schema.plans import OperationInfo

PATH = "/graphql"
_REPEATED = OperationInfo("query", None)
"""What is asked with the tag of an answer: its name is not kept."""


class RepeatingMiddleware:
    """Serves /graphql; every other path is the application's."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        catalog: Catalog,
        answers: Answers,
        endpoint: GraphQLEndpoint,
        meter: Meter,
    ) -> None:
        """Wrap `app`."""
        self._app = app
        self._catalog = catalog
        self._answers = answers
        self._endpoint = endpoint
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        head = _read_head(scope["headers"])
        asked: Asked | None = None
        if scope["method"] == "GET":
            asked = _asked("GET", scope["query_string"], head)
        elif scope["method"] == "POST" and self._is_short(head):
            messages = await _read_all(receive)
            asked = _asked("POST", b"".join(one.get("body", b"") for one in messages), head)
            receive = _again(messages, receive)
        if asked is None or not await self._repeat(asked, head, scope["state"], send):
            response = await self._endpoint.handle(Request(scope, receive), asked)
            await response(scope, receive, send)

    def _is_short(self, head: dict[bytes, bytes]) -> bool:
        """Tell whether a body is JSON and may be waited for; the endpoint looks at any other."""
        length = head.get(b"content-length", b"")
        return (
            head.get(b"content-type") in _JSON_TYPES
            and b"content-encoding" not in head
            and length.isdigit()
            and len(length) < 10  # noqa: PLR2004 - digits of any length that is allowed
            and int(length) <= self._endpoint.body_limit
        )

    async def _repeat(
        self, asked: Asked, head: dict[bytes, bytes], state: State, send: Send
    ) -> bool:
        """Answer without executing anything, if that can be done."""
        snapshot = self._catalog.snapshot
        known = head.get(b"if-none-match")
        if known is not None and asked.method == "GET":
            tag = self._answers.tag(asked, snapshot)
            if tag in (one.strip().removeprefix(b"W/") for one in known.split(b",")):
                state["operation"] = _REPEATED
                self._meter.looked_up("not_modified")
                await _send(send, 304, self._answers.not_modified(tag), b"")
                return True
        answer = self._answers.find(asked, snapshot)
        if answer is None:
            return False
        state["operation"] = answer.operation
        self._meter.looked_up("hit")
        await _send(send, 200, answer.headers, answer.body)
        return True


_JSON_TYPES = (b"application/json", b"application/json; charset=utf-8")
"""What clients send; the endpoint knows every other way to write it."""


def _read_head(headers: Headers) -> dict[bytes, bytes]:
    """Return the headers by name; what is given several times is joined by commas."""
    head = dict(headers)
    if len(head) < len(headers):
        head = {}
        for name, value in headers:
            head[name] = head[name] + b"," + value if name in head else value
    return head


def _asked(method: str, text: bytes, head: dict[bytes, bytes]) -> Asked | None:
    """Return what is asked; None if the answer would not be acceptable."""
    media_type, coding = _negotiate(head.get(b"accept", b""), head.get(b"accept-encoding", b""))
    return None if media_type is None else Asked(method, text, media_type, coding)


@lru_cache(maxsize=256)
def _negotiate(accept: bytes, accept_encoding: bytes) -> tuple[str | None, str]:
    media_type = preferred_of(accept.decode("latin-1"), (JSON, GRAPHQL_RESPONSE))
    return media_type, preferred_coding(accept_encoding.decode("latin-1"))


async def _read_all(receive: Receive) -> list[Message]:
    """Return the messages of a body, or what came of it before the client left."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Return what receives these messages, and then the others."""
    waiting = iter(messages)

    async def receive_again() -> Message:
        return next(waiting, None) or await receive()

    return receive_again


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
