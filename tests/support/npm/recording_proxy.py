"""An HTTP proxy before servers, which records each request with its response."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import cycle
from urllib.parse import parse_qs, urlsplit

from tests.support.processes import Process
from tests.support.server import running_http_server
from tests.support.wait import WAIT_TIMEOUT

_HOP_BY_HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
"""Headers that are not forwarded."""


class ProxyRecording:
    """The exchanges that went through the proxy at `url`."""

    def __init__(self, url: str) -> None:
        """Start without exchanges."""
        self.url = url
        self._exchanges: list[str] = []
        self._header_names: set[str] = set()

    def record(self, exchange: str, header_names: set[str]) -> None:
        """Add an exchange."""
        self._exchanges.append(exchange)
        self._header_names |= header_names

    def take_exchanges(self) -> list[str]:
        """Return the exchanges since the last call, sorted."""
        exchanges, self._exchanges = sorted(self._exchanges), []
        return exchanges

    @property
    def header_names(self) -> set[str]:
        """Return the names of all request headers, in lower case."""
        return self._header_names


@contextmanager
def recording_proxy(*servers: Process) -> Iterator[ProxyRecording]:
    """Forward requests to the servers in turn."""
    server_addresses = cycle([urlsplit(server.url).netloc for server in servers])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._forward()

        def do_POST(self) -> None:
            self._forward()

        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(next(server_addresses), timeout=WAIT_TIMEOUT)
            headers = {name: value for name, value in self.headers.items() if name != "connection"}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
            connection.close()
            header_names = {name.lower() for name in self.headers}
            request_summary = _describe_request(self.command, self.path, body, header_names)
            recording.record(f"{request_summary}: {_describe_response(response.status, content)}", header_names)
            self.send_response_only(response.status)
            for name, value in response.getheaders():
                if name.lower() not in _HOP_BY_HOP_HEADERS:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Log nothing."""

    with running_http_server(Handler) as port:
        recording = ProxyRecording(f"http://127.0.0.1:{port}")
        yield recording


def _describe_request(method: str, path: str, body: bytes, header_names: set[str]) -> str:
    """Return the method, how the document is named, and whether the request is conditional; the length of a batch."""
    params = json.loads(body) if body else {}
    if isinstance(params, list):
        return f"{method} batch of {len(params)}"
    if method == "GET":
        params = {name: value for name, [value] in parse_qs(urlsplit(path).query).items()}
        params["extensions"] = json.loads(params.get("extensions", "null"))
    parts = ["hash"] * ("persistedQuery" in (params.get("extensions") or {}))
    parts += ["document"] * bool(params.get("query"))
    parts += ["tag"] * ("if-none-match" in header_names)
    return f"{method} {' and '.join(parts)}"


def _describe_response(status: int, content: bytes) -> str:
    """Return the status and the error codes."""
    try:
        errors = json.loads(content).get("errors", [])
    except (ValueError, AttributeError):  # compressed, empty or a batch
        errors = []
    return " ".join([str(status), *(error["extensions"]["code"] for error in errors)])
