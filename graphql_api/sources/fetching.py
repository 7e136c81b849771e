"""Asking providers over one shared HTTP client, in order, until one can be used."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import resources
from typing import Generic, Protocol, TypeVar

import httpx

from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from graphql_api.sources.provider import Provider, Unusable
from graphql_api.sources.reading import printable

MAX_BODY = 20_000_000
"""Bytes of one answer, decompressed; the largest real one, restcountries v3.1, has 1.1 million."""

_MAX_REASON = 200
"""Characters of an error's message: it may quote what the provider sent."""


class Dated(Protocol):
    """What a provider says, and as of when."""

    @property
    def as_of(self) -> datetime | None:
        """Return when the provider says the data is from."""


T = TypeVar("T")
D = TypeVar("D", bound=Dated)


@dataclass(frozen=True, slots=True)
class Fetched(Generic[D]):
    """What the first usable provider said, the report of how it was got, and what it took."""

    data: D
    report: SourceReport
    milliseconds: float


def create_client(user_agent: str) -> httpx.AsyncClient:
    """Return the client that all providers share; time limits are set around each provider."""
    return httpx.AsyncClient(
        headers={"User-Agent": user_agent},
        follow_redirects=True,
        max_redirects=5,
        timeout=None,  # noqa: S113 - asyncio.timeout in fetch_first bounds the whole answer
    )


async def fetch_first(
    kind: SourceKind,
    providers: Sequence[Provider[T]],
    check: Callable[[T], D],
    *,
    client: httpx.AsyncClient,
    seconds_each: float,
) -> Fetched[D]:
    """Ask `providers` in turn; `seconds_each` bounds each from connecting to its last byte.

    Raises:
        SourceUnavailable: none could be used; names each and its reason.
    """
    started = time.perf_counter()
    failures: list[str] = []
    for provider in providers:
        try:
            async with asyncio.timeout(seconds_each):
                body, modified = await _read(provider, client)
            data = check(provider.parse(body))
        except TimeoutError:
            failures.append(f"{provider.name}: no complete answer within {seconds_each:g} s")
        except Unusable as reason:
            failures.append(f"{provider.name}: {reason}")
        else:
            report = SourceReport(
                kind=kind,
                provider=provider.name,
                live=provider.live,
                as_of=data.as_of or modified,
                failures=tuple(failures),
                attribution=provider.attribution,
            )
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            return Fetched(data, report, milliseconds)
    raise SourceUnavailable(f"No source of {kind} could be used. {'; '.join(failures)}.")


async def _read(provider: Provider[T], client: httpx.AsyncClient) -> tuple[bytes, datetime | None]:
    if provider.url is not None:
        return await _get(provider.url, client)
    bundled = resources.files("graphql_api.sources.bundled")
    return bundled.joinpath(str(provider.resource)).read_bytes(), None


async def _get(url: str, client: httpx.AsyncClient) -> tuple[bytes, datetime | None]:
    body = bytearray()
    try:
        async with client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise Unusable(f"it answered with status {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY:
                    raise Unusable(f"its answer is larger than {MAX_BODY} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ExceptionGroup) as error:
        # The last two: host names and ports, in a redirect too, that only the layers below refuse.
        cause = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        reason = printable(f"{type(cause).__name__}: {cause}", at_most=_MAX_REASON)
        raise Unusable(reason) from error
    return bytes(body), _last_modified(response)


def _last_modified(response: httpx.Response) -> datetime | None:
    try:
        modified = parsedate_to_datetime(response.headers["Last-Modified"])
        # HTTP's dates are in UTC, also those that do not say so.
        return (modified if modified.tzinfo else modified.replace(tzinfo=UTC)).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None
