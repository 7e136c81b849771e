"""Asking providers in order: what is believed, what is a failure, and how long anybody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest

from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.answer import MAX_BODY, Validators
from graphql_api.sources.fetching import Fetched, Means, fetch_first
from graphql_api.sources.keeping import Kept, origin_of
from graphql_api.sources.provider import Pages, Provider, Unusable
from graphql_api.sources.retries import Retries
from graphql_api.sources.web import Web
from tests.upstream.server import Answer, Request, Upstream

LONG = 30.0
"""Seconds that no test here waits."""
SHORT = 0.05
"""Seconds that are waited for answers that never come."""
MODIFIED = "Tue, 29 Sep 2026 00:02:31 GMT"


NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    """What a provider of these tests says: its body."""

    body: bytes
    as_of: datetime | None = None
    next_update: datetime | None = None


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
async def web() -> AsyncIterator[Web]:
    """Lend what the project asks with, which is ready."""
    async with Web("tests/1") as created:
        await created.client.get()
        yield created


async def fetch(  # noqa: PLR0913 - what fetch_first takes, each with a default
    web: Web,
    *providers: Provider[bytes],
    check: Callable[[bytes], Said] = Said,
    seconds_each: float = LONG,
    failures: list[str] | None = None,
    kept: Kept[Said] | None = None,
    now: datetime = NOW,
) -> Fetched[Said]:
    """Ask the providers as the project does, but for the pauses before retries."""
    retries = Retries(seconds=0)
    return await fetch_first(
        SourceKind.RATES,
        providers,
        check,
        means=Means(web=web, now=now, seconds_each=seconds_each, retries=retries),
        kept=kept,
        failures=[] if failures is None else failures,
    )


async def failure(web: Web, url: str, *, seconds_each: float = LONG) -> str:
    """Return why a provider asked there failed; the one after it answers from the package."""
    first = provider("first", url)
    fetched = await fetch(web, first, BUNDLED, seconds_each=seconds_each)
    assert fetched.report.provider == "bundled"
    (reason,) = fetched.report.failures
    assert reason.startswith("first: ")
    return reason.removeprefix("first: ")


async def test_first_answer(upstream: Upstream, web: Web) -> None:
    """The first provider that answers is believed and reported, and the next is not asked."""
    upstream.answer("rates", Answer(body=b"figures"))
    fetched = await fetch(
        web, provider("first", upstream.rates_url), provider("next", f"{upstream.url}/next")
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


async def test_failover(upstream: Upstream, web: Web) -> None:
    """Providers are asked in order, and the report says why each before the answer failed."""
    upstream.answer("rates", Answer(status=500), Answer(body=b""), Answer(body=b"third time"))
    names = ("one", "two", "one", "four")
    fetched = await fetch(web, *(provider(name, upstream.rates_url) for name in names))
    assert fetched.data.body == b"third time"
    assert (fetched.report.provider, fetched.report.attribution) == ("one", "By one")
    assert fetched.report.failures == (
        "one: it answered with status 500",
        "two: the body is empty",
    )
    assert upstream.asked("rates") == 3


async def test_bundled(web: Web) -> None:
    """A provider with a file is read from the package, and is not live."""
    fetched = await fetch(web, BUNDLED)
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


async def test_nobody_answers(upstream: Upstream, web: Web) -> None:
    """When all fail the error names the kind, and each provider with its reason."""
    upstream.answer("rates", Answer(status=500))
    one, two = provider("one", upstream.rates_url), provider("two", f"{upstream.url}/nowhere")
    with pytest.raises(SourceUnavailable) as refused:
        await fetch(web, one, two)
    assert str(refused.value) == (
        "No source of rates could be used. "
        "one: it answered with status 500; two: it answered with status 404."
    )


async def test_check_refuses(upstream: Upstream, web: Web) -> None:
    """What the check refuses is a failure of the provider like any other."""

    def check(body: bytes) -> Said:
        if body == b"bad":
            raise Unusable("it is bad")
        return Said(body)

    upstream.answer("rates", Answer(body=b"bad"), Answer(body=b"good"))
    both = [provider("one", upstream.rates_url), provider("two", upstream.rates_url)]
    fetched = await fetch(web, *both, check=check)
    assert (fetched.data.body, fetched.report.failures) == (b"good", ("one: it is bad",))


async def test_mute(upstream: Upstream, web: Web) -> None:
    """Providers that do not answer are given up one after the other, each after its time."""
    upstream.answer("rates", Answer(until=lambda: False))
    mute = [provider(name, upstream.rates_url) for name in ("one", "two")]
    fetched = await fetch(web, *mute, BUNDLED, seconds_each=SHORT)
    assert fetched.report.failures == (
        "one: no complete answer within 0.05 s",
        "two: no complete answer within 0.05 s",
    )
    assert fetched.milliseconds > SHORT * 1000


async def test_mute_amid_the_body(upstream: Upstream, web: Web) -> None:
    """The time ends with the last byte, not with the first."""
    upstream.answer("rates", Answer(body=b"figures", early=3, until=lambda: False))
    reason = await failure(web, upstream.rates_url, seconds_each=SHORT)
    assert reason == "no complete answer within 0.05 s"


async def test_mute_after_a_redirect(upstream: Upstream, web: Web) -> None:
    """The time of a provider covers the redirects that it sends."""
    upstream.answer("rates", Answer(status=302, headers={"Location": "/elsewhere"}))
    upstream.answer("elsewhere", Answer(until=lambda: False))
    reason = await failure(web, upstream.rates_url, seconds_each=SHORT)
    assert reason == "no complete answer within 0.05 s"


async def test_cancelling(upstream: Upstream, web: Web) -> None:
    """A fetch that is cancelled ends, and asks nobody else."""
    upstream.answer("rates", Answer(until=lambda: False))
    fetching = asyncio.create_task(fetch(web, provider("one", upstream.rates_url), BUNDLED))
    await asyncio.to_thread(upstream.wait_until_asked, "rates")
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching


async def test_date_of_the_body(upstream: Upstream, web: Web) -> None:
    """The date that the body gives wins over Last-Modified."""
    as_of = datetime(2020, 1, 1, tzinfo=UTC)
    upstream.answer("rates", Answer(body=b"x", headers={"Last-Modified": MODIFIED}))
    fetched = await fetch(
        web, provider("one", upstream.rates_url), check=lambda body: Said(body, as_of)
    )
    assert fetched.report.as_of == as_of


async def test_last_modified(upstream: Upstream, web: Web) -> None:
    """An answer whose body is not dated is as of its Last-Modified."""
    headers = {"ETag": '"1"', "Last-Modified": MODIFIED}
    upstream.answer("rates", Answer(body=b"x", headers=headers))
    fetched = await fetch(web, provider("one", upstream.rates_url))
    assert fetched.report.as_of == datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)
    assert fetched.keep is not None
    assert fetched.keep.validators == Validators(etag='"1"', last_modified=MODIFIED)


async def test_drips(upstream: Upstream, web: Web) -> None:
    """Bytes that keep coming do not make the time any longer."""
    upstream.answer("rates", Answer(body=bytes(1000), drip=0.01))
    reason = await failure(web, upstream.rates_url, seconds_each=SHORT)
    assert reason == "no complete answer within 0.05 s"


async def test_time_of_retries(upstream: Upstream, web: Web) -> None:
    """The time of a provider covers its retries."""
    upstream.answer("rates", Answer(status=503), Answer(until=lambda: False))
    reason = await failure(web, upstream.rates_url, seconds_each=SHORT)
    assert reason == "no complete answer within 0.05 s"


async def test_failures_are_told_at_once(upstream: Upstream, web: Web) -> None:
    """Who stops waiting knows the providers that had failed by then."""
    upstream.answer("one", Answer(status=500))
    upstream.answer("rates", Answer(until=lambda: False))
    told: list[str] = []
    one, two = provider("one", f"{upstream.url}/one"), provider("two", upstream.rates_url)
    fetching = asyncio.create_task(fetch(web, one, two, failures=told))
    await asyncio.to_thread(upstream.wait_until_asked, "rates")
    fetching.cancel()
    await asyncio.wait([fetching])
    assert told == ["one: it answered with status 500"]


async def test_reasons_are_short(upstream: Upstream, web: Web) -> None:
    """No more than a little of what a provider sent is in a reason, and nothing strange."""
    junk = b"HTTP/1.1 200 OK\r\n" + b"junk\x1b" * 5000 + b"\r\n\r\n"
    upstream.answer("rates", Answer(body=junk, raw=True))
    reason = await failure(web, upstream.rates_url)
    assert (len(reason), reason.isprintable()) == (200, True)


KEYED = replace(provider("keyed", ""), key_setting="THE_KEY", key="hunter2")


async def test_no_key(upstream: Upstream, web: Web) -> None:
    """A provider whose key is not set is not asked."""
    keyless = replace(KEYED, url=upstream.rates_url, key=None)
    fetched = await fetch(web, keyless, BUNDLED)
    assert fetched.report.failures == ("keyed: THE_KEY is not set",)
    assert upstream.requests == ()


async def test_key(upstream: Upstream, web: Web) -> None:
    """A provider whose key is set is asked with it, and does not show it."""
    keyed = replace(KEYED, url=upstream.rates_url)
    await fetch(web, keyed)
    assert upstream.requests[0].headers["authorization"] == "Bearer hunter2"
    assert "hunter2" not in repr(keyed)


async def test_key_is_not_repeated(upstream: Upstream, web: Web) -> None:
    """A reason in which the provider repeats the key has it no more."""

    def check(body: bytes) -> Said:
        raise Unusable(body.decode())

    upstream.answer("rates", Answer(body=b"the key hunter2 is invalid."))
    keyed = replace(KEYED, url=upstream.rates_url)
    with pytest.raises(SourceUnavailable) as refused:
        await fetch(web, keyed, check=check)
    reason = "No source of rates could be used. keyed: the key … is invalid."
    assert str(refused.value) == reason


def rest(first: bytes) -> Sequence[Mapping[str, str]]:
    """Return what asks for the pages after the first, which says how many there are."""
    return [{"page": str(number)} for number in range(1, int(first[:1]))]


PAGED = replace(
    provider("paged", ""), params={"page": "0", "of": "it"}, pages=Pages(rest=rest, join=b"".join)
)


def paged(pages: Mapping[str, Answer]) -> Callable[[Request], Answer]:
    """Return what answers each page by its number."""
    return lambda request: pages[request.query["page"]]


async def test_pages(upstream: Upstream, web: Web) -> None:
    """After the first page all others are asked for at once, and joined in order."""

    def all_asked() -> bool:
        return upstream.asked("rates") == 3

    later = {number: Answer(body=number.encode(), until=all_asked) for number in "12"}
    upstream.answer("rates", paged({"0": Answer(body=b"3"), **later}))
    fetched = await fetch(web, replace(PAGED, url=upstream.rates_url))
    assert fetched.data.body == b"312"
    asked = sorted(request.query["page"] + request.query["of"] for request in upstream.requests)
    assert asked == ["0it", "1it", "2it"]
    assert fetched.keep is None


async def test_single_page(upstream: Upstream, web: Web) -> None:
    """A provider whose first page is all is asked once."""
    upstream.answer("rates", paged({"0": Answer(body=b"1")}))
    fetched = await fetch(web, replace(PAGED, url=upstream.rates_url))
    assert (fetched.data.body, upstream.asked("rates")) == (b"1", 1)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (Answer(status=404), "it answered with status 404"),
        (Answer(status=502), "it answered with status 502"),
        (Answer(), "the body is empty"),
        (Answer(body=bytes(MAX_BODY // 2)), "its answer is larger than 9999999 bytes"),
    ],
)
async def test_page_that_fails(upstream: Upstream, web: Web, second: Answer, reason: str) -> None:
    """One page that fails is a failure of the provider; all of them share the largest size."""
    upstream.answer("rates", paged({"0": Answer(body=b"3"), "1": second, "2": Answer(body=b"2")}))
    fetched = await fetch(web, replace(PAGED, url=upstream.rates_url), BUNDLED)
    assert fetched.report.failures == (f"paged: {reason}",)


async def test_page_that_is_late(upstream: Upstream, web: Web) -> None:
    """The time of a provider covers all its pages."""
    late = Answer(until=lambda: False)
    upstream.answer("rates", paged({"0": Answer(body=b"3"), "1": late, "2": Answer(body=b"2")}))
    fetched = await fetch(web, replace(PAGED, url=upstream.rates_url), BUNDLED, seconds_each=SHORT)
    assert fetched.report.failures == ("paged: no complete answer within 0.05 s",)


async def test_page_that_passes(upstream: Upstream, web: Web) -> None:
    """A page that fails for a moment is asked for again, by itself."""
    answers = {"1": [Answer(status=503), Answer(body=b"1")]}

    def reply(request: Request) -> Answer:
        return answers.get(request.query["page"], [Answer(body=b"2")]).pop(0)

    upstream.answer("rates", reply)
    fetched = await fetch(web, replace(PAGED, url=upstream.rates_url))
    assert (fetched.data.body, upstream.asked("rates")) == (b"21", 3)


def known(
    provider: Provider[bytes], *, until: datetime | None = None, etag: str | None = '"1"'
) -> Kept[Said]:
    """Return what a provider said before, as it is kept."""
    validators = Validators(etag=etag, last_modified=MODIFIED)
    return Kept(
        origin=origin_of(provider), data=Said(b"before"), validators=validators, until=until
    )


LATER = NOW + timedelta(hours=3)


async def test_keep(upstream: Upstream, web: Web) -> None:
    """What a provider said is to be kept with its validators until its own next update."""
    upstream.answer("rates", Answer(body=b"x", headers={"ETag": '"7"'}))
    one = provider("one", upstream.rates_url)
    fetched = await fetch(web, one, check=lambda body: Said(body, None, LATER))
    assert fetched.keep == Kept(
        origin=origin_of(one),
        data=Said(b"x", None, LATER),
        validators=Validators(etag='"7"', last_modified=None),
        until=LATER,
    )
    assert (fetched.report.live, fetched.report.cached) == (True, False)


async def test_keep_for_two_days_at_most(upstream: Upstream, web: Web) -> None:
    """A provider that promises nothing new for a year is asked again after two days."""
    upstream.answer("rates", Answer(body=b"x"))
    year = NOW + timedelta(days=365)
    one = provider("one", upstream.rates_url)
    fetched = await fetch(web, one, check=lambda body: Said(body, None, year))
    assert fetched.keep is not None
    assert fetched.keep.until == NOW + timedelta(days=2)


@pytest.mark.parametrize("next_update", [None, NOW])
async def test_nothing_to_keep(upstream: Upstream, web: Web, next_update: datetime | None) -> None:
    """An answer without validators and without an update to come is of no use the next time."""
    upstream.answer("rates", Answer(body=b"x"))
    one = provider("one", upstream.rates_url)
    fetched = await fetch(web, one, check=lambda body: Said(body, None, next_update))
    assert fetched.keep is None


async def test_before_the_next_update(upstream: Upstream, web: Web) -> None:
    """Until its next update a provider is not asked, and the report does not call that live."""
    one = provider("one", upstream.rates_url)
    fetched = await fetch(web, one, kept=known(one, until=LATER))
    assert (fetched.data, fetched.keep) == (Said(b"before"), None)
    assert (fetched.report.live, fetched.report.cached) == (False, True)
    assert fetched.report.as_of == datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)
    assert upstream.asked("rates") == 0


async def test_after_the_next_update(upstream: Upstream, web: Web) -> None:
    """From the instant of its next update on a provider is asked again."""
    upstream.answer("rates", Answer(body=b"x"))
    one = provider("one", upstream.rates_url)
    fetched = await fetch(web, one, kept=known(one, until=NOW))
    assert (fetched.data.body, fetched.report.cached) == (b"x", False)


@pytest.mark.parametrize("etag", ['"1"', None])
async def test_nothing_new(upstream: Upstream, web: Web, etag: str | None) -> None:
    """A provider is asked for something new, and its having nothing is a live answer."""
    upstream.answer("rates", Answer(status=304))
    one = provider("one", upstream.rates_url)
    fetched = await fetch(web, one, kept=known(one, etag=etag))
    assert (fetched.data, fetched.keep) == (Said(b"before"), None)
    assert (fetched.report.live, fetched.report.cached) == (True, False)
    (request,) = upstream.requests
    assert request.headers["if-modified-since"] == MODIFIED
    assert request.headers.get("if-none-match") == etag


async def test_something_new(upstream: Upstream, web: Web) -> None:
    """What is new replaces what was kept, and is kept itself."""
    upstream.answer("rates", Answer(body=b"x", headers={"ETag": '"2"'}))
    one = provider("one", upstream.rates_url)
    fetched = await fetch(web, one, kept=known(one))
    assert fetched.data == Said(b"x")
    assert fetched.keep is not None
    assert fetched.keep.validators.etag == '"2"'


async def test_nothing_new_to_who_did_not_ask(upstream: Upstream, web: Web) -> None:
    """Status 304 for a question without validators is a failure like any other."""
    upstream.answer("rates", Answer(status=304))
    assert await failure(web, upstream.rates_url) == "it answered with status 304"


async def test_kept_of_another_provider(upstream: Upstream, web: Web) -> None:
    """What another provider said, or the same one at another URL, is not this one's."""
    upstream.answer("rates", Answer(body=b"x"))
    one = provider("one", upstream.rates_url)
    for other in (replace(one, name="two"), replace(one, url="http://localhost/"), PAGED):
        fetched = await fetch(web, one, kept=known(other, until=LATER))
        assert fetched.data == Said(b"x")
    assert "if-none-match" not in upstream.requests[-1].headers


async def test_kept_while_a_provider_before_it_fails(upstream: Upstream, web: Web) -> None:
    """The providers before the one whose answer is kept are asked, since they are preferred."""
    upstream.answer("countries", Answer(status=404))
    first, second = provider("first", upstream.countries_url), provider("second", upstream.url)
    fetched = await fetch(web, first, second, kept=known(second, until=LATER))
    assert fetched.report.failures == ("first: it answered with status 404",)
    assert (fetched.report.provider, fetched.report.cached) == ("second", True)
