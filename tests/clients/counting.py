"""A proxy in front of servers that tells what clients asked, and how it was answered."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cli.running import PATIENCE, Process

_PER_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "date", "server"}
"""Headers that are not passed on."""


class Counting:
    """What went through the proxy at `url`."""

    def __init__(self, url: str) -> None:
        """Begin without any."""
        self.url = url
        self._lines: list[str] = []
        self._names: set[str] = set()

    def add(self, line: str, names: set[str]) -> None:
        """Take in a request."""
        self._lines.append(line)
        self._names |= names

    def lines(self) -> list[str]:
        """Return what went through since this was asked last: what was sent, and what came."""
        lines, self._lines = sorted(self._lines), []
        return lines

    @property
    def names(self) -> set[str]:
        """Return the names of all headers that were sent, in small letters."""
        return self._names


@contextmanager
def counting(*servers: Process) -> Iterator[Counting]:
    """Put a proxy in front of servers, which get the requests by turns."""
    places = cycle([urlsplit(server.url).netloc for server in servers])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(next(places), timeout=PATIENCE)
            headers = {name: value for name, value in self.headers.items() if name != "connection"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            names = {name.lower() for name in self.headers}
            asked = _describe(self.command, self.path, body, names)
            counted.add(f"{asked}: {_describe_answer(answer.status, content)}", names)
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _PER_CONNECTION:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        counted = Counting(f"http://127.0.0.1:{proxy.server_port}")
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield counted
        finally:
            proxy.shutdown()
            thread.join()


def _describe(method: str, path: str, body: bytes, names: set[str]) -> str:
    """Return the method, what the document is told by, and whether an answer is known."""
    sent: dict[str, Any] = json.loads(body) if body else {}
    if method == "GET":
        sent = {name: one for name, [one] in parse_qs(urlsplit(path).query).items()}
        sent["extensions"] = json.loads(sent.get("extensions", "null"))
    parts = ["hash"] * ("persistedQuery" in (sent["extensions"] or {}))
    parts += ["document"] * bool(sent.get("query"))
    parts += ["tag"] * ("if-none-match" in names)
    return f"{method} {' and '.join(parts)}"


def _describe_answer(status: int, content: bytes) -> str:
    """Return the status, and the code of what went wrong."""
    try:
        errors = json.loads(content).get("errors", [])
    except ValueError:  # it is compressed, or there is none
        errors = []
    return " ".join([str(status), *(error["extensions"]["code"] for error in errors)])
