"""The HTTP protocol with the fast path before ASGI."""

from collections.abc import Sequence
from typing import Any

from graphql_api.http.errors import HTTPRejection
from graphql_api.http.graphql.fast_path import FAST_PATH_KEY, FastPath
from graphql_api.http.graphql.request import PARSED_REQUEST_KEY, ParsedRequest
from graphql_api.http.middleware.request_id import REQUEST_ID_HEADER, find_request_id
from graphql_api.http.raw_response import Header, encode_headers
from graphql_api.server.http_protocol import HTTPProtocol
from graphql_api.server.known_heads import KnownHead, KnownHeads


class FastPathProtocol(HTTPProtocol):
    """An HTTP connection whose requests the fast path serves if it can, and else the application."""

    def __init__(self, *args: Any, known_heads: KnownHeads, **kwargs: Any) -> None:  # noqa: ANN401 - of the base class
        """Take the fast path from the state of the lifespan; without one, the application serves all requests."""
        super().__init__(*args, **kwargs)
        self._known_heads = known_heads
        self._fast_path: FastPath | None = self.app_state.get(FAST_PATH_KEY)
        self._buffered_body: bytes | None = None
        """Body received so far of a request that the fast path may serve."""
        self._may_execute = True
        """True while the fast path may execute a query: once per read, so that others get a turn."""
        self._data = b""
        """Bytes of this read."""
        self._declined_request: ParsedRequest | None = None
        """The request of this read, if the fast path left it to the application before the parser saw it."""

    @property
    def _is_started(self) -> bool:
        return self._in_body and self._buffered_body is None

    def data_received(self, data: bytes) -> None:
        self._may_execute = True
        if not self._serve_known_head(data):
            self._data = data
            super().data_received(data)
            self._data = b""

    def on_body(self, body: bytes) -> None:
        if self._buffered_body is None:
            super().on_body(body)
        else:
            self._buffered_body += body

    def _parse(self, data: bytes) -> None:
        super()._parse(data)
        self._start_buffered()

    def _start_request(self) -> None:
        if self._may_buffer():
            self._buffered_body = b""
        else:
            super()._start_request()

    def _end_request(self) -> None:
        if self._buffered_body is None or not self._try_fast_path(self._buffered_body):
            self._start_buffered()
            super()._end_request()

    def _reject(self, rejection: HTTPRejection) -> None:
        super()._reject(rejection)
        self._buffered_body = None

    def _may_buffer(self) -> bool:
        """Return whether the request whose head has arrived may be served by the fast path."""
        return not (
            self._fast_path is None or self._is_responding or self.flow.write_paused or self.expect_100_continue
        )

    def _start_buffered(self) -> None:
        """Pass a buffered request to the application."""
        if self._buffered_body is not None:
            body, self._buffered_body = self._buffered_body, None
            super()._start_request()
            if body:
                super().on_body(body)

    def _serve_known_head(self, data: bytes) -> bool:
        """Respond to a whole request whose head is known, without the parser; return whether that was done."""
        is_busy = self._in_head or self._in_body or self._is_responding or self._has_ended or self.flow.write_paused
        if is_busy or self._fast_path is None:
            return False
        known = self._known_heads.split(data)
        if known is None:
            return False
        head, body = known
        request = head.request.with_body(body)
        if not self._respond(self._fast_path, request, head.headers, head.request_id, is_last=False):
            self._declined_request = request
            return False
        self.server_state.total_requests += 1
        self._receive_deadline.set(self.timeout_keep_alive)
        return True

    def _try_fast_path(self, body: bytes) -> bool:
        """Respond to a complete request without the application; return whether that was done."""
        fast_path, headers = self._fast_path, self._request_headers
        if fast_path is None:
            return False
        request, self._declined_request = self._declined_request, None
        if request is None:
            request = fast_path.parse(self.parser.get_method(), self.url, headers, body)
            if request is None:
                return False
            request_id = find_request_id(headers)
            is_last = not self.parser.should_keep_alive() or self.parser.get_http_version() == "1.0"
            if self._respond(fast_path, request, headers, request_id, is_last=is_last):
                self._buffered_body = None
                if is_last:
                    self.transport.close()
                else:
                    self._known_heads.add(self._data, KnownHead(request.with_body(b""), len(body), headers, request_id))
                self.on_response_complete()
                return True
        self.scope["state"][PARSED_REQUEST_KEY] = request
        return False

    def _respond(
        self,
        fast_path: FastPath,
        request: ParsedRequest,
        headers: Sequence[Header],
        request_id: str | None,
        *,
        is_last: bool,
    ) -> bool:
        """Respond to a request if the fast path does; return whether it did."""
        may_execute, self._may_execute = self._may_execute, False
        bucket = fast_path.find_bucket(self._find_client(headers)) if fast_path.has_rate_limit else None
        response = fast_path.respond(request, may_execute=may_execute, bucket=bucket)
        if response is None:
            return False
        request_id = request_id or self._rejector.new_id()
        response_headers = [(REQUEST_ID_HEADER, request_id.encode()), *self.server_state.default_headers]
        if bucket is not None:
            response_headers += bucket.build_headers()
        if is_last:
            response_headers.append((b"connection", b"close"))
        head = response.head + encode_headers(response_headers) + b"\r\n"
        self.transport.writelines((head, response.body))
        return True

    def _find_client(self, headers: Sequence[Header]) -> str | None:
        """Return the address of the client, or the one that a trusted proxy forwards."""
        return self._rejector.trusted_proxies.find_client(self.address, headers)
