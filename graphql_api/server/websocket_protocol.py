"""uvicorn's WebSocket protocol with bounds on fragments, pongs and time.

uvicorn itself buffers what a client does not read, waits without limit to write it, and closes so
fast that a client that is still sending does not receive the close frame.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import State

from graphql_api.http.errors import STOPPING_MESSAGE, HTTPRejection, build_unavailable
from graphql_api.http.raw_response import Header
from graphql_api.metrics.definitions import WEBSOCKETS
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.server.deadline import SEND_TIMEOUT, Deadline
from graphql_api.server.rejection import Rejector, normalize_peer

_MAX_FRAGMENTS = 1000
"""Maximum frames of one message. Empty ones do not add to its size."""
_CLOSE_TIMEOUT = 1.0
"""Seconds for a client to respond to a close frame."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket connection that is closed when its client takes too long."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - passed on to uvicorn's class
        metrics: MetricsRecorder,
        rejector: Rejector,
        handshake_headers: Sequence[Header] = (),
        **kwargs: Any,  # noqa: ANN401 - passed on to uvicorn's class
    ) -> None:
        """Take over a connection. `handshake_headers` are those that the HTTP protocol has read."""
        super().__init__(*args, **kwargs)
        self._metrics = metrics
        self._rejector = rejector
        self._handshake_headers = handshake_headers
        self.close_timeout = _CLOSE_TIMEOUT
        self._is_lingering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's class narrows it
        self._send_deadline = Deadline(self.loop, transport.abort)
        """Pending while the client has to read."""
        self._metrics.add(WEBSOCKETS, 1)
        super().connection_made(transport)
        self.client = normalize_peer(self.client)

    def connection_lost(self, exc: Exception | None) -> None:
        self._metrics.add(WEBSOCKETS, -1)
        self._send_deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            return
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_complete:
            self._reject_malformed(400)

    def handle_connect(self, event: Request) -> None:
        status = self.conn.accept(event).status_code
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            super().handle_connect(event)
            self._rejector.trusted_proxies.apply_to(self.scope)
        else:
            self._reject_malformed(status)

    def handle_cont(self, event: Frame) -> None:
        if self._is_lingering:
            return
        if len(self.frames) >= _MAX_FRAGMENTS:
            self._fail_connection(CloseCode.MESSAGE_TOO_BIG, "Too many fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        try:
            if self.curr_msg_data_type == "text":
                b"".join(self.frames).decode()
        except UnicodeDecodeError:
            self._fail_connection(CloseCode.INVALID_DATA, "Send UTF-8")
        else:
            super().send_receive_event_to_app()

    async def send(self, message: ASGISendEvent) -> None:
        if self.close_sent:
            raise ClientDisconnected  # the application has yet to receive the disconnect
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # uvicorn would log that the application sent no response to the handshake.
            self.handshake_complete = True

    def handle_ping(self) -> None:
        if self.writable.is_set() and not self._is_lingering:
            super().handle_ping()
        else:
            self.conn.data_to_send()  # drops the pong of a client that does not read

    def handle_parser_exception(self) -> None:
        close_frame = self.conn.close_sent
        self._start_lingering_close(close_frame.code if close_frame else CloseCode.ABNORMAL_CLOSURE)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._send_deadline.set(_CLOSE_TIMEOUT)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_deadline.set(SEND_TIMEOUT)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._send_deadline.cancel()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if not self.disconnected:
            self._send_deadline.set(SEND_TIMEOUT)

    def shutdown(self) -> None:
        if self.conn.state is State.OPEN:
            self._fail_connection(CloseCode.GOING_AWAY, "The server stops")
        elif not self.handshake_complete:
            self._reject(build_unavailable(STOPPING_MESSAGE))
        else:
            super().shutdown()
            self._send_deadline.set(_CLOSE_TIMEOUT)

    def send_500_response(self) -> None:
        if not self.handshake_complete:
            self._reject(HTTPRejection(500, "Something went wrong here."))

    def _reject_malformed(self, status: int) -> None:
        self._reject(HTTPRejection(status, "The WebSocket handshake is malformed. Use a WebSocket client."))

    def _reject(self, rejection: HTTPRejection) -> None:
        """Respond to the handshake over HTTP and close the connection."""
        self.handshake_complete = self.close_sent = True
        self._rejector.reject(
            self.transport, rejection, request_id=None, peer=self.client, headers=self._handshake_headers
        )
        self.transport.close()

    def _fail_connection(self, code: CloseCode, reason: str) -> None:
        self.conn.fail(code, reason)
        self._start_lingering_close(code)

    def _start_lingering_close(self, code: int) -> None:
        """Send the close frame and read on for `_CLOSE_TIMEOUT`, so that the client receives it."""
        if self._is_lingering:
            return
        self._is_lingering = self.close_sent = True
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.transport.resume_reading()
        else:
            self.transport.close()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(_CLOSE_TIMEOUT, self.transport.abort)
