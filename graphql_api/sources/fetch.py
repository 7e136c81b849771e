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
from graphql_api.sources.lazy_http_client import LazyHTTPClient
from graphql_api.sources.parsing import to_printable
from graphql_api.sources.provider import Pagination, Provider, ProviderError
from graphql_api.sources.provider_cache import CachedData, provider_fingerprint
from graphql_api.sources.response import MAX_BODY_BYTES, NotModified, ProviderResponse, Validators
from graphql_api.sources.retry import RetryPolicy
from graphql_api.utils.tasks import gather

if TYPE_CHECKING:
    from graphql_api.sources.http_client import ProviderClient

MAX_FRESHNESS_LIFETIME = timedelta(days=2)
"""For how long a provider is not asked at most, whenever it says that its next update is."""

_MAX_REASON_LENGTH = 200
"""Characters of why a provider failed: it may quote what the provider sent."""


class ProviderData(Protocol):
    """What a provider says, and as of when."""

    @property
    def as_of(self) -> datetime | None:
        """Return when the provider says the data is from."""

    @property
    def next_update(self) -> datetime | None:
        """Return before when the provider says that asking again is of no use."""


T = TypeVar("T")
D = TypeVar("D", bound=ProviderData)


class FetchOutcome(StrEnum):
    """What came of wanting a provider's data."""

    ANSWERED = "answered"
    NOT_MODIFIED = "not_modified"
    """It was asked, and has nothing new."""
    KEPT = "kept"
    """It was not asked: what it said last still holds."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAttempt:
    """A provider that has given its data, or failed to."""

    provider: str
    outcome: FetchOutcome
    seconds: float


def ignore_attempt(_: FetchAttempt) -> None:
    """Take no notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchContext:
    """With what, when, for how long and how patiently providers are asked."""

    http_client: LazyHTTPClient
    now: datetime
    """UTC."""
    api_timeout: float
    """For one provider, all its pages and retries included."""
    retry_policy: RetryPolicy
    on_fetch: Callable[[FetchAttempt], None] = ignore_attempt
    """Is told of every provider; must return at once."""


@dataclass(frozen=True, slots=True)
class FetchResult(Generic[D]):
    """What the first usable provider said, the report of how it was got, and what it took."""

    data: D
    report: SourceReport
    duration_ms: float
    to_cache: CachedData[D] | None
    """What to remember of it for the next time; None: nothing new."""


@dataclass(frozen=True, slots=True)
class _ProviderResult(Generic[D]):
    """What a provider said, and how."""

    data: D
    outcome: FetchOutcome
    as_of: datetime | None
    to_cache: CachedData[D] | None = None


async def fetch_first(  # noqa: PLR0913 - two of a kind, and what is known of it before
    kind: SourceKind,
    providers: Sequence[Provider[T]],
    validate: Callable[[T], D],
    *,
    context: FetchContext,
    cached_data: CachedData[D] | None,
    failures: list[str],
) -> FetchResult[D]:
    """Ask `providers` in turn; the time of each is from connecting to its last byte.

    What the provider said last is `kept`: until its next update it is not asked, and afterwards
    only for something new. `failures` is told of each provider that fails when it does: who stops
    waiting may look.

    Raises:
        SourceUnavailable: none could be used; names each and its reason.
    """
    started = attempt_started = time.perf_counter()
    for provider in providers:
        matching_data = (
            cached_data
            if cached_data is not None and cached_data.origin == provider_fingerprint(provider)
            else None
        )
        try:
            result = await _fetch_unless_fresh(provider, validate, matching_data, context)
        except (TimeoutError, ProviderError) as error:
            failures.append(f"{provider.name}: {_describe_failure(error, provider, context)}")
            attempt_started = _report_attempt(
                context, provider, FetchOutcome.FAILED, attempt_started
            )
        else:
            _report_attempt(context, provider, result.outcome, attempt_started)
            cached = result.outcome is FetchOutcome.KEPT
            report = SourceReport(
                kind=kind,
                provider=provider.name,
                live=provider.is_live and not cached,
                cached=cached,
                as_of=result.as_of,
                failures=tuple(failures),
                attribution=provider.attribution,
            )
            return FetchResult(result.data, report, _elapsed_ms(started), result.to_cache)
    raise SourceUnavailable(f"No source of {kind} could be used. {'; '.join(failures)}.")


async def _fetch_unless_fresh(
    provider: Provider[T],
    validate: Callable[[T], D],
    cached: CachedData[D] | None,
    context: FetchContext,
) -> _ProviderResult[D]:
    """Return what a provider says, or what it is known to say still."""
    if cached is None:
        return await _fetch_and_validate(provider, validate, context, cached_validators=None)
    as_of = cached.data.as_of or cached.validators.last_modified_at
    if cached.until is not None and context.now < cached.until:
        return _ProviderResult(cached.data, FetchOutcome.KEPT, as_of)
    try:
        return await _fetch_and_validate(
            provider, validate, context, cached_validators=cached.validators
        )
    except NotModified:
        return _ProviderResult(cached.data, FetchOutcome.NOT_MODIFIED, as_of)


async def _fetch_and_validate(
    provider: Provider[T],
    validate: Callable[[T], D],
    context: FetchContext,
    *,
    cached_validators: Validators | None,
) -> _ProviderResult[D]:
    if provider.resource is not None:
        bundled = resources.files("graphql_api.sources.bundled")
        data = validate(provider.parse(bundled.joinpath(provider.resource).read_bytes()))
        return _ProviderResult(data, FetchOutcome.ANSWERED, data.as_of)
    async with asyncio.timeout(context.api_timeout) as timeout:
        client = await context.http_client.create_provider_client(
            retry_policy=context.retry_policy,
            deadline=timeout.when() or math.inf,
            api_key=provider.api_key,
        )
        raw, validators = await _request(provider, client, cached_validators)
    data = validate(raw)
    fresh_until = _fresh_until(data.next_update, context.now)
    to_cache = CachedData(
        origin=provider_fingerprint(provider), data=data, validators=validators, until=fresh_until
    )
    return _ProviderResult(
        data,
        FetchOutcome.ANSWERED,
        data.as_of or validators.last_modified_at,
        to_cache if validators or fresh_until else None,
    )


def _fresh_until(next_update: datetime | None, now: datetime) -> datetime | None:
    """Return until when a provider is not to be asked; None if it may be at once."""
    return (
        None
        if next_update is None or next_update <= now
        else min(next_update, now + MAX_FRESHNESS_LIFETIME)
    )


async def _request(
    provider: Provider[T], client: "ProviderClient", validators: Validators | None
) -> tuple[T, Validators]:
    """Return what a provider says; pages have no validators, since each has its own."""
    if provider.api_key_setting and not provider.api_key:
        raise ProviderError(f"{provider.api_key_setting} is not set")
    response = await client.get(str(provider.url), provider.params, validators=validators)
    data = provider.parse(response.body)
    if provider.pagination is None:
        return data, response.validators
    other_pages = await _request_remaining_pages(
        provider, provider.pagination, client, data, len(response.body)
    )
    parsed = [provider.parse(page.body) for page in other_pages]
    return provider.pagination.join([data, *parsed]), Validators(etag=None, last_modified=None)


async def _request_remaining_pages(
    provider: Provider[T],
    pagination: Pagination[T],
    client: "ProviderClient",
    first_page: T,
    first_page_bytes: int,
) -> list[ProviderResponse]:
    """Return the other pages; they are asked for all at once, and share the bytes that are left."""
    remaining = [
        {**provider.params, **params} for params in pagination.remaining_params(first_page)
    ]
    max_bytes = (MAX_BODY_BYTES - first_page_bytes) // max(len(remaining), 1)
    return await gather(
        client.get(str(provider.url), params, max_bytes=max_bytes) for params in remaining
    )


def _report_attempt(
    context: FetchContext, provider: Provider[T], outcome: FetchOutcome, started: float
) -> float:
    """Tell of a provider that was turned to at `since`, and return the present."""
    now = time.perf_counter()
    context.on_fetch(FetchAttempt(provider=provider.name, outcome=outcome, seconds=now - started))
    return now


def _describe_failure(
    error: TimeoutError | ProviderError, provider: Provider[T], context: FetchContext
) -> str:
    """Return a reason that strangers may read: without the key, which a provider may repeat."""
    if isinstance(error, TimeoutError):
        return f"no complete answer within {context.api_timeout:g} s"
    text = str(error).rstrip(".")
    return to_printable(
        text.replace(provider.api_key, "…") if provider.api_key else text,
        max_length=_MAX_REASON_LENGTH,
    )


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
