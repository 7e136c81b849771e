"""Fetches one kind of data: tries its providers in order until one succeeds."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import resources
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.parsing import to_printable
from graphql_api.sources.provider import Pagination, Provider, ProviderError
from graphql_api.sources.provider_cache import CachedData, provider_fingerprint
from graphql_api.sources.response import MAX_BODY_BYTES, NotModified, ProviderResponse, Validators
from graphql_api.sources.retry import RetryPolicy
from graphql_api.utils.lazy import Lazy
from graphql_api.utils.tasks import gather

if TYPE_CHECKING:
    import httpx

    from graphql_api.sources.http_client import ProviderClient

MAX_FRESHNESS_LIFETIME = timedelta(days=2)
"""Longest time to skip a provider, whatever next update it announced."""

_MAX_REASON_LENGTH = 200
"""Characters of the reason why a provider failed, which may quote the provider."""


class ProviderData(Protocol):
    """Validated data of a provider."""

    @property
    def as_of(self) -> datetime | None:
        """Return the date of the data, as the provider reports it."""

    @property
    def next_update(self) -> datetime | None:
        """Return when the provider announced to have new data."""


T = TypeVar("T")
D = TypeVar("D", bound=ProviderData)
LazyHTTPClient: TypeAlias = "Lazy[httpx.AsyncClient]"
"""The HTTP client that all providers share, created on first use."""


class FetchOutcome(StrEnum):
    """How one provider's data was obtained."""

    ANSWERED = "answered"
    NOT_MODIFIED = "not_modified"
    """It was requested and has nothing new."""
    KEPT = "kept"
    """It was not requested: its next update is still to come."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAttempt:
    """One provider that was tried."""

    provider: str
    outcome: FetchOutcome
    seconds: float


def ignore_attempt(_: FetchAttempt) -> None:
    """Do nothing: the default of `on_fetch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchContext:
    """What every fetch of a refresh shares."""

    http_client: LazyHTTPClient
    now: datetime
    """UTC."""
    api_timeout: float
    """Seconds for one provider, including all its pages and retries."""
    retry_policy: RetryPolicy
    on_fetch: Callable[[FetchAttempt], None] = ignore_attempt
    """Called after each provider; must not block."""


@dataclass(frozen=True, slots=True)
class FetchResult(Generic[D]):
    """Data of the first provider that succeeded, and its report."""

    data: D
    report: SourceReport
    duration_ms: float
    to_cache: CachedData[D] | None
    """New entry for the provider cache. None: nothing changed."""


@dataclass(frozen=True, slots=True)
class _ProviderResult(Generic[D]):
    data: D
    outcome: FetchOutcome
    as_of: datetime | None
    to_cache: CachedData[D] | None = None


async def fetch_first(  # noqa: PLR0913 - the kind has four parts, and the fetch has a context
    kind: SourceKind,
    providers: Sequence[Provider[T]],
    validate: Callable[[T], D],
    *,
    context: FetchContext,
    cached_data: CachedData[D] | None,
    failures: list[str],
) -> FetchResult[D]:
    """Try `providers` in order and return the first that succeeds.

    The provider of `cached_data` is skipped until its next update, and gets conditional requests
    afterwards. Each failure is appended to `failures` when it occurs, so that a caller that times
    out can report it.

    Raises:
        SourceUnavailable: every provider failed; the message has each reason.
    """
    started = time.perf_counter()
    for provider in providers:
        attempt_started = time.perf_counter()
        try:
            result = await _fetch_unless_fresh(provider, validate, cached_data, context)
        except (TimeoutError, ProviderError) as error:
            failures.append(f"{provider.name}: {_describe_failure(error, provider, context)}")
            _emit_attempt(context, provider, FetchOutcome.FAILED, attempt_started)
            continue
        _emit_attempt(context, provider, result.outcome, attempt_started)
        is_cached = result.outcome is FetchOutcome.KEPT
        report = SourceReport(
            kind=kind,
            provider=provider.name,
            live=provider.is_live and not is_cached,
            cached=is_cached,
            as_of=result.as_of,
            failures=tuple(failures),
            attribution=provider.attribution,
        )
        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        return FetchResult(result.data, report, duration_ms, result.to_cache)
    raise SourceUnavailable(f"No source of {kind} could be used. {'; '.join(failures)}.")


async def _fetch_unless_fresh(
    provider: Provider[T],
    validate: Callable[[T], D],
    cached: CachedData[D] | None,
    context: FetchContext,
) -> _ProviderResult[D]:
    """Return cached data of this provider while it is current, and fetch it otherwise."""
    if cached is None or cached.origin != provider_fingerprint(provider):
        return await _fetch_and_validate(provider, validate, context, validators=None)
    as_of = cached.data.as_of or cached.validators.last_modified_at
    if cached.until is not None and context.now < cached.until:
        return _ProviderResult(cached.data, FetchOutcome.KEPT, as_of)
    try:
        return await _fetch_and_validate(provider, validate, context, validators=cached.validators)
    except NotModified:
        return _ProviderResult(cached.data, FetchOutcome.NOT_MODIFIED, as_of)


async def _fetch_and_validate(
    provider: Provider[T],
    validate: Callable[[T], D],
    context: FetchContext,
    *,
    validators: Validators | None,
) -> _ProviderResult[D]:
    if provider.resource is not None:
        bundled = resources.files("graphql_api.sources.bundled")
        data = validate(provider.parse(bundled.joinpath(provider.resource).read_bytes()))
        return _ProviderResult(data, FetchOutcome.ANSWERED, data.as_of)
    async with asyncio.timeout(context.api_timeout) as timeout:
        http_client = await context.http_client.get()
        from graphql_api.sources.http_client import ProviderClient  # noqa: PLC0415 - imports httpx

        client = ProviderClient(
            client=http_client,
            retry_policy=context.retry_policy,
            deadline=timeout.when() or math.inf,
            api_key=provider.api_key,
        )
        raw, new_validators = await _request(provider, client, validators)
    data = validate(raw)
    fresh_until = _fresh_until(data.next_update, context.now)
    to_cache = CachedData(
        origin=provider_fingerprint(provider),
        data=data,
        validators=new_validators,
        until=fresh_until,
    )
    return _ProviderResult(
        data,
        FetchOutcome.ANSWERED,
        data.as_of or new_validators.last_modified_at,
        to_cache if new_validators or fresh_until else None,
    )


def _fresh_until(next_update: datetime | None, now: datetime) -> datetime | None:
    """Return until when to skip the provider; None if its data may change at any time."""
    return (
        None
        if next_update is None or next_update <= now
        else min(next_update, now + MAX_FRESHNESS_LIFETIME)
    )


async def _request(
    provider: Provider[T], client: "ProviderClient", validators: Validators | None
) -> tuple[T, Validators]:
    """Return the parsed data. Paged data has no validators, because each page has its own."""
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
    """Request the other pages concurrently. They share what is left of `MAX_BODY_BYTES`."""
    remaining = [
        {**provider.params, **params} for params in pagination.remaining_params(first_page)
    ]
    max_bytes = (MAX_BODY_BYTES - first_page_bytes) // max(len(remaining), 1)
    return await gather(
        client.get(str(provider.url), params, max_bytes=max_bytes) for params in remaining
    )


def _emit_attempt(
    context: FetchContext, provider: Provider[T], outcome: FetchOutcome, started: float
) -> None:
    seconds = time.perf_counter() - started
    context.on_fetch(FetchAttempt(provider=provider.name, outcome=outcome, seconds=seconds))


def _describe_failure(
    error: TimeoutError | ProviderError, provider: Provider[T], context: FetchContext
) -> str:
    """Return a public reason, without the key, which a provider may repeat in its response."""
    if isinstance(error, TimeoutError):
        return f"no complete response within {context.api_timeout:g} s"
    text = str(error).rstrip(".")
    return to_printable(
        text.replace(provider.api_key, "…") if provider.api_key else text,
        max_length=_MAX_REASON_LENGTH,
    )
