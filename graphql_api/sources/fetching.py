"""Asking providers over one shared HTTP client, in order, until one can be used."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Generic, Protocol, TypeVar

import httpx

from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.asking import MAX_BODY, Answer, Asker, Validators
from graphql_api.sources.provider import Pages, Provider, Unusable
from graphql_api.sources.reading import printable
from graphql_api.sources.retries import Retries

_MAX_REASON = 200
"""Characters of why a provider failed: it may quote what the provider sent."""


class Dated(Protocol):
    """What a provider says, and as of when."""

    @property
    def as_of(self) -> datetime | None:
        """Return when the provider says the data is from."""


T = TypeVar("T")
D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """With what, for how long and how patiently providers are asked."""

    client: httpx.AsyncClient
    seconds_each: float
    """For one provider, all its pages and retries included."""
    retries: Retries


@dataclass(frozen=True, slots=True)
class Fetched(Generic[D]):
    """What the first usable provider said, the report of how it was got, and what it took."""

    data: D
    report: SourceReport
    milliseconds: float
    validators: Validators | None
    """None for bundled data, and for pages, of which each has its own."""


@dataclass(frozen=True, slots=True)
class _Said(Generic[T]):
    data: T
    validators: Validators | None

    @property
    def modified(self) -> datetime | None:
        return self.validators.modified if self.validators else None


async def fetch_first(
    kind: SourceKind,
    providers: Sequence[Provider[T]],
    check: Callable[[T], D],
    *,
    means: Means,
    failures: list[str],
) -> Fetched[D]:
    """Ask `providers` in turn; the time of each is from connecting to its last byte.

    `failures` is told of each provider that fails when it does: who stops waiting may look.

    Raises:
        SourceUnavailable: none could be used; names each and its reason.
    """
    started = time.perf_counter()
    for provider in providers:
        try:
            async with asyncio.timeout(means.seconds_each) as limit:
                asker = Asker(
                    client=means.client,
                    retries=means.retries,
                    deadline=limit.when() or math.inf,
                    key=provider.key,
                )
                said = await _ask(provider, asker)
            data = check(said.data)
        except TimeoutError:
            failures.append(f"{provider.name}: no complete answer within {means.seconds_each:g} s")
        except Unusable as reason:
            failures.append(f"{provider.name}: {_public(reason, provider)}")
        else:
            report = _report(kind, provider, data.as_of or said.modified, failures)
            return Fetched(data, report, _since(started), said.validators)
    raise SourceUnavailable(f"No source of {kind} could be used. {'; '.join(failures)}.")


async def _ask(provider: Provider[T], asker: Asker) -> _Said[T]:
    if provider.resource is not None:
        bundled = resources.files("graphql_api.sources.bundled")
        return _Said(provider.parse(bundled.joinpath(provider.resource).read_bytes()), None)
    if provider.key_setting and not provider.key:
        raise Unusable(f"{provider.key_setting} is not set")
    answer = await asker.get(str(provider.url), provider.params)
    data = provider.parse(answer.body)
    if provider.pages is None:
        return _Said(data, answer.validators)
    others = await _ask_for_the_rest(provider, provider.pages, asker, data, len(answer.body))
    parsed = [provider.parse(other.body) for other in others]
    return _Said(provider.pages.join([data, *parsed]), None)


async def _ask_for_the_rest(
    provider: Provider[T], pages: Pages[T], asker: Asker, first: T, size: int
) -> list[Answer]:
    """Return the other pages; they are asked for all at once, and share the bytes that are left."""
    rest = [{**provider.params, **params} for params in pages.rest(first)]
    at_most = (MAX_BODY - size) // max(len(rest), 1)
    try:
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(asker.get(str(provider.url), params, at_most=at_most))
                for params in rest
            ]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in asked]


def _report(
    kind: SourceKind, provider: Provider[T], as_of: datetime | None, failures: Sequence[str]
) -> SourceReport:
    return SourceReport(
        kind=kind,
        provider=provider.name,
        live=provider.live,
        as_of=as_of,
        failures=tuple(failures),
        attribution=provider.attribution,
    )


def _public(reason: Unusable, provider: Provider[T]) -> str:
    """Return a reason that strangers may read: without the key, which a provider may repeat."""
    text = str(reason).rstrip(".")
    return printable(text.replace(provider.key, "…") if provider.key else text, at_most=_MAX_REASON)


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
