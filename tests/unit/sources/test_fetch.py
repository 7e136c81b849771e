"""Asking providers in order: what is believed, what is a failure, and how long anybody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest

from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.fetch import FetchContext, FetchResult, LazyHTTPClient, fetch_first
from graphql_api.sources.provider import Pagination, Provider, ProviderError
from graphql_api.sources.provider_cache import CachedData, provider_fingerprint
from graphql_api.sources.response import MAX_BODY_BYTES, Validators
from graphql_api.sources.retry import RetryPolicy
from tests.support.fake_providers.server import FakeResponse, Request, Upstream
from tests.support.http_client import lazy_http_client

LONG_TIMEOUT = 30.0
"""Seconds that no test here waits."""
SHORT_TIMEOUT = 0.05
"""Seconds that are waited for answers that never come."""
MODIFIED = "Tue, 29 Sep 2026 00:02:31 GMT"


NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class FakeData:
    """What a provider of these tests says: its body."""

    body: bytes
    as_of: datetime | None = None
    next_update: datetime | None = None


def parse(body: bytes) -> bytes:
    """Return a body, unless it is none."""
    if not body:
        raise ProviderError("the body is empty")
    return body


def provider(name: str, url: str) -> Provider[bytes]:
    """Return a provider that is asked there."""
    return Provider(name=name, url=url, attribution=f"By {name}", short_attribution="", parse=parse)


BUNDLED_PROVIDER: Provider[bytes] = Provider(
    name="bundled",
    url=None,
    resource="rates.json",
    attribution="By itself",
    short_attribution="",
    parse=parse,
)


@pytest.fixture
async def http_client() -> AsyncIterator[LazyHTTPClient]:
    """Lend what the project asks with, which is ready."""
    async with lazy_http_client() as http_client:
        await http_client.get()
        yield http_client


async def fetch(  # noqa: PLR0913 - what fetch_first takes, each with a default
    http_client: LazyHTTPClient,
    *providers: Provider[bytes],
    check: Callable[[bytes], FakeData] = FakeData,
    api_timeout: float = LONG_TIMEOUT,
    failures: list[str] | None = None,
    cached_data: CachedData[FakeData] | None = None,
    now: datetime = NOW,
) -> FetchResult[FakeData]:
    """Ask the providers as the project does, but for the pauses before retries."""
    retries = RetryPolicy(base_delay=0)
    return await fetch_first(
        SourceKind.RATES,
        providers,
        check,
        context=FetchContext(
            http_client=http_client, now=now, api_timeout=api_timeout, retry_policy=retries
        ),
        cached_data=cached_data,
        failures=[] if failures is None else failures,
    )


async def fetch_failure(
    http_client: LazyHTTPClient, url: str, *, api_timeout: float = LONG_TIMEOUT
) -> str:
    """Return why a provider asked there failed; the one after it answers from the package."""
    first = provider("first", url)
    result = await fetch(http_client, first, BUNDLED_PROVIDER, api_timeout=api_timeout)
    assert result.report.provider == "bundled"
    (reason,) = result.report.failures
    assert reason.startswith("first: ")
    return reason.removeprefix("first: ")


async def test_first_answer(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The first provider that answers is believed and reported, and the next is not asked."""
    upstream.set_responses("rates", FakeResponse(body=b"figures"))
    result = await fetch(
        http_client, provider("first", upstream.rates_url), provider("next", f"{upstream.url}/next")
    )
    assert result.data == FakeData(b"figures")
    assert result.report == SourceReport(
        kind=SourceKind.RATES,
        provider="first",
        live=True,
        as_of=None,
        failures=(),
        attribution="By first",
    )
    assert [request.path for request in upstream.requests] == ["rates"]


async def test_failover(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Providers are asked in order, and the report says why each before the answer failed."""
    upstream.set_responses(
        "rates", FakeResponse(status=500), FakeResponse(body=b""), FakeResponse(body=b"third time")
    )
    names = ("one", "two", "one", "four")
    result = await fetch(http_client, *(provider(name, upstream.rates_url) for name in names))
    assert result.data.body == b"third time"
    assert (result.report.provider, result.report.attribution) == ("one", "By one")
    assert result.report.failures == (
        "one: responded with status 500",
        "two: the body is empty",
    )
    assert upstream.request_count("rates") == 3


async def test_bundled(http_client: LazyHTTPClient) -> None:
    """A provider with a file is read from the package, and is not live."""
    result = await fetch(http_client, BUNDLED_PROVIDER)
    file = resources.files("graphql_api.sources.bundled").joinpath("rates.json")
    assert result.data.body == file.read_bytes()
    assert result.report == SourceReport(
        kind=SourceKind.RATES,
        provider="bundled",
        live=False,
        as_of=None,
        failures=(),
        attribution="By itself",
    )


async def test_nobody_answers(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """When all fail the error names the kind, and each provider with its reason."""
    upstream.set_responses("rates", FakeResponse(status=500))
    first, second = provider("one", upstream.rates_url), provider("two", f"{upstream.url}/nowhere")
    with pytest.raises(SourceUnavailable) as exc_info:
        await fetch(http_client, first, second)
    assert str(exc_info.value) == (
        "No source of rates could be used. "
        "one: responded with status 500; two: responded with status 404."
    )


async def test_check_refuses(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """What the check refuses is a failure of the provider like any other."""

    def check(body: bytes) -> FakeData:
        if body == b"bad":
            raise ProviderError("it is bad")
        return FakeData(body)

    upstream.set_responses("rates", FakeResponse(body=b"bad"), FakeResponse(body=b"good"))
    providers = [provider("one", upstream.rates_url), provider("two", upstream.rates_url)]
    result = await fetch(http_client, *providers, check=check)
    assert (result.data.body, result.report.failures) == (b"good", ("one: it is bad",))


async def test_mute(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Providers that do not answer are given up one after the other, each after its time."""
    upstream.set_responses("rates", FakeResponse(hold_until=lambda: False))
    silent = [provider(name, upstream.rates_url) for name in ("one", "two")]
    result = await fetch(http_client, *silent, BUNDLED_PROVIDER, api_timeout=SHORT_TIMEOUT)
    assert result.report.failures == (
        "one: no complete response within 0.05 s",
        "two: no complete response within 0.05 s",
    )
    assert result.duration_ms > SHORT_TIMEOUT * 1000


async def test_mute_amid_the_body(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time ends with the last byte, not with the first."""
    upstream.set_responses(
        "rates", FakeResponse(body=b"figures", hold_after=3, hold_until=lambda: False)
    )
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_mute_after_a_redirect(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time of a provider covers the redirects that it sends."""
    upstream.set_responses("rates", FakeResponse(status=302, headers={"Location": "/elsewhere"}))
    upstream.set_responses("elsewhere", FakeResponse(hold_until=lambda: False))
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_cancelling(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A fetch that is cancelled ends, and asks nobody else."""
    upstream.set_responses("rates", FakeResponse(hold_until=lambda: False))
    task = asyncio.create_task(
        fetch(http_client, provider("one", upstream.rates_url), BUNDLED_PROVIDER)
    )
    await asyncio.to_thread(upstream.wait_for_requests, "rates")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_date_of_the_body(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The date that the body gives wins over Last-Modified."""
    as_of = datetime(2020, 1, 1, tzinfo=UTC)
    upstream.set_responses("rates", FakeResponse(body=b"x", headers={"Last-Modified": MODIFIED}))
    result = await fetch(
        http_client, provider("one", upstream.rates_url), check=lambda body: FakeData(body, as_of)
    )
    assert result.report.as_of == as_of


async def test_last_modified(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """An answer whose body is not dated is as of its Last-Modified."""
    headers = {"ETag": '"1"', "Last-Modified": MODIFIED}
    upstream.set_responses("rates", FakeResponse(body=b"x", headers=headers))
    result = await fetch(http_client, provider("one", upstream.rates_url))
    assert result.report.as_of == datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)
    assert result.to_cache is not None
    assert result.to_cache.validators == Validators(etag='"1"', last_modified=MODIFIED)


async def test_drips(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Bytes that keep coming do not make the time any longer."""
    upstream.set_responses("rates", FakeResponse(body=bytes(1000), byte_delay=0.01))
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_time_of_retries(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time of a provider covers its retries."""
    upstream.set_responses(
        "rates", FakeResponse(status=503), FakeResponse(hold_until=lambda: False)
    )
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_failures_are_told_at_once(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Who stops waiting knows the providers that had failed by then."""
    upstream.set_responses("one", FakeResponse(status=500))
    upstream.set_responses("rates", FakeResponse(hold_until=lambda: False))
    failures: list[str] = []
    first, second = provider("one", f"{upstream.url}/one"), provider("two", upstream.rates_url)
    task = asyncio.create_task(fetch(http_client, first, second, failures=failures))
    await asyncio.to_thread(upstream.wait_for_requests, "rates")
    task.cancel()
    await asyncio.wait([task])
    assert failures == ["one: responded with status 500"]


async def test_reasons_are_short(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """No more than a little of what a provider sent is in a reason, and nothing strange."""
    junk = b"HTTP/1.1 200 OK\r\n" + b"junk\x1b" * 5000 + b"\r\n\r\n"
    upstream.set_responses("rates", FakeResponse(body=junk, raw=True))
    reason = await fetch_failure(http_client, upstream.rates_url)
    assert (len(reason), reason.isprintable()) == (200, True)


KEYED = replace(provider("keyed", ""), api_key_setting="THE_KEY", api_key="hunter2")


async def test_no_key(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A provider whose key is not set is not asked."""
    keyless = replace(KEYED, url=upstream.rates_url, api_key=None)
    result = await fetch(http_client, keyless, BUNDLED_PROVIDER)
    assert result.report.failures == ("keyed: THE_KEY is not set",)
    assert upstream.requests == ()


async def test_key(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A provider whose key is set is asked with it, and does not show it."""
    keyed = replace(KEYED, url=upstream.rates_url)
    await fetch(http_client, keyed)
    assert upstream.requests[0].headers["authorization"] == "Bearer hunter2"
    assert "hunter2" not in repr(keyed)


async def test_key_is_not_repeated(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A reason in which the provider repeats the key has it no more."""

    def check(body: bytes) -> FakeData:
        raise ProviderError(body.decode())

    upstream.set_responses("rates", FakeResponse(body=b"the key hunter2 is invalid."))
    keyed = replace(KEYED, url=upstream.rates_url)
    with pytest.raises(SourceUnavailable) as exc_info:
        await fetch(http_client, keyed, check=check)
    reason = "No source of rates could be used. keyed: the key … is invalid."
    assert str(exc_info.value) == reason


def rest_of_pages(first: bytes) -> Sequence[Mapping[str, str]]:
    """Return what asks for the pages after the first, which says how many there are."""
    return [{"page": str(number)} for number in range(1, int(first[:1]))]


PAGED = replace(
    provider("paged", ""),
    params={"page": "0", "of": "it"},
    pagination=Pagination(remaining_params=rest_of_pages, join=b"".join),
)


def page_responder(pages: Mapping[str, FakeResponse]) -> Callable[[Request], FakeResponse]:
    """Return what answers each page by its number."""
    return lambda request: pages[request.query["page"]]


async def test_pages(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """After the first page all others are asked for at once, and joined in order."""

    def all_requested() -> bool:
        return upstream.request_count("rates") == 3

    later_pages = {
        number: FakeResponse(body=number.encode(), hold_until=all_requested) for number in "12"
    }
    upstream.set_responses("rates", page_responder({"0": FakeResponse(body=b"3"), **later_pages}))
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url))
    assert result.data.body == b"312"
    queries = sorted(request.query["page"] + request.query["of"] for request in upstream.requests)
    assert queries == ["0it", "1it", "2it"]
    assert result.to_cache is None


async def test_single_page(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A provider whose first page is all is asked once."""
    upstream.set_responses("rates", page_responder({"0": FakeResponse(body=b"1")}))
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url))
    assert (result.data.body, upstream.request_count("rates")) == (b"1", 1)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (FakeResponse(status=404), "responded with status 404"),
        (FakeResponse(status=502), "responded with status 502"),
        (FakeResponse(), "the body is empty"),
        (
            FakeResponse(body=bytes(MAX_BODY_BYTES // 2)),
            "the response is larger than 9999999 bytes",
        ),
    ],
)
async def test_page_that_fails(
    upstream: Upstream, http_client: LazyHTTPClient, second: FakeResponse, reason: str
) -> None:
    """One page that fails is a failure of the provider; all of them share the largest size."""
    upstream.set_responses(
        "rates",
        page_responder({"0": FakeResponse(body=b"3"), "1": second, "2": FakeResponse(body=b"2")}),
    )
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url), BUNDLED_PROVIDER)
    assert result.report.failures == (f"paged: {reason}",)


async def test_page_that_is_late(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time of a provider covers all its pages."""
    late = FakeResponse(hold_until=lambda: False)
    upstream.set_responses(
        "rates",
        page_responder({"0": FakeResponse(body=b"3"), "1": late, "2": FakeResponse(body=b"2")}),
    )
    result = await fetch(
        http_client,
        replace(PAGED, url=upstream.rates_url),
        BUNDLED_PROVIDER,
        api_timeout=SHORT_TIMEOUT,
    )
    assert result.report.failures == ("paged: no complete response within 0.05 s",)


async def test_page_that_passes(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A page that fails for a moment is asked for again, by itself."""
    responses = {"1": [FakeResponse(status=503), FakeResponse(body=b"1")]}

    def reply(request: Request) -> FakeResponse:
        return responses.get(request.query["page"], [FakeResponse(body=b"2")]).pop(0)

    upstream.set_responses("rates", reply)
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url))
    assert (result.data.body, upstream.request_count("rates")) == (b"21", 3)


def make_cached(
    provider: Provider[bytes], *, fresh_until: datetime | None = None, etag: str | None = '"1"'
) -> CachedData[FakeData]:
    """Return what a provider said before, as it is kept."""
    validators = Validators(etag=etag, last_modified=MODIFIED)
    return CachedData(
        origin=provider_fingerprint(provider),
        data=FakeData(b"before"),
        validators=validators,
        until=fresh_until,
    )


LATER = NOW + timedelta(hours=3)


async def test_keep(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """What a provider said is to be kept with its validators until its own next update."""
    upstream.set_responses("rates", FakeResponse(body=b"x", headers={"ETag": '"7"'}))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, check=lambda body: FakeData(body, None, LATER))
    assert result.to_cache == CachedData(
        origin=provider_fingerprint(first),
        data=FakeData(b"x", None, LATER),
        validators=Validators(etag='"7"', last_modified=None),
        until=LATER,
    )
    assert (result.report.live, result.report.cached) == (True, False)


async def test_keep_for_two_days_at_most(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A provider that promises nothing new for a year is asked again after two days."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    year = NOW + timedelta(days=365)
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, check=lambda body: FakeData(body, None, year))
    assert result.to_cache is not None
    assert result.to_cache.until == NOW + timedelta(days=2)


@pytest.mark.parametrize("next_update", [None, NOW])
async def test_nothing_to_keep(
    upstream: Upstream, http_client: LazyHTTPClient, next_update: datetime | None
) -> None:
    """An answer without validators and without an update to come is of no use the next time."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, check=lambda body: FakeData(body, None, next_update))
    assert result.to_cache is None


async def test_before_the_next_update(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Until its next update a provider is not asked, and the report does not call that live."""
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first, fresh_until=LATER))
    assert (result.data, result.to_cache) == (FakeData(b"before"), None)
    assert (result.report.live, result.report.cached) == (False, True)
    assert result.report.as_of == datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)
    assert upstream.request_count("rates") == 0


async def test_after_the_next_update(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """From the instant of its next update on a provider is asked again."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first, fresh_until=NOW))
    assert (result.data.body, result.report.cached) == (b"x", False)


@pytest.mark.parametrize("etag", ['"1"', None])
async def test_nothing_new(
    upstream: Upstream, http_client: LazyHTTPClient, etag: str | None
) -> None:
    """A provider is asked for something new, and its having nothing is a live answer."""
    upstream.set_responses("rates", FakeResponse(status=304))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first, etag=etag))
    assert (result.data, result.to_cache) == (FakeData(b"before"), None)
    assert (result.report.live, result.report.cached) == (True, False)
    (request,) = upstream.requests
    assert request.headers["if-modified-since"] == MODIFIED
    assert request.headers.get("if-none-match") == etag


async def test_something_new(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """What is new replaces what was kept, and is kept itself."""
    upstream.set_responses("rates", FakeResponse(body=b"x", headers={"ETag": '"2"'}))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first))
    assert result.data == FakeData(b"x")
    assert result.to_cache is not None
    assert result.to_cache.validators.etag == '"2"'


async def test_nothing_new_to_who_did_not_ask(
    upstream: Upstream, http_client: LazyHTTPClient
) -> None:
    """Status 304 for a question without validators is a failure like any other."""
    upstream.set_responses("rates", FakeResponse(status=304))
    assert await fetch_failure(http_client, upstream.rates_url) == "responded with status 304"


async def test_kept_of_another_provider(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """What another provider said, or the same one at another URL, is not this one's."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    first = provider("one", upstream.rates_url)
    for other in (replace(first, name="two"), replace(first, url="http://localhost/"), PAGED):
        result = await fetch(http_client, first, cached_data=make_cached(other, fresh_until=LATER))
        assert result.data == FakeData(b"x")
    assert "if-none-match" not in upstream.requests[-1].headers


async def test_kept_while_a_provider_before_it_fails(
    upstream: Upstream, http_client: LazyHTTPClient
) -> None:
    """The providers before the one whose answer is kept are asked, since they are preferred."""
    upstream.set_responses("countries", FakeResponse(status=404))
    first, second = provider("first", upstream.countries_url), provider("second", upstream.url)
    result = await fetch(
        http_client, first, second, cached_data=make_cached(second, fresh_until=LATER)
    )
    assert result.report.failures == ("first: responded with status 404",)
    assert (result.report.provider, result.report.cached) == ("second", True)
