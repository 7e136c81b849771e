"""uvicorn's HTTP protocol with deadlines for clients, rejections in turn, and upgrades to WebSocket only.

uvicorn itself waits without limit for the rest of a request and for a client to read its response. It loses the body
of a request whose Upgrade header it ignores, and answers a malformed request before those that came before it.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import proxy

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from graphql_api.http.errors import STOPPING_MESSAGE, HTTPRejection, build_unavailable
from graphql_api.http.middleware.request_id import REJECTED_KEY, REQUEST_ID_KEY
from graphql_api.http.raw_response import Header
from graphql_api.metrics.definitions import CONNECTIONS, NO_KIND
from graphql_api.metrics.recorder import MetricsRecorder
from graphql_api.server.connection_limits import ConnectionLimits
from graphql_api.server.deadline import SEND_TIMEOUT, Deadline
from graphql_api.server.flow_control import PipelineFlowControl
from graphql_api.server.rejection import Rejector, normalize_peer
from graphql_api.server.request_head import (
    MAX_HEAD_BYTES,
    RequestHead,
    build_head_too_large,
    check_hosts,
    create_parser,
    measure_head,
)

_MAX_DRAIN_BYTES = 10_000_000
"""Maximum bytes that are read after the response to them; many clients send all of a body first."""
_SHUTDOWN_READ_TIMEOUT = 1.0
"""Seconds for the rest of a body to arrive once the server stops."""
_LINGER_TIMEOUT = 1.0
"""Seconds for a client to read a rejection and close. Closing while it still sends would reset the connection."""


class HTTPProtocol(HttpToolsProtocol):
    """An HTTP connection that is closed when its client takes too long."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - passed on to uvicorn's class
        request_timeout: float,
        limits: ConnectionLimits,
        metrics: MetricsRecorder,
        rejector: Rejector,
        **kwargs: Any,  # noqa: ANN401 - passed on to uvicorn's class
    ) -> None:
        """Wait `request_timeout` seconds for a request."""
        super().__init__(*args, **kwargs)
        self._metrics = metrics
        self._rejector = rejector
        self._request_timeout = request_timeout
        self._limits = limits
        self.address: str | None = None
        """IP address of the other end."""
        # Weak: a connection that is closed is freed at once, not when the collector finds it.
        self._receive_deadline = Deadline(self.loop, partial(HTTPProtocol._handle_timeout, proxy(self)))
        """Pending while the client has to send."""
        self._in_head = self._in_body = self._is_stopping = self._is_upgraded = self._is_lingering = False
        self._is_upgrade = False
        """True if the request whose head has arrived asks for another protocol."""
        self._last_action: Callable[[], None] | None = None
        """Ends HTTP on this connection once earlier requests have their responses."""
        self._request_headers: list[Header] = []
        """Headers of the last request whose head has arrived."""
        self._valid_hosts: list[bytes] = []
        """Host headers of the last request, which need no second check."""
        self._is_framing_only = False
        """True if the data just received is part of a head, or of a body's chunk sizes and trailers, and no more."""
        self._framing_bytes = self._drained_bytes = 0
        self._data_bytes = self._received_bytes = 0
        """Bytes of the data just received, and of all data from that on in which the request began."""

    @property
    def _is_awaiting_client(self) -> bool:
        return self._last_action is None and (self._in_head or self._in_body or not self._is_responding)

    @property
    def idle_since(self) -> float | None:
        """Return the monotonic time since which the client has to send; None while it is served."""
        is_idle = self._is_awaiting_client and not self.transport.is_closing()
        return self._receive_deadline.set_at if is_idle else None

    @property
    def _is_responding(self) -> bool:
        """Return whether the last request whose head has arrived lacks a complete response."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def _has_ended(self) -> bool:
        """Return whether no further request is read."""
        return self._is_upgraded or self._is_lingering or bool(self._last_action) or self.transport.is_closing()

    def _has_waiting_requests(self) -> bool:
        return bool(self.pipeline or self._last_action)

    @property
    def _is_started(self) -> bool:
        """Return whether the request whose body is arriving has been passed on."""
        return self._in_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's class narrows it
        self._send_deadline = Deadline(self.loop, transport.abort)
        """Pending while the client has to read."""
        super().connection_made(transport)
        self.client = normalize_peer(self.client)
        self.flow = PipelineFlowControl(transport, partial(HTTPProtocol._has_waiting_requests, proxy(self)))
        self._metrics.add(CONNECTIONS, 1)
        self._receive_deadline.set(self._request_timeout)
        self.address = self.client and self.client[0]
        others = (other for other in self.connections if isinstance(other, HTTPProtocol) and other is not self)
        if rejection := self._limits.admit(self, others, count=len(self.connections)):
            self._reject(rejection)

    def connection_lost(self, exc: Exception | None) -> None:
        self._receive_deadline.cancel()
        self._send_deadline.cancel()
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            self._drop(data)
            return
        self._data_bytes = len(data)
        self._received_bytes += self._data_bytes
        self._is_framing_only = True
        self._parse(data)
        if self._has_ended:
            return
        if self._is_framing_only and (self._in_head or self._in_body):
            self._framing_bytes += self._data_bytes
        if self._framing_bytes > MAX_HEAD_BYTES:
            self._reject(build_head_too_large())
        elif not self._is_awaiting_client:
            self._receive_deadline.clear()
        elif self._receive_deadline.expires_at is None:
            self._receive_deadline.set(self._request_timeout)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._framing_bytes = self._drained_bytes = 0
        self._received_bytes = self._data_bytes
        # Only here: bytes that begin no request, such as empty lines, do not extend the deadline.
        self._receive_deadline.clear()

    def on_headers_complete(self) -> None:
        """Check the head and start the request, unless it may change the protocol.

        Raises:
            HTTPRejection: The request is rejected. The parser raises an error with this one as its context.
        """
        if self._received_bytes > MAX_HEAD_BYTES and measure_head(self.url, self.headers) > MAX_HEAD_BYTES:
            raise build_head_too_large()
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts or hosts != self._valid_hosts:
            check_hosts(hosts, self.parser.get_http_version())
            self._valid_hosts = hosts
        self._is_upgrade = self.parser.should_upgrade()
        if not self._is_upgrade:
            self._start_request()
        elif self.parser.get_method() == b"CONNECT":
            raise HTTPRejection(405, "Send GET or POST.", {"Allow": "GET, POST"})
        self._in_head, self._in_body, self._is_framing_only = False, True, False
        self._framing_bytes = 0
        # uvicorn would add trailers to the headers that the application reads.
        self._request_headers, self.headers = self.headers, []

    def on_body(self, body: bytes) -> None:
        self._is_framing_only, self._framing_bytes = False, 0
        super().on_body(body)
        if not self._is_responding:
            self._drop(body)

    def on_message_complete(self) -> None:
        self._in_body = self._is_framing_only = False
        if not self._is_upgrade:
            self._end_request()

    def on_response_complete(self) -> None:
        """Start the next pipelined request as uvicorn does, without its timer per request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        next_request = self.pipeline.pop() if self.pipeline else None
        last_action = self._last_action
        if next_request is None and last_action is not None:
            self._last_action = None
            last_action()
            return
        self.flow.resume_reading()
        if next_request is not None:
            self._start_asgi_task(*next_request)
        elif self._in_head:
            self._receive_deadline.set(self._request_timeout)  # reading may have been paused
        elif not self._in_body:
            self._receive_deadline.set(self.timeout_keep_alive)

    def shutdown(self) -> None:
        self._is_stopping = True
        super().shutdown()
        if self._in_body and not self.transport.is_closing():
            self._receive_deadline.set(_SHUTDOWN_READ_TIMEOUT)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_deadline.set(SEND_TIMEOUT)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._send_deadline.cancel()

    def _start_request(self) -> None:
        """Pass the request on whose head has arrived, or let it wait for earlier ones."""
        self._rejector.trusted_proxies.apply_to(self.scope)
        super().on_headers_complete()

    def _end_request(self) -> None:
        """Pass on that the body has arrived."""
        super().on_message_complete()

    def _parse(self, data: bytes) -> None:
        """Parse data as HTTP, up to a request that is rejected or changes the protocol.

        The parser takes what follows an Upgrade header for another protocol. So a request whose upgrade is ignored is
        parsed a second time, without that header.
        """
        pieces: list[bytes | memoryview] = [data]
        try:
            while pieces:
                piece = pieces.pop()
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    head, rest = self._read_head(), memoryview(piece)[upgrade.args[0] :]
                    if head.is_websocket_handshake:
                        self._end_http(partial(self._switch_to_websocket, head, rest))
                        return
                    # The former parser may take the connection for closed, by the head that it has read.
                    self.parser = create_parser(self)
                    pieces += [rest, head.without_upgrade().encode()]
        except httptools.HttpParserError as error:
            rejection = error.__context__
            if not isinstance(rejection, HTTPRejection):
                rejection = HTTPRejection(400, "The request is not HTTP/1.1.")
            self._reject(rejection)

    def _read_head(self) -> RequestHead:
        version = self.parser.get_http_version()
        return RequestHead(self.parser.get_method(), self.url, version, self._request_headers)

    def _handle_timeout(self) -> None:
        """Respond with 408 or 503, or just close, when the client has not sent in time."""
        is_serving_earlier = bool(self.pipeline) or (self._in_head and self._is_responding)
        if is_serving_earlier:
            self._receive_deadline.set(self._request_timeout)
        elif self._is_stopping:
            self._reject(build_unavailable(STOPPING_MESSAGE))
        elif self._in_head or self._in_body:
            self._reject(HTTPRejection(408, f"The request did not arrive within {self._request_timeout:g} s."))
        else:
            self.close()

    def _leave(self) -> None:
        """Count this connection no more."""
        self._metrics.add(CONNECTIONS, -1)
        self._limits.per_client.remove(self.address)

    def _reject(self, rejection: HTTPRejection) -> None:
        """Respond in place of the application, which sees the client disconnect, and close the connection."""
        if not self._is_started:
            self._end_http(partial(self._send_rejection, rejection))
        elif self.pipeline:
            self.pipeline.popleft()
            self._end_http(partial(self._send_rejection, rejection))
        else:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.close()
            else:
                self._send_rejection(rejection)

    def _end_http(self, last_action: Callable[[], None]) -> None:
        """Do the last thing of this protocol once earlier requests have their responses. Until then, read nothing."""
        self._receive_deadline.clear()
        if self._is_responding:
            self._last_action = last_action
            self.flow.pause_reading()
        else:
            last_action()

    def _send_rejection(self, rejection: HTTPRejection) -> None:
        seconds = time.monotonic() - self._receive_deadline.set_at
        self._metrics.record_request(NO_KIND, rejection.status, seconds)
        scope: Any = self.scope or {"state": {}, "headers": ()}  # uvicorn sets it when a request begins
        state = scope["state"]
        state[REJECTED_KEY] = True
        self._rejector.reject(
            self.transport, rejection, request_id=state.get(REQUEST_ID_KEY), peer=self.client, headers=scope["headers"]
        )
        self._is_lingering = True
        self._receive_deadline.cancel()
        self.transport.write_eof()
        self.flow.resume_reading()
        self._send_deadline.set(_LINGER_TIMEOUT)

    def _switch_to_websocket(self, head: RequestHead, rest: memoryview) -> None:
        if self._is_stopping:
            self._send_rejection(build_unavailable(STOPPING_MESSAGE))
            return
        self._is_upgraded = True
        self.parser = None  # type: ignore[assignment] # it refers to this object, which is freed without the collector
        # Another protocol takes over the transport, so connection_lost is not called here.
        self._leave()
        self._receive_deadline.cancel()
        self._send_deadline.cancel()
        self.connections.discard(self)
        protocol = self.ws_protocol_class(  # type: ignore[call-arg, misc]  # uvicorn's type is that of any protocol
            config=self.config, server_state=self.server_state, app_state=self.app_state, handshake_headers=head.headers
        )
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        self.flow.resume_reading()
        protocol.data_received(head.encode())
        if rest:
            protocol.data_received(bytes(rest))

    def _drop(self, data: bytes) -> None:
        """Count what a client sends that needs no more of it, and close the connection when that is too much."""
        self._drained_bytes += len(data)
        if self._drained_bytes > _MAX_DRAIN_BYTES:
            self.close()

    def close(self) -> None:
        """Close once the client has read what is written, at the latest after `SEND_TIMEOUT`."""
        self._receive_deadline.cancel()
        if not self.transport.is_closing():
            self.transport.close()
            self._send_deadline.set(SEND_TIMEOUT)
