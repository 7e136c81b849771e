"""An HTTP server on a real socket that acts as the providers and can fail in any way."""

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.support.certificates import Certificate
from tests.support.server import ThreadServer
from tests.support.wait import WAIT_TIMEOUT

BODIES = Path(__file__).parent / "bodies"

COUNTRIES = (BODIES / "geonames.countryInfo.txt").read_bytes()
"""Body of geonames."""
RATES = (BODIES / "er-api.v6.latest-USD.json").read_bytes()
"""Body of er-api."""
PAGES = tuple((BODIES / f"restcountries.v5.page{n}.json").read_bytes() for n in range(3))
"""Pages of restcountries, 100 countries each."""
V3 = (BODIES / "restcountries.v3.1.all.json").read_bytes()
"""Body of restcountries-v3."""
GONE = (BODIES / "restcountries.legacy-gone.json").read_bytes()
"""Body of the old URLs of REST Countries, which have status 200."""
FRANKFURTER = (BODIES / "frankfurter.v2.rates-USD.json").read_bytes()
"""Body of frankfurter."""
FAWAZAHMED0 = (BODIES / "fawazahmed0.usd.json").read_bytes()
"""Body of fawazahmed0."""
STATISTICS = {
    indicator: (BODIES / f"worldbank.{indicator}.json").read_bytes()
    for indicator in ("SP.POP.TOTL", "NY.GDP.MKTP.CD", "NY.GDP.MKTP.PP.CD")
}
"""Bodies of world-bank, by indicator."""
WORLD_BANK_ERROR = (BODIES / "worldbank.error.json").read_bytes()
"""Body of world-bank for a request that it does not understand, with status 200."""
HTML = b"<!doctype html><title>Under maintenance</title><h1>Back soon</h1>"
"""Body of a proxy or captive portal, with status 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeResponse:
    """A response, or a failure to send one."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    """Seconds before the head is sent."""
    hold_until: Callable[[], bool] = lambda: True
    """Polled; sending waits while it returns false, without a time limit."""
    hold_after: int | None = None
    """Bytes of the body sent before waiting for `hold_until`. None: not even the head."""
    cut_after: int | None = None
    """Bytes of the body sent before the connection closes. None: all."""
    byte_delay: float = 0
    """Seconds after each byte of the body. 0: the body is sent at once."""
    reset: bool = False
    """True if the connection ends with a reset."""
    raw: bool = False
    """True if the body is sent without a head."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received."""

    method: str
    path: str
    """Without the leading slash."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By name in lower case."""


@dataclass(slots=True)
class Exchange:
    """A request, and when its response ended."""

    path: str
    started_at: float
    """Monotonic time."""
    completed_at: float | None = None
    """Monotonic time when the whole response was sent; None before."""
    is_abandoned: bool = False
    """True if the client disconnected before that."""


Responder = FakeResponse | Callable[[Request], FakeResponse]
"""A response, or a function from the request to one."""


def paginated_responder(key: str) -> Callable[[Request], FakeResponse]:
    """Return a responder like restcountries: it sends pages to requests with the key."""

    def respond(request: Request) -> FakeResponse:
        if request.headers.get("authorization") != f"Bearer {key}":
            error_body = b'{"errors": [{"message": "Authorization key required."}]}'
            return FakeResponse(status=401, body=error_body)
        if request.query.get("limit") != "100":
            return FakeResponse(status=400)
        return FakeResponse(body=PAGES[int(request.query["offset"]) // 100])

    return respond


def world_bank_responder(*, max_page_size: int = 1000, etag: str | None = None) -> Callable[[Request], FakeResponse]:
    """Return a responder like world-bank: it sends the requested page of the requested indicator.

    With an `etag`, a request that has it gets status 304.
    """

    def respond(request: Request) -> FakeResponse:
        body, query = STATISTICS.get(request.path.partition("/country/all/indicator/")[2]), request.query
        if body is None or query.get("format") != "json" or query.get("mrnev") != "1":
            return FakeResponse(body=WORLD_BANK_ERROR)
        headers = {"ETag": etag} if etag else {}
        if etag and request.headers.get("if-none-match") == etag:
            return FakeResponse(status=304, headers=headers)
        size, page = min(int(query.get("per_page", 50)), max_page_size), int(query.get("page", 1))
        head, rows = json.loads(body)
        head |= {"page": page, "pages": -(-len(rows) // size), "per_page": size}
        content = [head, rows[(page - 1) * size : page * size]]
        return FakeResponse(body=json.dumps(content).encode(), headers=headers)

    return respond


class Upstream(ThreadServer):
    """A server that runs in its own thread within its context.

    Until `set_responses` is called, `countries`, `rates` and `statistics` have valid responses. The
    responses of a path are also those of the paths below it.
    """

    def __init__(self, host: str = "127.0.0.1", *, certificate: Certificate | None = None) -> None:
        """Bind a free port. Connections wait in its queue until the context is entered.

        With a certificate, connections use TLS.
        """
        self._socket = socket.create_server((host, 0))
        self._host = host
        self._port: int = self._socket.getsockname()[1]
        self._ssl_context = certificate and _create_ssl_context(certificate)
        self._responders: dict[str, list[Responder]] = {
            "countries": [FakeResponse(body=COUNTRIES)],
            "rates": [FakeResponse(body=RATES)],
            "statistics": [world_bank_responder()],
        }
        self._requests: list[Request] = []
        self.exchanges: list[Exchange] = []
        """Every request so far, in order. Tests only read it."""
        self._changed = threading.Condition()

    @property
    def url(self) -> str:
        """Return the server's URL, without a trailing slash."""
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    @property
    def countries_url(self) -> str:
        """Return the URL of the countries, in the format of geonames."""
        return f"{self.url}/countries"

    @property
    def rates_url(self) -> str:
        """Return the URL of the rates, in the format of er-api."""
        return f"{self.url}/rates"

    @property
    def statistics_url(self) -> str:
        """Return the base URL of the statistics, in the format of world-bank."""
        return f"{self.url}/statistics"

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings that make the application request this server only."""
        return {
            "COUNTRIES_SOURCES": f"geonames={self.countries_url},bundled",
            "RATES_SOURCES": f"er-api={self.rates_url},bundled",
            "STATISTICS_SOURCES": f"world-bank={self.statistics_url},bundled",
        }

    @property
    def requests(self) -> tuple[Request, ...]:
        """Return every request so far, in order."""
        with self._changed:
            return tuple(self._requests)

    def request_count(self, path: str) -> int:
        """Return the number of requests for a path and the paths below it."""
        return sum(f"{request.path}/".startswith(f"{path}/") for request in self.requests)

    def set_responses(self, path: str, *responders: Responder) -> None:
        """Set the responses to the next requests for `path`, in order. The last one repeats."""
        with self._changed:
            self._responders[path] = list(responders)

    def wait_for_requests(self, path: str, count: int = 1) -> None:
        """Block until `path` has `count` requests. Call it in a thread from asyncio."""
        with self._changed:
            has_arrived = self._changed.wait_for(lambda: self.request_count(path) >= count, WAIT_TIMEOUT)
        if not has_arrived:
            raise TimeoutError(f"/{path} has {self.request_count(path)} requests instead of {count}")

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._respond, sock=self._socket, ssl=self._ssl_context):
            await self._stopped.wait()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Either side may disconnect at any time. Python 3.11 logs a handler that is cancelled.
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
            above = (path for path in self._responders if request.path.startswith(f"{path}/"))
            path = request.path if request.path in self._responders else max(above, key=len, default="")
            responders = self._responders.get(path, [FakeResponse(status=404)])
            responder = responders.pop(0) if len(responders) > 1 else responders[0]
        return responder if isinstance(responder, FakeResponse) else responder(request)


def _create_ssl_context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


async def _watch_for_disconnect(reader: asyncio.StreamReader, exchange: Exchange) -> None:
    """Record that the client disconnected before it had the response."""
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
        # SO_LINGER with 0 seconds discards unsent data and sends a reset.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def _wait_until_released(response: FakeResponse) -> None:
    while not response.hold_until():  # noqa: ASYNC110 - the condition belongs to another thread
        await asyncio.sleep(0.002)


def _build_head(response: FakeResponse) -> bytes:
    headers = {"Content-Length": str(len(response.body)), "Connection": "close", **response.headers}
    header_lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    phrase = HTTPStatus(response.status).phrase
    return f"HTTP/1.1 {response.status} {phrase}\r\n{''.join(header_lines)}\r\n".encode("latin-1")
