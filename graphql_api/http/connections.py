"""Connections that wait for their clients only so long: uvicorn's protocol, with deadlines.

uvicorn waits for ever for a request that was begun, and for an answer to be read.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse
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
_SECONDS_TO_READ = 60.0
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
        self._deadline: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        """When the client has to have read its answer."""
        self._in_head = False
        self._in_body = False
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
        self._meter.add(CONNECTIONS, 1)
        self._wait()
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_reading()
        self._meter.add(CONNECTIONS, -1)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _LONGEST_HEAD:
                self._refuse(431, f"Send at most {_LONGEST_HEAD} bytes of address and headers.")
                return
        if not self._waits:
            self._stop_waiting()
        elif self._deadline is None:
            self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._drained = 0
        # Bytes that begin no request, such as empty lines, do not put the deadline off.
        self._stop_waiting()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head, self._in_body = False, True

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if not self._answering:
            self._drained += len(body)
            if self._drained > _DRAINED:
                self._close()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False

    def on_response_complete(self) -> None:
        self._since = time.monotonic()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        self._stopping = True
        super().shutdown()
        if self._in_body and not self.transport.is_closing():
            self._stop_waiting()
            self._wait(_LAST_SECONDS)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_reading()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the request is answered as if it had not asked for another protocol."""

    def _wait(self, seconds: float | None = None) -> None:
        self._since = time.monotonic()
        patience = self._patience if seconds is None else seconds
        self._deadline = self.loop.call_later(patience, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _start_reading(self) -> None:
        self._stop_reading()
        self._reading = self.loop.call_later(_SECONDS_TO_READ, self.transport.abort)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _give_up(self) -> None:
        """Close the connection, whose client has taken too long."""
        self._deadline = None
        if self._answers_another():
            self._wait()
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
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.close()
            self._start_reading()
