"""Fetching with failover: order, failures, time limits, keys, pages and cached data."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest

from graphql_api.domain.report import SourceKind
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.fetch import FetchContext, FetchResult, LazyHTTPClient, fetch_first
from graphql_api.sources.provider import Pagination, Provider, ProviderData, ProviderError
from graphql_api.sources.provider_cache import CachedData, provider_fingerprint
from graphql_api.sources.response import MAX_BODY_BYTES, Validators
from graphql_api.sources.retry import RetryPolicy
from tests.support.attempts import make_source_report
from tests.support.fake_providers.server import FakeResponse, Request, Upstream
from tests.support.http_client import lazy_http_client

LONG_TIMEOUT = 30.0
"""Seconds; never reached by a passing test."""
SHORT_TIMEOUT = 0.05
"""Seconds to wait for responses that never come."""
MODIFIED = "Tue, 29 Sep 2026 00:02:31 GMT"


NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class FakeData(ProviderData):
    """Data of these tests' providers: the body."""

    body: bytes


def parse(body: bytes) -> bytes:
    """Return the body, and reject an empty one."""
    if not body:
        raise ProviderError("the body is empty")
    return body


def provider(name: str, url: str) -> Provider[bytes]:
    """Return a provider with this URL."""
    return Provider(name=name, url=url, attribution=f"By {name}", short_attribution="", parse=parse)


BUNDLED_PROVIDER: Provider[bytes] = Provider(
    name="bundled", url=None, resource="rates.json", attribution="By itself", short_attribution="", parse=parse
)


@pytest.fixture
async def http_client() -> AsyncIterator[LazyHTTPClient]:
    """Yield an HTTP client that exists already, so that no time limit includes its import."""
    async with lazy_http_client() as http_client:
        await http_client.get()
        yield http_client


async def fetch(  # noqa: PLR0913 - what fetch_first takes, each with a default
    http_client: LazyHTTPClient,
    *providers: Provider[bytes],
    validate: Callable[[bytes], FakeData] = FakeData,
    api_timeout: float = LONG_TIMEOUT,
    failures: list[str] | None = None,
    cached_data: CachedData[FakeData] | None = None,
    now: datetime = NOW,
) -> FetchResult[FakeData]:
    """Fetch as the application does, with no delay before retries."""
    retries = RetryPolicy(base_delay=0)
    return await fetch_first(
        SourceKind.RATES,
        providers,
        validate,
        context=FetchContext(
            http_client=http_client, now=now, api_timeout=api_timeout, retry_policy=retries, on_fetch=lambda *_: None
        ),
        cached_data=cached_data,
        failures=[] if failures is None else failures,
    )


async def fetch_failure(http_client: LazyHTTPClient, url: str, *, api_timeout: float = LONG_TIMEOUT) -> str:
    """Return the reason why a provider with this URL failed; bundled data is used instead."""
    first = provider("first", url)
    result = await fetch(http_client, first, BUNDLED_PROVIDER, api_timeout=api_timeout)
    assert result.report.provider == "bundled"
    (reason,) = result.report.failures
    assert reason.startswith("first: ")
    return reason.removeprefix("first: ")


async def test_first_answer(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The first provider that succeeds is used and reported, and the next is not requested."""
    upstream.set_responses("rates", FakeResponse(body=b"figures"))
    result = await fetch(http_client, provider("first", upstream.rates_url), provider("next", f"{upstream.url}/next"))
    assert result.data == FakeData(b"figures")
    assert result.report == make_source_report("first", attribution="By first")
    assert [request.path for request in upstream.requests] == ["rates"]


async def test_failover(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Providers are tried in order, and the report has the reason of each that failed."""
    upstream.set_responses("rates", FakeResponse(status=500), FakeResponse(body=b""), FakeResponse(body=b"third time"))
    names = ("one", "two", "one", "four")
    result = await fetch(http_client, *(provider(name, upstream.rates_url) for name in names))
    assert result.data.body == b"third time"
    assert (result.report.provider, result.report.attribution) == ("one", "By one")
    assert result.report.failures == ("one: responded with status 500", "two: the body is empty")
    assert upstream.request_count("rates") == 3


async def test_bundled(http_client: LazyHTTPClient) -> None:
    """A provider with a resource is read from the package and is not live."""
    result = await fetch(http_client, BUNDLED_PROVIDER)
    file = resources.files("graphql_api.sources.bundled").joinpath("rates.json")
    assert result.data.body == file.read_bytes()
    assert result.report == make_source_report("bundled", live=False, attribution="By itself")


async def test_every_provider_fails(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """If all providers fail, the error has the kind, and each provider with its reason."""
    upstream.set_responses("rates", FakeResponse(status=500))
    first, second = provider("one", upstream.rates_url), provider("two", f"{upstream.url}/nowhere")
    with pytest.raises(SourceUnavailable) as exc_info:
        await fetch(http_client, first, second)
    assert str(exc_info.value) == (
        "No source of rates could be used. one: responded with status 500; two: responded with status 404."
    )


async def test_rejected_by_validation(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Data that validation rejects is a failure of its provider."""

    def validate(body: bytes) -> FakeData:
        if body == b"bad":
            raise ProviderError("it is bad")
        return FakeData(body)

    upstream.set_responses("rates", FakeResponse(body=b"bad"), FakeResponse(body=b"good"))
    providers = [provider("one", upstream.rates_url), provider("two", upstream.rates_url)]
    result = await fetch(http_client, *providers, validate=validate)
    assert (result.data.body, result.report.failures) == (b"good", ("one: it is bad",))


async def test_silent(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Providers that do not respond time out one after the other."""
    upstream.set_responses("rates", FakeResponse(hold_until=lambda: False))
    silent = [provider(name, upstream.rates_url) for name in ("one", "two")]
    result = await fetch(http_client, *silent, BUNDLED_PROVIDER, api_timeout=SHORT_TIMEOUT)
    assert result.report.failures == (
        "one: no complete response within 0.05 s",
        "two: no complete response within 0.05 s",
    )
    assert result.duration_ms > SHORT_TIMEOUT * 1000


async def test_silent_within_the_body(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time limit covers the whole body, not only its first byte."""
    upstream.set_responses("rates", FakeResponse(body=b"figures", hold_after=3, hold_until=lambda: False))
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_silent_after_a_redirect(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time limit covers redirects."""
    upstream.set_responses("rates", FakeResponse(status=302, headers={"Location": "/elsewhere"}))
    upstream.set_responses("elsewhere", FakeResponse(hold_until=lambda: False))
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_cancelling(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A cancelled fetch ends without trying the next provider."""
    upstream.set_responses("rates", FakeResponse(hold_until=lambda: False))
    task = asyncio.create_task(fetch(http_client, provider("one", upstream.rates_url), BUNDLED_PROVIDER))
    await asyncio.to_thread(upstream.wait_for_requests, "rates")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_date_of_the_body(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The date of the data is that of the body."""
    as_of = datetime(2020, 1, 1, tzinfo=UTC)
    upstream.set_responses("rates", FakeResponse(body=b"x", headers={"Last-Modified": MODIFIED}))
    result = await fetch(
        http_client, provider("one", upstream.rates_url), validate=lambda body: FakeData(body, as_of=as_of)
    )
    assert result.report.as_of == as_of


async def test_last_modified(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Last-Modified, which is when a file was uploaded, is cached but is not the date of the data."""
    headers = {"ETag": '"1"', "Last-Modified": MODIFIED}
    upstream.set_responses("rates", FakeResponse(body=b"x", headers=headers))
    result = await fetch(http_client, provider("one", upstream.rates_url))
    assert result.report.as_of is None
    assert result.to_cache is not None
    assert result.to_cache.validators == (Validators(etag='"1"', last_modified=MODIFIED),)


async def test_slow_body(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A body that arrives slowly does not extend the time limit."""
    upstream.set_responses("rates", FakeResponse(body=bytes(1000), byte_delay=0.01))
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_time_limit_of_retries(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time limit covers retries."""
    upstream.set_responses("rates", FakeResponse(status=503), FakeResponse(hold_until=lambda: False))
    reason = await fetch_failure(http_client, upstream.rates_url, api_timeout=SHORT_TIMEOUT)
    assert reason == "no complete response within 0.05 s"


async def test_failures_are_reported_at_once(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A caller that stops waiting has the reasons of the providers that failed until then."""
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
    """A reason quotes at most 200 printable characters of a provider's response."""
    junk = b"HTTP/1.1 200 OK\r\n" + b"junk\x1b" * 5000 + b"\r\n\r\n"
    upstream.set_responses("rates", FakeResponse(body=junk, raw=True))
    reason = await fetch_failure(http_client, upstream.rates_url)
    assert (len(reason), reason.isprintable()) == (200, True)


KEYED = replace(provider("keyed", ""), api_key_setting="THE_KEY", api_key="hunter2")


async def test_no_key(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A provider whose key is not set is skipped, which is no failure unless no other one is left."""
    keyless = replace(KEYED, url=upstream.rates_url, api_key=None)
    result = await fetch(http_client, keyless, BUNDLED_PROVIDER)
    assert (result.report.failures, result.report.is_fallback) == ((), False)
    with pytest.raises(SourceUnavailable, match=r"^No source of rates could be used\. keyed: THE_KEY is not set\.$"):
        await fetch(http_client, keyless)
    assert upstream.requests == ()


async def test_key(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A provider's key is sent with the request and is not part of its representation."""
    keyed = replace(KEYED, url=upstream.rates_url)
    await fetch(http_client, keyed)
    assert upstream.requests[0].headers["authorization"] == "Bearer hunter2"
    assert "hunter2" not in repr(keyed)


async def test_key_is_not_repeated(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A reason that quotes the key shows … in its place."""

    def validate(body: bytes) -> FakeData:
        raise ProviderError(body.decode())

    upstream.set_responses("rates", FakeResponse(body=b"the key hunter2 is invalid."))
    keyed = replace(KEYED, url=upstream.rates_url)
    with pytest.raises(SourceUnavailable) as exc_info:
        await fetch(http_client, keyed, validate=validate)
    reason = "No source of rates could be used. keyed: the key … is invalid."
    assert str(exc_info.value) == reason


def rest_of_pages(first: bytes) -> Sequence[Mapping[str, str]]:
    """Return the parameters of the pages after the first, whose first digit is their number."""
    return [{"page": str(number)} for number in range(1, int(first[:1]))]


PAGED = replace(
    provider("paged", ""),
    params={"page": "0", "of": "it"},
    pagination=Pagination(remaining_params=rest_of_pages, join=b"".join),
)


def page_responder(pages: Mapping[str, FakeResponse]) -> Callable[[Request], FakeResponse]:
    """Return a responder that sends each page by its number."""
    return lambda request: pages[request.query["page"]]


async def test_pages(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The pages after the first are requested concurrently, and joined in order."""

    def all_requested() -> bool:
        return upstream.request_count("rates") == 3

    later_pages = {number: FakeResponse(body=number.encode(), hold_until=all_requested) for number in "12"}
    upstream.set_responses("rates", page_responder({"0": FakeResponse(body=b"3"), **later_pages}))
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url))
    assert result.data.body == b"312"
    queries = sorted(request.query["page"] + request.query["of"] for request in upstream.requests)
    assert queries == ["0it", "1it", "2it"]
    assert result.to_cache is None


async def test_one_thread_at_a_time(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Bodies that arrive together are parsed one after the other: the loop waits for each thread that computes."""
    running, most = 0, 0

    def parse_slowly(body: bytes) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return body

    upstream.set_responses("rates", FakeResponse(body=b"1"))
    paths = ["/a", "/b", "/c"]
    joined = replace(provider("joined", upstream.rates_url), paths=paths, parse=parse_slowly, join=b"".join)
    assert (await fetch(http_client, joined)).data.body == b"111"
    assert most == 1


async def test_single_page(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A provider with one page gets one request."""
    upstream.set_responses("rates", page_responder({"0": FakeResponse(body=b"1")}))
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url))
    assert (result.data.body, upstream.request_count("rates")) == (b"1", 1)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (FakeResponse(status=404), "responded with status 404"),
        (FakeResponse(status=502), "responded with status 502"),
        (FakeResponse(), "the body is empty"),
        (FakeResponse(body=bytes(MAX_BODY_BYTES // 2)), "the response is larger than 2499999 bytes"),
    ],
)
async def test_page_that_fails(
    upstream: Upstream, http_client: LazyHTTPClient, second: FakeResponse, reason: str
) -> None:
    """A page that fails is a failure of the provider, and all pages share the size limit."""
    upstream.set_responses(
        "rates", page_responder({"0": FakeResponse(body=b"3"), "1": second, "2": FakeResponse(body=b"2")})
    )
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url), BUNDLED_PROVIDER)
    assert result.report.failures == (f"paged: {reason}",)


async def test_late_page(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The time limit covers all pages."""
    late = FakeResponse(hold_until=lambda: False)
    upstream.set_responses(
        "rates", page_responder({"0": FakeResponse(body=b"3"), "1": late, "2": FakeResponse(body=b"2")})
    )
    result = await fetch(
        http_client, replace(PAGED, url=upstream.rates_url), BUNDLED_PROVIDER, api_timeout=SHORT_TIMEOUT
    )
    assert result.report.failures == ("paged: no complete response within 0.05 s",)


async def test_page_with_a_retry(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A page that fails for a moment is retried by itself."""
    responses = {"1": [FakeResponse(status=503), FakeResponse(body=b"1")]}

    def reply(request: Request) -> FakeResponse:
        return responses.get(request.query["page"], [FakeResponse(body=b"2")]).pop(0)

    upstream.set_responses("rates", reply)
    result = await fetch(http_client, replace(PAGED, url=upstream.rates_url))
    assert (result.data.body, upstream.request_count("rates")) == (b"21", 3)


def make_cached(
    provider: Provider[bytes], *, fresh_until: datetime | None = None, etag: str | None = '"1"'
) -> CachedData[FakeData]:
    """Return earlier data of a provider, as the provider cache has it."""
    validators = (Validators(etag=etag, last_modified=MODIFIED),)
    data = FakeData(b"before", as_of=BEFORE)
    return CachedData(origin=provider_fingerprint(provider), data=data, validators=validators, until=fresh_until)


BEFORE = NOW - timedelta(days=1)
LATER = NOW + timedelta(hours=3)


async def test_cache(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Data is cached with its validators until the provider's next update."""
    upstream.set_responses("rates", FakeResponse(body=b"x", headers={"ETag": '"7"'}))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, validate=lambda body: FakeData(body, next_update=LATER))
    assert result.to_cache == CachedData(
        origin=provider_fingerprint(first),
        data=FakeData(b"x", next_update=LATER),
        validators=(Validators(etag='"7"', last_modified=None),),
        until=LATER,
    )
    assert (result.report.live, result.report.cached) == (True, False)


async def test_cache_for_two_days_at_most(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """A next update in a year skips the provider for two days only."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    year = NOW + timedelta(days=365)
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, validate=lambda body: FakeData(body, next_update=year))
    assert result.to_cache is not None
    assert result.to_cache.until == NOW + timedelta(days=2)


@pytest.mark.parametrize("next_update", [None, NOW])
async def test_nothing_to_cache(upstream: Upstream, http_client: LazyHTTPClient, next_update: datetime | None) -> None:
    """Data without validators and without a future update is not cached."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, validate=lambda body: FakeData(body, next_update=next_update))
    assert result.to_cache is None


async def test_before_the_next_update(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Until its next update a provider is skipped, and the report does not call it live."""
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first, fresh_until=LATER))
    assert (result.data.body, result.to_cache) == (b"before", None)
    assert (result.report.live, result.report.cached, result.report.as_of) == (False, True, BEFORE)
    assert upstream.request_count("rates") == 0


async def test_after_the_next_update(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """From its next update on, a provider is requested again."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first, fresh_until=NOW))
    assert (result.data.body, result.report.cached) == (b"x", False)


@pytest.mark.parametrize("etag", ['"1"', None])
async def test_nothing_new(upstream: Upstream, http_client: LazyHTTPClient, etag: str | None) -> None:
    """A conditional request that finds nothing new counts as live."""
    upstream.set_responses("rates", FakeResponse(status=304))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first, etag=etag))
    assert (result.data.body, result.to_cache) == (b"before", None)
    assert (result.report.live, result.report.cached) == (True, False)
    (request,) = upstream.requests
    assert request.headers["if-modified-since"] == MODIFIED
    assert request.headers.get("if-none-match") == etag


async def test_something_new(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """New data replaces cached data and is cached in turn."""
    upstream.set_responses("rates", FakeResponse(body=b"x", headers={"ETag": '"2"'}))
    first = provider("one", upstream.rates_url)
    result = await fetch(http_client, first, cached_data=make_cached(first))
    assert result.data == FakeData(b"x")
    assert result.to_cache is not None
    assert result.to_cache.validators == (Validators(etag='"2"'),)


async def test_unconditional_not_modified(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Status 304 without validators in the request is a failure."""
    upstream.set_responses("rates", FakeResponse(status=304))
    assert await fetch_failure(http_client, upstream.rates_url) == "responded with status 304"


async def test_cached_data_of_another_provider(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Cached data of another provider, or of the same one at another URL, is ignored."""
    upstream.set_responses("rates", FakeResponse(body=b"x"))
    first = provider("one", upstream.rates_url)
    for other in (replace(first, name="two"), replace(first, url="http://localhost/"), PAGED):
        result = await fetch(http_client, first, cached_data=make_cached(other, fresh_until=LATER))
        assert result.data == FakeData(b"x")
    assert "if-none-match" not in upstream.requests[-1].headers


async def test_cached_data_after_a_failed_provider(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Providers before the cached one are still requested, because they are preferred."""
    upstream.set_responses("countries", FakeResponse(status=404))
    first, second = provider("first", upstream.countries_url), provider("second", upstream.url)
    result = await fetch(http_client, first, second, cached_data=make_cached(second, fresh_until=LATER))
    assert result.report.failures == ("first: responded with status 404",)
    assert (result.report.provider, result.report.cached) == ("second", True)


PARTS = replace(provider("parts", ""), paths=("/a", "/b", "/c"), join=b"+".join)


def etag_responder(etags: Mapping[str, str]) -> Callable[[Request], FakeResponse]:
    """Return a responder that sends the last part of the path, or 304 to a request that has its entity tag."""

    def respond(request: Request) -> FakeResponse:
        name = request.path[-1:]
        headers = {"ETag": etags[name]} if name in etags else {}
        is_known = request.headers.get("if-none-match") == etags.get(name, "none")
        return FakeResponse(status=304) if is_known else FakeResponse(body=name.encode() * 2, headers=headers)

    return respond


def paths_of(upstream: Upstream) -> list[str]:
    """Return the paths requested so far, sorted: parallel requests arrive in any order."""
    return sorted(request.path for request in upstream.requests)


@pytest.mark.parametrize("base", ["base", "base/", "base?key=1"])
async def test_paths(upstream: Upstream, http_client: LazyHTTPClient, base: str) -> None:
    """Every path is requested below the URL, in parallel, and their data is joined in order."""

    def all_requested() -> bool:
        return upstream.request_count("base") == 3

    upstream.set_responses("base", lambda request: FakeResponse(body=request.path.encode(), hold_until=all_requested))
    result = await fetch(http_client, replace(PARTS, url=f"{upstream.url}/{base}", params={"of": "it"}))
    assert result.data.body == b"base/a+base/b+base/c"
    assert [request.query for request in upstream.requests] == [
        {"of": "it"} | ({"key": "1"} if "key" in base else {})
    ] * 3


async def test_path_that_fails(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """One path that fails is a failure of the provider, even if the others succeed."""
    upstream.set_responses("base", FakeResponse(body=b"x"))
    upstream.set_responses("base/b", FakeResponse(status=404))
    result = await fetch(http_client, replace(PARTS, url=f"{upstream.url}/base"), BUNDLED_PROVIDER)
    assert (result.report.provider, result.report.failures) == ("bundled", ("parts: responded with status 404",))


async def test_size_of_all_paths(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """The paths share the size limit."""
    upstream.set_responses("base", FakeResponse(body=b"x"))
    upstream.set_responses("base/c", FakeResponse(body=bytes(MAX_BODY_BYTES // 3 + 1)))
    result = await fetch(http_client, replace(PARTS, url=f"{upstream.url}/base"), BUNDLED_PROVIDER)
    assert result.report.failures == ("parts: the response is larger than 1666666 bytes",)


async def fetch_parts(upstream: Upstream, http_client: LazyHTTPClient, cached: CachedData[FakeData] | None) -> object:
    """Return the body, the entity tags to cache, and the number of requests."""
    before = len(upstream.requests)
    result = await fetch(http_client, replace(PARTS, url=f"{upstream.url}/base"), cached_data=cached)
    tags = result.to_cache and [validators.etag for validators in result.to_cache.validators]
    return result.data.body, tags, len(upstream.requests) - before


async def test_nothing_new_at_any_path(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """If no path has anything new, the cached data is used after one request for each."""
    upstream.set_responses("base", etag_responder({"a": "1", "b": "2", "c": "3"}))
    first = await fetch(http_client, replace(PARTS, url=f"{upstream.url}/base"))
    assert first.to_cache is not None
    assert await fetch_parts(upstream, http_client, first.to_cache) == (b"aa+bb+cc", None, 3)
    assert [request.headers.get("if-none-match") for request in upstream.requests[3:]].count(None) == 0


async def test_something_new_at_one_path(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """If one path has something new, the others are requested again, as the cache has only the joined data."""
    upstream.set_responses("base", etag_responder({"a": "1", "b": "2", "c": "3"}))
    first = await fetch(http_client, replace(PARTS, url=f"{upstream.url}/base"))
    upstream.set_responses("base", etag_responder({"a": "1", "b": "new", "c": "3"}))
    assert await fetch_parts(upstream, http_client, first.to_cache) == (b"aa+bb+cc", ["1", "new", "3"], 5)
    assert paths_of(upstream) == [*["base/a"] * 3, *["base/b"] * 2, *["base/c"] * 3]


async def test_path_without_validators(upstream: Upstream, http_client: LazyHTTPClient) -> None:
    """Data of which one path has no validators is not cached: that path would always be new."""
    upstream.set_responses("base", etag_responder({"a": "1", "c": "3"}))
    assert await fetch_parts(upstream, http_client, None) == (b"aa+bb+cc", None, 3)


async def test_computations_give_way(http_client: LazyHTTPClient) -> None:
    """A computation in a thread begins once a busy event loop has had turns for 5 ms."""
    turns = 0

    async def be_busy() -> None:
        nonlocal turns
        while True:
            time.sleep(0.002)  # noqa: ASYNC251 - as a turn that serves requests
            turns += 1
            await asyncio.sleep(0)

    retries = RetryPolicy(base_delay=0)
    context = FetchContext(
        http_client=http_client, now=NOW, api_timeout=LONG_TIMEOUT, retry_policy=retries, on_fetch=lambda *_: None
    )
    other = asyncio.create_task(be_busy())
    first, second = await asyncio.gather(*[context.compute(lambda: turns) for _ in range(2)])
    other.cancel()
    # Without the pauses, 1 and 3: each is one turn at least.
    assert (first >= 2, second - first >= 4) == (True, True)
