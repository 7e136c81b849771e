"""Answering what was asked before, or is short work, in front of everything that costs.

For a request whose answer is kept, or held by the client already, nothing is parsed, validated or
executed; a short query of a known document is executed here; the rest goes on to the endpoint.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from http.client import NOT_MODIFIED

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graphql_api.catalog import Catalog
from graphql_api.http import request_id
from graphql_api.http.answers import Answer, Answers, Asked
from graphql_api.http.connections import Headers
from graphql_api.http.graphql import GraphQLEndpoint
from graphql_api.http.negotiation import (
    GRAPHQL_RESPONSE,
    JSON,
    preferred_coding,
    preferred_of,
)
from graphql_api.metrics.meter import Meter

PATH = "/graphql"
_PATH = PATH.encode()
_METHODS = {b"GET": "GET", b"POST": "POST"}


class Repeater:
    """Finds the answers to requests that need no waiting."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        answers: Answers,
        new_id: Callable[[], str],
        meter: Meter,
        answer_at_once: Callable[[Asked], Answer | None],
    ) -> None:
        """Answer from `answers`, over the catalog's snapshot, or at once what is short work."""
        self._answer_at_once = answer_at_once
        self._meter = meter
        self._catalog = catalog
        self._answers = answers
        self._new_id = new_id

    def find(self, asked: Asked, known: bytes | None) -> Answer | None:
        """Return the answer to what is asked, of which the client knows what has these tags."""
        if not self._catalog.loaded:
            return None  # an answer over nothing would look true
        snapshot = self._catalog.snapshot
        answer = None
        if known is not None and asked.method == "GET":
            tag = self._answers.tag(asked, snapshot)
            if tag in (one.strip().removeprefix(b"W/") for one in known.split(b",")):
                answer = self._answers.not_modified(tag)
        answer = answer or self._answers.find(asked, snapshot)
        if answer is not None:
            self._meter.looked_up("not_modified" if answer.status == NOT_MODIFIED else "hit")
        return answer

    def write(
        self, method: bytes, url: bytes, headers: Headers, body: bytes, *, works: bool
    ) -> tuple[bytes, bytes] | None:
        """Return head and body of the answer to a request that is here in full.

        What is new is executed if it `works` and that is short. None if it is for the application,
        or its answer depends on where it comes from. The head is as HTTP/1.1 writes it, without its
        end.
        """
        begun = time.perf_counter()
        path, _, text = url.partition(b"?")
        if path != _PATH or method not in _METHODS:
            return None
        head = _read_head(headers)
        if method == b"POST":
            if not _is_json(head):
                return None
            text = body
        if b"origin" in head:
            return None
        asked = _asked(_METHODS[method], text, head)
        if asked is None or not self._catalog.loaded:
            return None
        answer = self.find(asked, head.get(b"if-none-match"))
        if answer is None and works:
            answer = self._answer_at_once(asked)
        if answer is None:
            return None
        self._meter.answered("query", answer.status, time.perf_counter() - begun)
        named = b"%b: %b\r\n" % (request_id.HEADER, self._new_id().encode())
        return answer.head + named, answer.body


class RepeatingMiddleware:
    """Serves /graphql; every other path is the application's."""

    def __init__(self, app: ASGIApp, *, repeater: Repeater, endpoint: GraphQLEndpoint) -> None:
        """Wrap `app`."""
        self._app = app
        self._repeater = repeater
        self._endpoint = endpoint

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
            receive = _again(messages, receive)
            if messages[-1]["type"] == "http.request":
                asked = _asked("POST", b"".join(one.get("body", b"") for one in messages), head)
        answer: Answer | Response | None = None
        if asked is not None:
            answer = self._repeater.find(asked, head.get(b"if-none-match"))
        answer = answer or await self._endpoint.handle(Request(scope, receive), asked)
        if isinstance(answer, Answer):
            scope["state"]["operation"] = answer.operation
            await _send(send, answer)
        else:
            await answer(scope, receive, send)

    def _is_short(self, head: dict[bytes, bytes]) -> bool:
        """Tell whether a body is JSON and may be waited for; the endpoint looks at any other."""
        length = head.get(b"content-length", b"")
        return (
            _is_json(head)
            and length.isdigit()
            and len(length) < 10  # noqa: PLR2004 - digits of any length that is allowed
            and int(length) <= self._endpoint.body_limit
        )


_JSON_TYPES = (b"application/json", b"application/json; charset=utf-8")
"""What clients send; the endpoint knows every other way to write it."""


def _is_json(head: dict[bytes, bytes]) -> bool:
    return head.get(b"content-type") in _JSON_TYPES and b"content-encoding" not in head


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


async def _send(send: Send, answer: Answer) -> None:
    start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})
