"""uvicorn's HTTP protocol with deadlines for clients, and with the fast path before ASGI.

uvicorn itself waits without limit for the rest of a request and for a client to read its response.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from graphql_api.http.graphql.fast_path import FAST_PATH_KEY, FastPath
from graphql_api.http.graphql.request import PARSED_REQUEST_KEY
from graphql_api.http.middleware.request_id import REQUEST_ID_HEADER
from graphql_api.http.raw_response import encode_headers
from graphql_api.metrics.definitions import CONNECTIONS, NO_KIND
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.server.deadline import SEND_TIMEOUT, Deadline
from graphql_api.server.rejection import write_rejection

_MAX_HEAD_BYTES = 65_536
"""Maximum bytes of a request's line and headers."""
_MAX_DRAIN_BYTES = 10_000_000
"""Maximum bytes of a body that are read after its response; many clients send all of it first."""
_SHUTDOWN_READ_TIMEOUT = 1.0
"""Seconds for the rest of a body to arrive once the server stops."""


class _PipelineFlowControl(FlowControl):
    """Pauses reading while pipelined requests wait; uvicorn resumes it after each response."""

    def __init__(self, transport: asyncio.Transport, pipeline: Collection[object]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class HTTPProtocol(HttpToolsProtocol):
    """An HTTP connection that is closed when its client takes too long."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - passed on to uvicorn's class
        request_timeout: float,
        max_connections: int,
        metrics: MetricsRecorder,
        new_id: Callable[[], str],
        **kwargs: Any,  # noqa: ANN401 - passed on to uvicorn's class
    ) -> None:
        """Wait `request_timeout` seconds for a request.

        A connection beyond `max_connections` closes the one that has been idle longest.
        """
        super().__init__(*args, **kwargs)
        self._metrics = metrics
        self._new_id = new_id
        self._request_timeout = request_timeout
        self._max_connections = max_connections
        self._receive_deadline = Deadline(self.loop, self._handle_timeout)
        """Pending while the client has to send."""
        self._fast_path: FastPath | None = self.app_state.get(FAST_PATH_KEY)
        self._buffered_body: bytes | None = None
        """Body received so far of a request that the fast path may serve."""
        self._may_execute = True
        """True while the fast path may execute a query: once per read, so that others get a turn."""
        self._is_head_only = False
        """True if the data just received belongs to one request head."""
        self._in_head = self._in_body = self._is_stopping = self._is_upgraded = False
        self._head_bytes = self._drained_bytes = 0

    @property
    def _is_awaiting_client(self) -> bool:
        return self._in_head or self._in_body or not self._is_responding

    @property
    def _is_responding(self) -> bool:
        """Return whether the last request whose head has arrived lacks a complete response."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's class narrows it
        self._send_deadline = Deadline(self.loop, transport.abort)
        """Pending while the client has to read."""
        super().connection_made(transport)
        self.flow = _PipelineFlowControl(transport, self.pipeline)
        self._metrics.add(CONNECTIONS, 1)
        self._receive_deadline.set(self._request_timeout)
        if len(self.connections) > self._max_connections:
            self._close_idlest_connection()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receive_deadline.cancel()
        self._send_deadline.cancel()
        self._metrics.add(CONNECTIONS, -1)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._is_head_only = not self._in_body
        self._may_execute = True
        super().data_received(data)
        self._dispatch_buffered()
        if self._is_upgraded or self.transport.is_closing():
            return
        if self._in_head and self._is_head_only:
            self._head_bytes += len(data)
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._reject(431, f"Send at most {_MAX_HEAD_BYTES} bytes of address and headers.")
        elif not self._is_awaiting_client:
            self._receive_deadline.clear()
        elif self._receive_deadline.expires_at is None:
            self._receive_deadline.set(self._request_timeout)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._drained_bytes = 0
        # Only here: bytes that begin no request, such as empty lines, do not extend the deadline.
        self._receive_deadline.clear()

    def on_headers_complete(self) -> None:
        if self._may_buffer():
            self._buffered_body = b""
        else:
            super().on_headers_complete()
        self._in_head, self._in_body, self._is_head_only = False, True, False

    def on_body(self, body: bytes) -> None:
        if self._buffered_body is not None:
            self._buffered_body += body
            return
        super().on_body(body)
        if not self._is_responding:
            self._drained_bytes += len(body)
            if self._drained_bytes > _MAX_DRAIN_BYTES:
                self._close()

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._buffered_body is None or not self._try_fast_path(self._buffered_body):
            self._dispatch_buffered()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next pipelined request as uvicorn does, without its timer per request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        next_request = self.pipeline.pop() if self.pipeline else None
        self.flow.resume_reading()
        if next_request is not None:
            self._start_asgi_task(*next_request)
        elif self._in_head:
            self._receive_deadline.set(self._request_timeout)  # reading may have been paused
        elif not self._in_body:
            self._receive_deadline.set(self.timeout_keep_alive)

    def handle_websocket_upgrade(self) -> None:
        self._is_upgraded = True
        # Another protocol takes over the transport, so connection_lost is not called here.
        self._metrics.add(CONNECTIONS, -1)
        self._receive_deadline.cancel()
        self._send_deadline.cancel()
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        self._is_stopping = True
        super().shutdown()
        if self._in_body and not self.transport.is_closing():
            self._receive_deadline.set(_SHUTDOWN_READ_TIMEOUT)

    def send_400_response(self, msg: str) -> None:
        self._reject(400, msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_deadline.set(SEND_TIMEOUT)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._send_deadline.cancel()

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: the request is served as if it had no Upgrade header."""

    def _may_buffer(self) -> bool:
        """Return whether the request whose head has arrived may be served by the fast path."""
        return not (
            self._fast_path is None
            or self._is_responding
            or self.flow.write_paused
            or self.expect_100_continue
            or self.parser.should_upgrade()
        )

    def _dispatch_buffered(self) -> None:
        """Pass a buffered request to the application."""
        if self._buffered_body is not None:
            body, self._buffered_body = self._buffered_body, None
            super().on_headers_complete()
            if body:
                super().on_body(body)

    def _try_fast_path(self, body: bytes) -> bool:
        """Respond to a complete request without the application; return whether that was done."""
        if self._fast_path is None:
            return False
        may_execute, self._may_execute = self._may_execute, False
        request = self._fast_path.parse(self.parser.get_method(), self.url, self.headers, body)
        if request is None:
            return False
        response = self._fast_path.respond(request, may_execute=may_execute)
        if response is None:
            self.scope["state"][PARSED_REQUEST_KEY] = request
            return False
        self._buffered_body = None
        headers = [(REQUEST_ID_HEADER, self._new_id().encode()), *self.server_state.default_headers]
        is_last = not self.parser.should_keep_alive() or self.parser.get_http_version() == "1.0"
        if is_last:
            headers.append((b"connection", b"close"))
        head = response.head + encode_headers(headers) + b"\r\n"
        self.transport.writelines((head, response.body))
        if is_last:
            self.transport.close()
        self.on_response_complete()
        return True

    def _handle_timeout(self) -> None:
        """Respond with 408 or 503, or just close, when the client has not sent in time."""
        is_serving_earlier = bool(self.pipeline) or (self._in_head and self._is_responding)
        if is_serving_earlier:
            self._receive_deadline.set(self._request_timeout)
        elif self._is_stopping:
            self._reject(503, "The server is stopping.")
        elif self._in_head or (self._in_body and not self.cycle.response_started):
            self._reject(408, f"The request did not arrive within {self._request_timeout:g} s.")
        else:
            self._close()

    def _close_idlest_connection(self) -> None:
        """Close the connection that has been idle longest, or this one if none is idle."""
        idle = [
            connection
            for connection in self.connections
            if isinstance(connection, HTTPProtocol)
            and connection is not self
            and connection._is_awaiting_client  # noqa: SLF001 - this class's
            and not connection.transport.is_closing()
        ]
        if idle:
            min(idle, key=lambda connection: connection._receive_deadline.set_at)._close()  # noqa: SLF001 - this class's
        else:
            self._reject(503, "There are too many connections.")

    def _reject(self, status: int, reason: str) -> None:
        """Respond in place of the application, which sees the client disconnect."""
        self._dispatch_buffered()
        seconds = time.monotonic() - self._receive_deadline.set_at
        self._metrics.record_request(NO_KIND, status, seconds)
        if self._in_body:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        write_rejection(self.transport, self._new_id(), status, reason)
        self._close()

    def _close(self) -> None:
        """Close once the client has read what is written, at the latest after `SEND_TIMEOUT`."""
        self._receive_deadline.cancel()
        if not self.transport.is_closing():
            self.transport.close()
            self._send_deadline.set(SEND_TIMEOUT)
