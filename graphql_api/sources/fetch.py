"""Fetches one kind of data: tries its providers in order until one succeeds."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import resources
from itertools import repeat
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeAlias, TypeVar
from urllib.parse import urlsplit

from graphql_api import tracing
from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import CountriesError, SourceInvalid, SourceUnavailable
from graphql_api.sources.parsing import to_printable
from graphql_api.sources.provider import Provider, ProviderData, ProviderError
from graphql_api.sources.provider_cache import CachedData, provider_fingerprint
from graphql_api.sources.response import MAX_BODY_BYTES, NotModified, Validators
from graphql_api.sources.retry import RetryPolicy
from graphql_api.sources.validation import ShortListError
from graphql_api.utils.lazy import Lazy
from graphql_api.utils.slices import serve_others
from graphql_api.utils.tasks import gather

if TYPE_CHECKING:
    import httpx

    from graphql_api.sources.http_client import ProviderClient

MAX_FRESHNESS_LIFETIME = timedelta(days=2)
"""Longest time to skip a provider, whatever next update it announced."""

_MAX_REASON_LENGTH = 200
"""Characters of the reason why a provider failed, which may quote the provider."""

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound=ProviderData)
LazyHTTPClient: TypeAlias = "Lazy[httpx.AsyncClient]"
"""The HTTP client that all providers share, created on first use."""


class FetchOutcome(StrEnum):
    """How one provider's data was obtained."""

    ANSWERED = "answered"
    NOT_MODIFIED = "not_modified"
    """It was requested and has nothing new."""
    CACHED = "kept"
    """It was not requested: its next update is still to come."""
    FAILED = "failed"


OnFetch: TypeAlias = Callable[[str, FetchOutcome, float], None]
"""Called after each provider with its name, the outcome and the seconds taken; must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchContext:
    """Settings and helpers that every fetch of a refresh shares."""

    http_client: LazyHTTPClient
    now: datetime
    """UTC."""
    api_timeout: float
    """Seconds for one provider, including all its pages and retries."""
    retry_policy: RetryPolicy
    on_fetch: OnFetch
    compute_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a thread parses or validates: the event loop waits for each thread that computes."""

    async def compute(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread, after those before it and the requests that arrived during them."""
        async with self.compute_lock:
            await serve_others()
            return await asyncio.to_thread(function, *args, **kwargs)


@dataclass(frozen=True, slots=True)
class FetchResult(Generic[D]):
    """Data of the first provider that succeeded, and its report."""

    data: D
    report: SourceReport
    duration_ms: float
    to_cache: CachedData[D] | None
    """New entry for the provider cache. None: nothing changed."""
    failure_type: type[CountriesError]
    """Error to raise if this data cannot be used either."""


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

    The provider of `cached_data` is skipped until its next update, and gets conditional requests afterwards. Each
    failure is appended to `failures` when it occurs, so that a caller that times out can report it.

    A provider that lacks its key is skipped, which is no failure.

    Raises:
        SourceUnavailable: every provider failed or was skipped; the message has each reason.
        SourceInvalid: the same, and a provider listed less than half of what is stored.
    """
    started = time.perf_counter()
    failure_type: type[CountriesError] = SourceUnavailable
    skipped = [provider for provider in providers if provider.api_key_setting and not provider.api_key]
    for provider in (provider for provider in providers if provider not in skipped):
        attempt_started = time.perf_counter()
        entry: CachedData[D] | None = None
        outcome = FetchOutcome.FAILED
        try:
            entry, outcome = await _fetch_as_span(provider, validate, cached_data, context)
        except (TimeoutError, ProviderError) as error:
            failures.append(f"{provider.name}: {_describe_failure(error, provider, context)}")
            failure_type = SourceInvalid if isinstance(error, ShortListError) else failure_type
        context.on_fetch(provider.name, outcome, time.perf_counter() - attempt_started)
        if entry is None:
            continue
        is_cached = outcome is FetchOutcome.CACHED
        report = SourceReport(
            kind=kind,
            provider=provider.name,
            live=provider.is_live and not is_cached,
            cached=is_cached,
            as_of=entry.data.as_of,
            failures=tuple(failures),
            attribution=provider.attribution,
        )
        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        is_cacheable = outcome is FetchOutcome.ANSWERED and (entry.validators or entry.until)
        return FetchResult(entry.data, report, duration_ms, entry if is_cacheable else None, failure_type)
    reasons = (*failures, *(f"{provider.name}: {provider.api_key_setting} is not set" for provider in skipped))
    raise failure_type(f"No source of {kind} could be used. {'; '.join(reasons)}.")


async def _fetch_as_span(
    provider: Provider[T], validate: Callable[[T], D], cached: CachedData[D] | None, context: FetchContext
) -> tuple[CachedData[D], FetchOutcome]:
    with tracing.span(f"fetch {provider.name}"):
        entry, outcome = await _fetch_unless_fresh(provider, validate, cached, context)
        tracing.set_attributes({"graphql_api.outcome": outcome})
        return entry, outcome


async def _fetch_unless_fresh(
    provider: Provider[T], validate: Callable[[T], D], cached: CachedData[D] | None, context: FetchContext
) -> tuple[CachedData[D], FetchOutcome]:
    """Return cached data of this provider while it is current, and fetch it otherwise."""
    if cached is None or cached.origin != provider_fingerprint(provider):
        return await _fetch(provider, validate, context), FetchOutcome.ANSWERED
    if cached.until is not None and context.now < cached.until:
        return cached, FetchOutcome.CACHED
    try:
        fetched = await _fetch(provider, validate, context, cached.validators)
    except NotModified:
        return cached, FetchOutcome.NOT_MODIFIED
    return fetched, FetchOutcome.ANSWERED


async def _fetch(
    provider: Provider[T], validate: Callable[[T], D], context: FetchContext, validators: Sequence[Validators] = ()
) -> CachedData[D]:
    raw, new_validators = await _request(provider, context, validators)
    data = await context.compute(validate, raw)
    until = data.next_update and min(data.next_update, context.now + MAX_FRESHNESS_LIFETIME)
    return CachedData(
        origin=provider_fingerprint(provider),
        data=data,
        validators=new_validators if all(new_validators) else (),
        until=until if until and until > context.now else None,
    )


async def _request(
    provider: Provider[T], context: FetchContext, known: Sequence[Validators]
) -> tuple[T, tuple[Validators, ...]]:
    """Return the parsed data and the validators of each path.

    Bodies are parsed in a thread, so that the event loop keeps serving.

    Raises:
        NotModified: every path still matches its validators.
    """
    if provider.resource is not None:
        bundled = resources.files("graphql_api.sources.bundled").joinpath(provider.resource)
        return await context.compute(lambda: provider.parse(bundled.read_bytes())), ()
    async with asyncio.timeout(context.api_timeout) as timeout:
        http_client = await context.http_client.get()
        from graphql_api.sources.http_client import ProviderClient  # noqa: PLC0415 - imports httpx

        client = ProviderClient(
            client=http_client,
            retry_policy=context.retry_policy,
            deadline=timeout.when() or math.inf,
            api_key=provider.api_key,
        )
        responses = await _request_paths(provider, client, context, known)
    return provider.join([parsed for parsed, _ in responses]), tuple(validators for _, validators in responses)


async def _request_paths(
    provider: Provider[T], client: "ProviderClient", context: FetchContext, known: Sequence[Validators]
) -> Sequence[tuple[T, Validators]]:
    """Request every path in parallel.

    Raises:
        NotModified: every path still matches its validators.
    """

    async def request(path: str, validators: Validators | None) -> tuple[T, Validators] | None:
        with suppress(NotModified):
            return await _request_path(provider, client, context, path, validators)
        return None

    responses = await gather(map(request, provider.paths, known or repeat(None)))
    if not any(responses):
        raise NotModified
    # The cache holds the joined data only, so the unchanged paths are needed too.
    unchanged = [path for path, response in zip(provider.paths, responses, strict=True) if response is None]
    others = iter(await gather(_request_path(provider, client, context, path, None) for path in unchanged))
    return [response or next(others) for response in responses]


async def _request_path(
    provider: Provider[T], client: "ProviderClient", context: FetchContext, path: str, validators: Validators | None
) -> tuple[T, Validators]:
    """Return the parsed data. Paged data has no validators, because each page has its own.

    The pages after the first are requested concurrently. `MAX_BODY_BYTES` is shared equally by the paths, and what a
    first page leaves of it by the other pages.
    """
    parts = urlsplit(str(provider.url))
    url = parts._replace(path=parts.path.removesuffix("/") + path).geturl() if path else str(provider.url)
    max_bytes = MAX_BODY_BYTES // len(provider.paths)
    body, new_validators = await client.get(url, provider.params, validators=validators, max_bytes=max_bytes)
    first = await context.compute(provider.parse, body)
    if provider.pagination is None:
        return first, new_validators
    pages = [{**provider.params, **page} for page in provider.pagination.remaining_params(first)]
    max_page_bytes = (max_bytes - len(body)) // max(len(pages), 1)
    others = await gather(client.get(url, page, max_bytes=max_page_bytes) for page in pages)
    parsed = [await context.compute(provider.parse, other_body) for other_body, _ in others]
    return provider.pagination.join([first, *parsed]), Validators() if pages else new_validators


def _describe_failure(error: TimeoutError | ProviderError, provider: Provider[T], context: FetchContext) -> str:
    """Return a public reason, without the key, which a provider may repeat in its response."""
    if isinstance(error, TimeoutError):
        return f"no complete response within {context.api_timeout:g} s"
    text = str(error).rstrip(".")
    if provider.api_key:
        text = text.replace(provider.api_key, "…")
    return to_printable(text, max_length=_MAX_REASON_LENGTH)
