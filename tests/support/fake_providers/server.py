"""A real HTTP server, on real sockets, that plays the sources and fails in every way they might."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.support.server import ThreadServer
from tests.support.wait import WAIT_TIMEOUT

BODIES = Path(__file__).parent / "bodies"

COUNTRIES = (BODIES / "geonames.countryInfo.txt").read_bytes()
"""What geonames answers."""
RATES = (BODIES / "er-api.v6.latest-USD.json").read_bytes()
"""What er-api answers."""
PAGES = tuple((BODIES / f"restcountries.v5.page{n}.json").read_bytes() for n in range(3))
"""What restcountries answers, a hundred countries each."""
V3 = (BODIES / "restcountries.v3.1.all.json").read_bytes()
"""What restcountries-v3 answers."""
GONE = (BODIES / "restcountries.legacy-gone.json").read_bytes()
"""What the old addresses of REST Countries answer, with status 200."""
FRANKFURTER = (BODIES / "frankfurter.v2.rates-USD.json").read_bytes()
"""What frankfurter answers."""
FAWAZAHMED0 = (BODIES / "fawazahmed0.usd.json").read_bytes()
"""What fawazahmed0 answers."""
HTML = b"<!doctype html><title>Under maintenance</title><h1>Back soon</h1>"
"""What a proxy or a captive portal answers, with status 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeResponse:
    """One answer, or one way of failing to give it."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    """Seconds before it begins."""
    hold_until: Callable[[], bool] = lambda: True
    """It is held back while this is false, for ever if need be; `event.is_set` fits."""
    hold_after: int | None = None
    """How much of the body is sent, after the head, before it is held back; None: not even that."""
    cut_after: int | None = None
    """How much of the body is sent before the connection is closed; None: all of it."""
    byte_delay: float = 0
    """Seconds after each byte of the body, which then come one by one; 0: all at once."""
    reset: bool = False
    """Whether the connection is reset instead of closed, after what is sent."""
    raw: bool = False
    """Whether the body is sent as it is, without a head; empty, the connection is just closed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    path: str
    """Without the slash that it begins with."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(slots=True)
class Exchange:
    """A connection on which something was asked, and how it ended."""

    path: str
    started_at: float
    """By a clock that only counts on."""
    completed_at: float | None = None
    """When all of the answer was sent; None before."""
    is_abandoned: bool = False
    """Whether the client went away before that."""


Responder = FakeResponse | Callable[[Request], FakeResponse]
"""An answer, or what makes one to fit the request."""


def paginated_responder(key: str) -> Callable[[Request], FakeResponse]:
    """Return what answers like restcountries: a page, to whoever has the key."""

    def respond(request: Request) -> FakeResponse:
        if request.headers.get("authorization") != f"Bearer {key}":
            error_body = b'{"errors": [{"message": "Authorization key required."}]}'
            return FakeResponse(status=401, body=error_body)
        if request.query.get("limit") != "100":
            return FakeResponse(status=400)
        return FakeResponse(body=PAGES[int(request.query["offset"]) // 100])

    return respond


class Upstream(ThreadServer):
    """The server, in a thread of its own while the context lasts, on a port that was free.

    It answers `countries` and `rates` well until it is told otherwise.
    """

    def __init__(self) -> None:
        """Bind the port; connections wait in its queue until the context is entered."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._socket.getsockname()[1]
        self._responders: dict[str, list[Responder]] = {
            "countries": [FakeResponse(body=COUNTRIES)],
            "rates": [FakeResponse(body=RATES)],
        }
        self._requests: list[Request] = []
        self.exchanges: list[Exchange] = []
        """Every request so far, in order; a test only looks."""
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Return its URL, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def countries_url(self) -> str:
        """Return the complete URL of the countries, in the layout of geonames."""
        return f"{self.url}/countries"

    @property
    def rates_url(self) -> str:
        """Return the complete URL of the rates, in the layout of er-api."""
        return f"{self.url}/rates"

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings that make a server of the project ask here, and nobody else."""
        return {
            "COUNTRIES_SOURCES": f"geonames={self.countries_url},bundled",
            "RATES_SOURCES": f"er-api={self.rates_url},bundled",
        }

    @property
    def requests(self) -> tuple[Request, ...]:
        """Return every request so far, in order."""
        with self._changed:
            return tuple(self._requests)

    def request_count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(request.path == path for request in self.requests)

    def set_responses(self, path: str, *responders: Responder) -> None:
        """Give these answers to the next requests for `path`, in order; the last one for ever."""
        with self._changed:
            self._responders[path] = list(responders)

    def wait_for_requests(self, path: str, count: int = 1) -> None:
        """Wait until `path` was asked for that often; from asyncio call it in a thread."""
        with self._changed:
            has_arrived = self._changed.wait_for(
                lambda: self.request_count(path) >= count, WAIT_TIMEOUT
            )
        if not has_arrived:
            raise TimeoutError(
                f"/{path} was asked for {self.request_count(path)} times, not {count}"
            )

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._respond, sock=self._socket):
            await self._stopped.wait()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A client may go away whenever it likes, and the server as well: Python 3.11 reports
            # an answer that ends by being cancelled.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                request = _parse(await reader.readuntil(b"\r\n\r\n"))
                exchange = Exchange(request.path, time.monotonic())
                self.exchanges.append(exchange)
                disconnect_watcher = asyncio.create_task(_watch_for_disconnect(reader, exchange))
                try:
                    await _send_response(self._next_response(request), writer)
                    exchange.completed_at = time.monotonic()
                finally:
                    disconnect_watcher.cancel()
        finally:
            writer.close()

    def _next_response(self, request: Request) -> FakeResponse:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            responders = self._responders.get(request.path, [FakeResponse(status=404)])
            responder = responders.pop(0) if len(responders) > 1 else responders[0]
        return responder if isinstance(responder, FakeResponse) else responder(request)


async def _watch_for_disconnect(reader: asyncio.StreamReader, exchange: Exchange) -> None:
    """Notice that a client goes away before it has its answer."""
    with suppress(ConnectionError):
        await reader.read()
    exchange.is_abandoned = exchange.completed_at is None


def _parse(head: bytes) -> Request:
    request_line, *header_lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = request_line.split(" ")
    url = urlsplit(target)
    pairs = (line.partition(":") for line in header_lines)
    return Request(
        method=method,
        path=url.path.removeprefix("/"),
        query=dict(parse_qsl(url.query, keep_blank_values=True)),
        headers={name.lower(): value.strip() for name, _, value in pairs},
    )


async def _send_response(response: FakeResponse, writer: asyncio.StreamWriter) -> None:
    body = response.body[: response.cut_after]
    held_from = response.hold_after or 0
    await asyncio.sleep(response.delay)
    if response.hold_after is None:
        await _wait_until_released(response)
    writer.write((b"" if response.raw else _build_head(response)) + body[:held_from])
    await writer.drain()
    if response.hold_after is not None:
        await _wait_until_released(response)
    if response.byte_delay:
        for byte in body[held_from:]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(response.byte_delay)
    else:
        writer.write(body[held_from:])
        await writer.drain()
    if response.reset:
        # Nothing lingers: what is still on its way is thrown away, and the client is told so.
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()


async def _wait_until_released(response: FakeResponse) -> None:
    while not response.hold_until():  # noqa: ASYNC110 - the condition belongs to another thread
        await asyncio.sleep(0.002)


def _build_head(response: FakeResponse) -> bytes:
    headers = {
        "Content-Length": str(len(response.body)),
        "Connection": "close",
        **response.headers,
    }
    header_lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    phrase = HTTPStatus(response.status).phrase
    return f"HTTP/1.1 {response.status} {phrase}\r\n{''.join(header_lines)}\r\n".encode("latin-1")
