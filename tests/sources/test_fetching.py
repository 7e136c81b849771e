"""Asking providers in order: what is believed, what is a failure, and how long anybody waits."""

import asyncio
import gzip
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

import httpx
import pytest

from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.fetching import MAX_BODY, Fetched, create_client, fetch_first
from graphql_api.sources.provider import Provider, Unusable
from tests.upstream.server import HTML, Answer, Upstream

LONG = 30.0
"""Seconds that no test here waits."""
SHORT = 0.05
"""Seconds that are waited for answers that never come."""
MODIFIED = "Tue, 29 Sep 2026 00:02:31 GMT"


@dataclass(frozen=True)
class Said:
    """What a provider of these tests says: its body."""

    body: bytes
    as_of: datetime | None = None


def parse(body: bytes) -> bytes:
    """Return a body, unless it is none."""
    if not body:
        raise Unusable("the body is empty")
    return body


def provider(name: str, url: str) -> Provider[bytes]:
    """Return a provider that is asked there."""
    return Provider(name=name, url=url, attribution=f"By {name}", parse=parse)


BUNDLED: Provider[bytes] = Provider(
    name="bundled", url=None, resource="rates.json", attribution="By itself", parse=parse
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Lend the client that the project uses."""
    async with create_client("tests/1") as created:
        yield created


async def fetch(
    client: httpx.AsyncClient, *providers: Provider[bytes], seconds_each: float = LONG
) -> Fetched[Said]:
    """Ask the providers as the project does."""
    return await fetch_first(
        SourceKind.RATES, providers, Said, client=client, seconds_each=seconds_each
    )


async def failure(client: httpx.AsyncClient, url: str, *, seconds_each: float = LONG) -> str:
    """Return why a provider asked there failed; the one after it answers from the package."""
    first = provider("first", url)
    fetched = await fetch(client, first, BUNDLED, seconds_each=seconds_each)
    assert fetched.report.provider == "bundled"
    (reason,) = fetched.report.failures
    assert reason.startswith("first: ")
    return reason.removeprefix("first: ")


async def test_first_answer(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The first provider that answers is believed and reported, and the next is not asked."""
    upstream.answer("rates", Answer(body=b"figures"))
    fetched = await fetch(
        client, provider("first", upstream.rates_url), provider("next", f"{upstream.url}/next")
    )
    assert fetched.data == Said(b"figures")
    assert fetched.report == SourceReport(
        kind=SourceKind.RATES,
        provider="first",
        live=True,
        as_of=None,
        failures=(),
        attribution="By first",
    )
    assert [request.path for request in upstream.requests] == ["rates"]


async def test_what_is_asked(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The URL is asked with GET as it stands, its query included, and says who asks."""
    await fetch(client, provider("first", f"{upstream.rates_url}?base=USD&key=a%26b"))
    (request,) = upstream.requests
    assert (request.method, request.path) == ("GET", "rates")
    assert request.query == {"base": "USD", "key": "a&b"}
    assert request.headers["user-agent"] == "tests/1"


async def test_failover(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """Providers are asked in order, and the report says why each before the answer failed."""
    upstream.answer("rates", Answer(status=503), Answer(body=b""), Answer(body=b"third time"))
    names = ("one", "two", "one", "four")
    fetched = await fetch(client, *(provider(name, upstream.rates_url) for name in names))
    assert fetched.data.body == b"third time"
    assert (fetched.report.provider, fetched.report.attribution) == ("one", "By one")
    assert fetched.report.failures == (
        "one: it answered with status 503",
        "two: the body is empty",
    )
    assert upstream.asked("rates") == 3


async def test_bundled(client: httpx.AsyncClient) -> None:
    """A provider without a URL is read from the package, and is not live."""
    fetched = await fetch(client, BUNDLED)
    file = resources.files("graphql_api.sources.bundled").joinpath("rates.json")
    assert fetched.data.body == file.read_bytes()
    assert fetched.report == SourceReport(
        kind=SourceKind.RATES,
        provider="bundled",
        live=False,
        as_of=None,
        failures=(),
        attribution="By itself",
    )


async def test_nobody_answers(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """When all fail the error names the kind, and each provider with its reason."""
    upstream.answer("rates", Answer(status=500))
    one, two = provider("one", upstream.rates_url), provider("two", f"{upstream.url}/nowhere")
    with pytest.raises(SourceUnavailable) as refused:
        await fetch(client, one, two)
    assert str(refused.value) == (
        "No source of rates could be used. "
        "one: it answered with status 500; two: it answered with status 404."
    )


async def test_check_refuses(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """What the check refuses is a failure of the provider like any other."""

    def check(body: bytes) -> Said:
        if body == b"bad":
            raise Unusable("it is bad")
        return Said(body)

    upstream.answer("rates", Answer(body=b"bad"), Answer(body=b"good"))
    both = [provider("one", upstream.rates_url), provider("two", upstream.rates_url)]
    fetched = await fetch_first(SourceKind.RATES, both, check, client=client, seconds_each=LONG)
    assert (fetched.data.body, fetched.report.failures) == (b"good", ("one: it is bad",))


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 404, 429, 500, 503])
async def test_status(upstream: Upstream, client: httpx.AsyncClient, status: int) -> None:
    """Any status but 200 is a failure, whatever the body."""
    body = b"" if status in (204, 304) else b"figures"
    upstream.answer("rates", Answer(status=status, body=body))
    assert await failure(client, upstream.rates_url) == f"it answered with status {status}"


async def test_mute(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """Providers that do not answer are given up one after the other, each after its time."""
    upstream.answer("rates", Answer(until=lambda: False))
    mute = [provider(name, upstream.rates_url) for name in ("one", "two")]
    fetched = await fetch(client, *mute, BUNDLED, seconds_each=SHORT)
    assert fetched.report.failures == (
        "one: no complete answer within 0.05 s",
        "two: no complete answer within 0.05 s",
    )
    assert fetched.milliseconds > SHORT * 1000


async def test_mute_amid_the_body(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The time ends with the last byte, not with the first."""
    upstream.answer("rates", Answer(body=b"figures", early=3, until=lambda: False))
    reason = await failure(client, upstream.rates_url, seconds_each=SHORT)
    assert reason == "no complete answer within 0.05 s"


async def test_mute_after_a_redirect(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The time of a provider covers the redirects that it sends."""
    upstream.answer("rates", Answer(status=302, headers={"Location": "/elsewhere"}))
    upstream.answer("elsewhere", Answer(until=lambda: False))
    reason = await failure(client, upstream.rates_url, seconds_each=SHORT)
    assert reason == "no complete answer within 0.05 s"


async def test_cancelling(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A fetch that is cancelled ends, and asks nobody else."""
    upstream.answer("rates", Answer(until=lambda: False))
    fetching = asyncio.create_task(fetch(client, provider("one", upstream.rates_url), BUNDLED))
    await asyncio.to_thread(upstream.wait_until_asked, "rates")
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching


async def test_largest_body(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A body of the largest size is read whole."""
    upstream.answer("rates", Answer(body=b"x" * MAX_BODY))
    fetched = await fetch(client, provider("one", upstream.rates_url))
    assert len(fetched.data.body) == MAX_BODY


async def test_too_large_a_body(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """One byte more is refused."""
    upstream.answer("rates", Answer(body=b"x" * (MAX_BODY + 1)))
    reason = await failure(client, upstream.rates_url)
    assert reason == "its answer is larger than 20000000 bytes"


async def test_too_large_a_body_does_not_end(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The rest of a body that is too large is not waited for."""
    large = Answer(body=b"x" * (MAX_BODY + 2), early=MAX_BODY + 1, until=lambda: False)
    upstream.answer("rates", large)
    reason = await failure(client, upstream.rates_url)
    assert reason == "its answer is larger than 20000000 bytes"


async def test_compressed(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A compressed body is read as what it holds."""
    headers = {"Content-Encoding": "gzip"}
    upstream.answer("rates", Answer(body=gzip.compress(b"figures"), headers=headers))
    fetched = await fetch(client, provider("one", upstream.rates_url))
    assert fetched.data.body == b"figures"


async def test_too_large_a_body_compressed(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The size that counts is the one after decompression."""
    bomb = gzip.compress(bytes(MAX_BODY + 1))
    upstream.answer("rates", Answer(body=bomb, headers={"Content-Encoding": "gzip"}))
    reason = await failure(client, upstream.rates_url)
    assert reason == "its answer is larger than 20000000 bytes"


async def test_broken_compression(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A body that is not compressed as it says is a failure."""
    upstream.answer("rates", Answer(body=HTML, headers={"Content-Encoding": "gzip"}))
    reason = await failure(client, upstream.rates_url)
    assert reason.partition(":")[0] == "DecodingError"


async def test_redirects(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """Five redirects are followed, to relative and absolute URLs alike."""
    for step in range(5):
        target = f"/{step + 1}" if step % 2 else f"{upstream.url}/{step + 1}"
        upstream.answer(str(step), Answer(status=301, headers={"Location": target}))
    upstream.answer("5", Answer(body=b"figures"))
    fetched = await fetch(client, provider("one", f"{upstream.url}/0"))
    assert fetched.data.body == b"figures"
    assert [request.path for request in upstream.requests] == ["0", "1", "2", "3", "4", "5"]


async def test_redirect_loop(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The sixth redirect is not followed."""
    upstream.answer("rates", Answer(status=302, headers={"Location": "/rates"}))
    reason = await failure(client, upstream.rates_url)
    assert reason == "TooManyRedirects: Exceeded maximum allowed redirects."
    assert upstream.asked("rates") == 6


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("http://127.0.0.1:99999/", "OverflowError"),
        ("http://xn--/", "IDNAError"),
        ("ftp://127.0.0.1/", "UnsupportedProtocol"),
        ("http://\u00e9..b/", "RemoteProtocolError"),
    ],
)
async def test_redirect_to_nowhere(
    upstream: Upstream, client: httpx.AsyncClient, target: str, error: str
) -> None:
    """A redirect to what cannot be asked is a failure, whichever layer refuses it."""
    upstream.answer("rates", Answer(status=302, headers={"Location": target}))
    reason = await failure(client, upstream.rates_url)
    assert reason.partition(":")[0] == error


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", "UnsupportedProtocol"),
        ("somewhere", "UnsupportedProtocol"),
        ("http://", "UnsupportedProtocol"),
        ("http://\x00/", "InvalidURL"),
        ("http://127.0.0.1:port/", "InvalidURL"),
        ("http://127.0.0.1:99999/", "OverflowError"),
        ("http://xn--/", "IDNAError"),
        ("http://127.0.0.1/\udc80", "UnicodeEncodeError"),
    ],
)
async def test_invalid_url(client: httpx.AsyncClient, url: str, error: str) -> None:
    """A URL that cannot be asked is a failure, whichever layer refuses it."""
    reason = await failure(client, url)
    assert reason.partition(":")[0] == error


async def test_connection_refused(client: httpx.AsyncClient) -> None:
    """A port that nobody listens on is a failure."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    reason = await failure(client, f"http://127.0.0.1:{port}/")
    assert reason == "ConnectError: All connection attempts failed"


async def test_body_cut_short(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A connection closed amid the body is a failure, though what came could be read."""
    upstream.answer("rates", Answer(body=b"figures", cut=4))
    assert await failure(client, upstream.rates_url) == (
        "RemoteProtocolError: peer closed connection without sending complete message body "
        "(received 4 bytes, expected 7)"
    )


async def test_no_answer(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """A connection closed before the answer is a failure."""
    upstream.answer("rates", Answer(raw=True))
    assert await failure(client, upstream.rates_url) == (
        "RemoteProtocolError: Server disconnected without sending a response."
    )


async def test_no_http(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """An answer that is not HTTP is a failure, and no more than a little of it is reported."""
    junk = b"HTTP/1.1 200 OK\r\n" + b"junk\x1b" * 5000 + b"\r\n\r\n"
    upstream.answer("rates", Answer(body=junk, raw=True))
    reason = await failure(client, upstream.rates_url)
    assert reason.partition(":")[0] == "RemoteProtocolError"
    assert (len(reason), reason.isprintable()) == (200, True)


@pytest.mark.parametrize(
    "written",
    [
        MODIFIED,
        "Tue, 29 Sep 2026 02:02:31 +0200",
        "Tue, 29 Sep 2026 00:02:31 -0000",
        "Tue, 29 Sep 2026 00:02:31",
    ],
)
@pytest.mark.usefixtures("far_from_utc")
async def test_last_modified(upstream: Upstream, client: httpx.AsyncClient, written: str) -> None:
    """An answer whose body is not dated is as of its Last-Modified, in UTC unless it says so."""
    upstream.answer("rates", Answer(body=b"figures", headers={"Last-Modified": written}))
    fetched = await fetch(client, provider("one", upstream.rates_url))
    assert fetched.report.as_of == datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)
    assert fetched.report.as_of.tzinfo is UTC


@pytest.fixture
def far_from_utc() -> Iterator[None]:
    """Move the machine's clock to Kiritimati, 14 hours ahead of UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "XXX-14"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    "written", ["", "yesterday", "1790640151", "Tue, 99 Sep 2026 00:02:31 GMT", "1 Jan 99999"]
)
async def test_last_modified_unread(
    upstream: Upstream, client: httpx.AsyncClient, written: str
) -> None:
    """A Last-Modified that is no date is as if there were none."""
    upstream.answer("rates", Answer(body=b"figures", headers={"Last-Modified": written}))
    fetched = await fetch(client, provider("one", upstream.rates_url))
    assert (fetched.data.body, fetched.report.as_of) == (b"figures", None)


async def test_date_of_the_body(upstream: Upstream, client: httpx.AsyncClient) -> None:
    """The date that the body gives wins over Last-Modified."""
    as_of = datetime(2020, 1, 1, tzinfo=UTC)
    upstream.answer("rates", Answer(body=b"x", headers={"Last-Modified": MODIFIED}))
    fetched = await fetch_first(
        SourceKind.RATES,
        [provider("one", upstream.rates_url)],
        lambda body: Said(body, as_of),
        client=client,
        seconds_each=LONG,
    )
    assert fetched.report.as_of == as_of
