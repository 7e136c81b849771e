"""uvicorn's protocol, with deadlines for its clients, and a short way for what needs no execution.

uvicorn waits for ever for a request that was begun, and for an answer to be read.
"""

import asyncio
import json
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from starlette.responses import JSONResponse
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from graphql_api.errors import InvalidInput
from graphql_api.http.refusing import log_refusal
from graphql_api.metrics.families import CONNECTIONS, NO_KIND
from graphql_api.metrics.meter import Meter

_LONGEST_HEAD = 65_536
"""Bytes of a request's line and headers."""
_DRAINED = 10_000_000
"""Bytes of a body that are read after its answer, so that the client comes to read that."""
SECONDS_TO_READ = 60.0
"""Seconds in which a client has to read what is left of its answer."""
_LAST_SECONDS = 1.0
"""Seconds that a request which is half here has to arrive once the server stops."""

STOPPING = JSONResponse(
    {
        "errors": [
            {
                "message": "The server is stopping; try again.",
                "extensions": {"code": "INTERNAL_SERVER_ERROR"},
            }
        ]
    },
    503,
    {"Retry-After": "1"},
)


Headers = Sequence[tuple[bytes, bytes]]


class Write(Protocol):
    """What answers a request that needs no application."""

    def __call__(
        self, method: bytes, url: bytes, headers: Headers, body: bytes, /, *, works: bool
    ) -> tuple[bytes, bytes] | None:
        """Return the answer's head, without its end, and its body.

        None if it is for the application to answer, as is whatever takes work unless it `works`.
        """


WRITE = "write"
"""Where the state of an application has it, if it has."""


class _Flow(FlowControl):
    """Reads no more while requests wait for their turn: uvicorn would read on after each answer."""

    def __init__(self, transport: asyncio.Transport, waiting: Collection[object]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """A connection that is closed when its client takes too long."""

    def __init__(
        self,
        *given: Any,  # noqa: ANN401 - uvicorn's
        patience: float,
        most: int,
        meter: Meter,
        new_id: Callable[[], str],
        **named: Any,  # noqa: ANN401 - likewise
    ) -> None:
        """Wait `patience` seconds for a request; of `most` connections, the idlest makes room."""
        super().__init__(*given, **named)
        self._meter = meter
        self._new_id = new_id
        self._patience = patience
        self._most = most
        self._since = time.monotonic()
        """When it began to wait for its client; uvloop's own clock tells milliseconds alone."""
        self._due: float | None = None
        """When its client has to have sent something; None if it is not the client's turn."""
        self._alarm: asyncio.TimerHandle | None = None
        """When to look at that, which may be too early."""
        self._alarm_at = 0.0
        self._write: Write | None = self.app_state.get(WRITE)
        self._held: bytes | None = None
        """The body, as far as it is here, of a request that may need no application."""
        self._works = True
        """Whether a request may be worked at: the first one of those that arrive together."""
        self._reading: asyncio.TimerHandle | None = None
        """When the client has to have read its answer."""
        self._in_head = False
        self._in_body = False
        self._of_head = False
        """Whether all that has just come is of one head."""
        self._head_bytes = 0
        self._drained = 0
        self._stopping = False
        self._upgraded = False

    @property
    def _waits(self) -> bool:
        """Whether it is the client's turn."""
        return self._in_head or self._in_body or not self._answering

    @property
    def _answering(self) -> bool:
        """Whether the last request whose head has arrived is still to be answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._meter.add(CONNECTIONS, 1)
        self._wait(self._patience)
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._due = None
        self._silence()
        self._stop_reading()
        self._meter.add(CONNECTIONS, -1)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._of_head = not self._in_body
        self._works = True
        super().data_received(data)
        self._start_held()
        if self._upgraded or self.transport.is_closing():
            return
        if self._in_head and self._of_head:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(431, f"Send at most {_LONGEST_HEAD} bytes of address and headers.")
                return
        if not self._waits:
            self._due = None
        elif self._due is None:
            self._wait(self._patience)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._drained = 0
        # Bytes that begin no request, such as empty lines, do not put the deadline off.
        self._due = None

    def on_headers_complete(self) -> None:
        if self._may_hold():
            self._held = b""
        else:
            super().on_headers_complete()
        self._in_head, self._in_body, self._of_head = False, True, False

    def on_body(self, body: bytes) -> None:
        if self._held is not None:
            self._held += body
            return
        super().on_body(body)
        if not self._answering:
            self._drained += len(body)
            if self._drained > _DRAINED:
                self._close()

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._held is None or not self._answer_held(self._held):
            self._start_held()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, as uvicorn does, but without a timer for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        waiting = self.pipeline.pop() if self.pipeline else None
        self.flow.resume_reading()
        if waiting is not None:
            self._start_asgi_task(*waiting)
        elif self._in_head:
            self._wait(self._patience)  # it may have been kept from being sent
        elif not self._in_body:
            self._wait(self.timeout_keep_alive)

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        # Another protocol has it from now on, and this one is not told of its end.
        self._meter.add(CONNECTIONS, -1)
        self._due = None
        self._silence()
        self._stop_reading()
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        self._stopping = True
        super().shutdown()
        if self._in_body and not self.transport.is_closing():
            self._wait(_LAST_SECONDS)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_reading()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is answered as if it had not asked for another protocol."""

    def _may_hold(self) -> bool:
        """Tell whether a request, whose head is here, can wait for the rest of what has come."""
        return not (
            self._write is None
            or self._answering
            or self.access_log
            or self.flow.write_paused
            or self.expect_100_continue
            or self.parser.should_upgrade()
        )

    def _start_held(self) -> None:
        """Give the application what it has to answer."""
        if self._held is not None:
            body, self._held = self._held, None
            super().on_headers_complete()
            if body:
                super().on_body(body)

    def _answer_held(self, body: bytes) -> bool:
        """Answer a request that is here in full without the application, if that can be done."""
        if self._write is None:
            return False
        method, works = self.parser.get_method(), self._works
        self._works = False
        answer = self._write(method, self.url, self.headers, body, works=works)
        if answer is None:
            return False
        self._held = None
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        stays = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        if not stays:
            lines.append(b"connection: close\r\n")
        self.transport.writelines((b"".join((answer[0], *lines, b"\r\n")), answer[1]))
        if not stays:
            self.transport.close()
        self.on_response_complete()
        return True

    def _wait(self, seconds: float) -> None:
        """Wait for the client; whoever has waited before may have to wait less now."""
        self._since = time.monotonic()
        self._due = self._since + seconds
        # One alarm for many requests: what it costs to set it is saved for most of them.
        if self._alarm is None or self._due < self._alarm_at:
            self._silence()
            self._alarm_at = self._due
            self._alarm = self.loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._due is not None:
            left = self._due - time.monotonic()
            if left > 0:
                self._alarm_at = self._due
                self._alarm = self.loop.call_later(left, self._ring)
            else:
                self._due = None
                self._give_up()

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _start_reading(self) -> None:
        self._stop_reading()
        self._reading = self.loop.call_later(SECONDS_TO_READ, self.transport.abort)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _give_up(self) -> None:
        """Close the connection, whose client has taken too long."""
        if self._answers_another():
            self._wait(self._patience)
        elif self._stopping:
            self._stop("The server is stopping.")
        elif self._in_head or (self._in_body and not self.cycle.response_started):
            self._refuse(408, f"The request did not arrive within {self._patience:g} s.")
        else:
            self._close()

    def _answers_another(self) -> bool:
        """Tell whether an earlier request of this connection is being answered."""
        return bool(self.pipeline) or (self._in_head and self._answering)

    def _make_room(self) -> None:
        """Close the connection that has waited longest, or this one if nobody waits."""
        waiting = [
            one
            for one in self.connections
            if isinstance(one, Connection)
            and one is not self
            and one._waits  # noqa: SLF001 - of this class
            and not one.transport.is_closing()
        ]
        if waiting:
            min(waiting, key=lambda one: one._since)._close()  # noqa: SLF001 - likewise
        else:
            self._stop("There are too many connections.")

    def _refuse(self, status: int, message: str) -> None:
        error = {"message": message, "extensions": {"code": InvalidInput.code}}
        self._answer(status, json.dumps({"errors": [error]}).encode(), message)

    def _stop(self, reason: str) -> None:
        self._answer(503, bytes(STOPPING.body), reason, b"retry-after: 1\r\n")

    def _answer(self, status: int, body: bytes, reason: str, headers: bytes = b"") -> None:
        """Answer in the application's place, which is told that the client has gone."""
        self._start_held()
        request_id = self._new_id()
        log_refusal(request_id, status, reason)
        self._meter.answered(NO_KIND, status, time.monotonic() - self._since)
        if self._in_body:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
            + b"connection: close\r\ncontent-length: %d\r\n" % len(body)
            + b"x-request-id: %b\r\n" % request_id.encode()
            + headers
            + b"\r\n"
            + body
        )
        self._close()

    def _close(self) -> None:
        """Close once what is written has been read, or has not been for too long."""
        self._due = None
        self._silence()
        if not self.transport.is_closing():
            self.transport.close()
            self._start_reading()
