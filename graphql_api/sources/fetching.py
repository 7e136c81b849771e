"""Asking providers, in order, until one can be used."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.answer import MAX_BODY, Answer, NotModified, Validators
from graphql_api.sources.keeping import Kept, origin_of
from graphql_api.sources.provider import Pages, Provider, Unusable
from graphql_api.sources.reading import printable
from graphql_api.sources.retries import Retries
from graphql_api.sources.web import Web
from graphql_api.together import together

if TYPE_CHECKING:
    from graphql_api.sources.asking import Asker

LONGEST = timedelta(days=2)
"""For how long a provider is not asked at most, whenever it says that its next update is."""

_MAX_REASON = 200
"""Characters of why a provider failed: it may quote what the provider sent."""


class Dated(Protocol):
    """What a provider says, and as of when."""

    @property
    def as_of(self) -> datetime | None:
        """Return when the provider says the data is from."""

    @property
    def next_update(self) -> datetime | None:
        """Return before when the provider says that asking again is of no use."""


T = TypeVar("T")
D = TypeVar("D", bound=Dated)


class Outcome(StrEnum):
    """What came of wanting a provider's data."""

    ANSWERED = "answered"
    NOT_MODIFIED = "not_modified"
    """It was asked, and has nothing new."""
    KEPT = "kept"
    """It was not asked: what it said last still holds."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A provider that has given its data, or failed to."""

    provider: str
    outcome: Outcome
    seconds: float


def ignore(_: Hearing) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """With what, when, for how long and how patiently providers are asked."""

    web: Web
    now: datetime
    """UTC."""
    seconds_each: float
    """For one provider, all its pages and retries included."""
    retries: Retries
    heard: Callable[[Hearing], None] = ignore
    """Is told of every provider; must return at once."""


@dataclass(frozen=True, slots=True)
class Fetched(Generic[D]):
    """What the first usable provider said, the report of how it was got, and what it took."""

    data: D
    report: SourceReport
    milliseconds: float
    keep: Kept[D] | None
    """What to remember of it for the next time; None: nothing new."""


@dataclass(frozen=True, slots=True)
class _Said(Generic[D]):
    """What a provider said, and how."""

    data: D
    outcome: Outcome
    as_of: datetime | None
    keep: Kept[D] | None = None


async def fetch_first(  # noqa: PLR0913 - two of a kind, and what is known of it before
    kind: SourceKind,
    providers: Sequence[Provider[T]],
    check: Callable[[T], D],
    *,
    means: Means,
    kept: Kept[D] | None,
    failures: list[str],
) -> Fetched[D]:
    """Ask `providers` in turn; the time of each is from connecting to its last byte.

    What the provider said last is `kept`: until its next update it is not asked, and afterwards
    only for something new. `failures` is told of each provider that fails when it does: who stops
    waiting may look.

    Raises:
        SourceUnavailable: none could be used; names each and its reason.
    """
    started = asked = time.perf_counter()
    for provider in providers:
        known = kept if kept is not None and kept.origin == origin_of(provider) else None
        try:
            said = await _hear(provider, check, known, means)
        except (TimeoutError, Unusable) as error:
            failures.append(f"{provider.name}: {_reason(error, provider, means)}")
            asked = _tell(means, provider, Outcome.FAILED, asked)
        else:
            _tell(means, provider, said.outcome, asked)
            cached = said.outcome is Outcome.KEPT
            report = SourceReport(
                kind=kind,
                provider=provider.name,
                live=provider.live and not cached,
                cached=cached,
                as_of=said.as_of,
                failures=tuple(failures),
                attribution=provider.attribution,
            )
            return Fetched(said.data, report, _since(started), said.keep)
    raise SourceUnavailable(f"No source of {kind} could be used. {'; '.join(failures)}.")


async def _hear(
    provider: Provider[T], check: Callable[[T], D], known: Kept[D] | None, means: Means
) -> _Said[D]:
    """Return what a provider says, or what it is known to say still."""
    if known is None:
        return await _listen(provider, check, means, since=None)
    as_of = known.data.as_of or known.validators.modified
    if known.until is not None and means.now < known.until:
        return _Said(known.data, Outcome.KEPT, as_of)
    try:
        return await _listen(provider, check, means, since=known.validators)
    except NotModified:
        return _Said(known.data, Outcome.NOT_MODIFIED, as_of)


async def _listen(
    provider: Provider[T], check: Callable[[T], D], means: Means, *, since: Validators | None
) -> _Said[D]:
    if provider.resource is not None:
        bundled = resources.files("graphql_api.sources.bundled")
        data = check(provider.parse(bundled.joinpath(provider.resource).read_bytes()))
        return _Said(data, Outcome.ANSWERED, data.as_of)
    async with asyncio.timeout(means.seconds_each) as limit:
        asker = await means.web.asker(
            retries=means.retries, deadline=limit.when() or math.inf, key=provider.key
        )
        raw, validators = await _ask(provider, asker, since)
    data = check(raw)
    until = _until(data.next_update, means.now)
    keep = Kept(origin=origin_of(provider), data=data, validators=validators, until=until)
    return _Said(
        data,
        Outcome.ANSWERED,
        data.as_of or validators.modified,
        keep if validators or until else None,
    )


def _until(next_update: datetime | None, now: datetime) -> datetime | None:
    """Return until when a provider is not to be asked; None if it may be at once."""
    return None if next_update is None or next_update <= now else min(next_update, now + LONGEST)


async def _ask(
    provider: Provider[T], asker: "Asker", since: Validators | None
) -> tuple[T, Validators]:
    """Return what a provider says; pages have no validators, since each has its own."""
    if provider.key_setting and not provider.key:
        raise Unusable(f"{provider.key_setting} is not set")
    answer = await asker.get(str(provider.url), provider.params, since=since)
    data = provider.parse(answer.body)
    if provider.pages is None:
        return data, answer.validators
    others = await _ask_for_the_rest(provider, provider.pages, asker, data, len(answer.body))
    parsed = [provider.parse(other.body) for other in others]
    return provider.pages.join([data, *parsed]), Validators(etag=None, last_modified=None)


async def _ask_for_the_rest(
    provider: Provider[T], pages: Pages[T], asker: "Asker", first: T, size: int
) -> list[Answer]:
    """Return the other pages; they are asked for all at once, and share the bytes that are left."""
    rest = [{**provider.params, **params} for params in pages.rest(first)]
    at_most = (MAX_BODY - size) // max(len(rest), 1)
    return await together(asker.get(str(provider.url), params, at_most=at_most) for params in rest)


def _tell(means: Means, provider: Provider[T], outcome: Outcome, since: float) -> float:
    """Tell of a provider that was turned to at `since`, and return the present."""
    now = time.perf_counter()
    means.heard(Hearing(provider=provider.name, outcome=outcome, seconds=now - since))
    return now


def _reason(error: TimeoutError | Unusable, provider: Provider[T], means: Means) -> str:
    """Return a reason that strangers may read: without the key, which a provider may repeat."""
    if isinstance(error, TimeoutError):
        return f"no complete answer within {means.seconds_each:g} s"
    text = str(error).rstrip(".")
    return printable(text.replace(provider.key, "…") if provider.key else text, at_most=_MAX_REASON)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
