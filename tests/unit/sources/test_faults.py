"""Every fault of every live provider: the reason is reported, and the next provider is used."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

import pytest

from graphql_api.domain.country import BUNDLED
from graphql_api.domain.report import SourceKind
from graphql_api.sources.fetch import FetchContext, FetchResult, LazyHTTPClient, fetch_first
from graphql_api.sources.reference import load_reference
from graphql_api.sources.registry import PROVIDERS
from graphql_api.sources.retry import RetryPolicy
from graphql_api.sources.validation import (
    ValidatedCountries,
    ValidatedRates,
    ValidatedStatistics,
    validate_countries,
    validate_rates,
    validate_statistics,
)
from tests.support.attempts import make_source_report
from tests.support.fake_providers.faults import FAULTS, FAULTY_PATH, LONG_TIMEOUT, ProviderFault
from tests.support.fake_providers.fixtures import (
    API_KEY,
    FAKE_PROVIDERS,
    FakeProvider,
    select_countries_providers,
    select_rates_providers,
    select_statistics_providers,
)
from tests.support.fake_providers.server import FakeResponse, Upstream
from tests.support.http_client import lazy_http_client

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)

REFERENCE = load_reference()
IMMEDIATE_RETRIES = RetryPolicy(base_delay=0)
"""Retries without a delay."""


@pytest.fixture
async def http_client() -> AsyncIterator[LazyHTTPClient]:
    """Yield an HTTP client that exists already, so that no time limit includes its import."""
    async with lazy_http_client() as http_client:
        await http_client.get()
        yield http_client


AnyResult = FetchResult[ValidatedCountries] | FetchResult[ValidatedRates] | FetchResult[ValidatedStatistics]


async def fetch(
    web: LazyHTTPClient, kind: SourceKind, *choices: tuple[str, str | None], api_timeout: float
) -> AnyResult:
    """Fetch from these providers as the application does."""
    context = FetchContext(
        http_client=web, now=NOW, api_timeout=api_timeout, retry_policy=IMMEDIATE_RETRIES, on_fetch=lambda *_: None
    )
    if kind is SourceKind.COUNTRIES:
        countries_providers = select_countries_providers(*choices)
        return await fetch_first(
            kind,
            countries_providers,
            partial(validate_countries, reference=REFERENCE),
            context=context,
            cached_data=None,
            failures=[],
        )
    if kind is SourceKind.STATISTICS:
        statistics_providers = select_statistics_providers(*choices)
        return await fetch_first(
            kind,
            statistics_providers,
            partial(validate_statistics, reference=REFERENCE),
            context=context,
            cached_data=None,
            failures=[],
        )
    rates_providers = select_rates_providers(*choices)
    return await fetch_first(kind, rates_providers, validate_rates, context=context, cached_data=None, failures=[])


@pytest.mark.parametrize("player", FAKE_PROVIDERS, ids=lambda player: player.name)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault(
    upstream: Upstream, http_client: LazyHTTPClient, player: FakeProvider, fault: ProviderFault
) -> None:
    """A faulty provider is reported with its reason, and the next provider's data is used."""
    upstream.set_responses(FAULTY_PATH, fault.build_response(player))
    faulty = (player.name, fault.build_url(upstream))
    result = await fetch(http_client, player.kind, faulty, (BUNDLED, None), api_timeout=fault.api_timeout)
    expected = await fetch(http_client, player.kind, (BUNDLED, None), api_timeout=LONG_TIMEOUT)
    assert result.data == expected.data
    assert result.report == make_source_report(
        BUNDLED,
        kind=player.kind,
        live=False,
        as_of=expected.data.as_of,
        failures=(fault.expected_failure(player),),
        attribution=expected.report.attribution,
    )
    # The first path that fails cancels the requests of the others, wherever they are.
    most_requests = fault.expected_requests * len(PROVIDERS[player.kind][player.name].paths)
    assert fault.expected_requests <= upstream.request_count(FAULTY_PATH) <= most_requests


NEXT_PROVIDER = {SourceKind.COUNTRIES: "geonames", SourceKind.RATES: "er-api", SourceKind.STATISTICS: "world-bank"}
COUNTS = {
    "restcountries": (250, 6),
    "restcountries-v3": (247, 0),
    "geonames": (250, 2),
    "er-api": 155,
    "frankfurter": 155,
    "fawazahmed0": 155,
    "world-bank": (216, 0, 18),
}


def count_data(result: AnyResult) -> object:
    """Return the numbers of countries and of records that were not used, or the number of rates."""
    match result.data:
        case ValidatedRates(rates=rates):
            return len(rates)
        case ValidatedStatistics(statistics=statistics, skipped=skipped, dropped=dropped):
            return (len(statistics), len(skipped), dropped)
        case ValidatedCountries(figures=figures, skipped=skipped):
            return (len(figures), len(skipped))


@pytest.mark.parametrize("player", FAKE_PROVIDERS, ids=lambda player: player.name)
async def test_no_fault(upstream: Upstream, http_client: LazyHTTPClient, player: FakeProvider) -> None:
    """A provider without a fault has this much data, and no other provider is requested."""
    upstream.set_responses(FAULTY_PATH, player.responder)
    url = f"{upstream.url}/{FAULTY_PATH}"
    next_provider = (NEXT_PROVIDER[player.kind], f"{upstream.url}/next")
    result = await fetch(http_client, player.kind, (player.name, url), next_provider, api_timeout=LONG_TIMEOUT)
    assert (result.report.provider, result.report.live) == (player.name, True)
    assert (count_data(result), result.report.failures) == (COUNTS[player.name], ())
    assert upstream.request_count("next") == 0


@pytest.mark.parametrize("player", FAKE_PROVIDERS, ids=lambda player: player.name)
async def test_next_live(upstream: Upstream, http_client: LazyHTTPClient, player: FakeProvider) -> None:
    """The next provider may be live: another one, or the same one at another URL."""
    upstream.set_responses("down", FakeResponse(status=500))
    upstream.set_responses(FAULTY_PATH, player.responder)
    failing = [(NEXT_PROVIDER[player.kind], f"{upstream.url}/down"), (player.name, f"{upstream.url}/down")]
    working = (player.name, f"{upstream.url}/{FAULTY_PATH}")
    result = await fetch(http_client, player.kind, *failing, working, api_timeout=LONG_TIMEOUT)
    assert (result.report.provider, count_data(result)) == (player.name, COUNTS[player.name])
    assert result.report.failures == (
        f"{NEXT_PROVIDER[player.kind]}: responded with status 500",
        f"{player.name}: responded with status 500",
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_key_is_not_told(
    upstream: Upstream, http_client: LazyHTTPClient, fault: ProviderFault, caplog: pytest.LogCaptureFixture
) -> None:
    """After any fault of a provider with a key, neither report nor log contains the key."""
    caplog.set_level("DEBUG")
    player = FAKE_PROVIDERS[0]
    upstream.set_responses(FAULTY_PATH, fault.build_response(player))
    faulty = (player.name, fault.build_url(upstream))
    result = await fetch(http_client, player.kind, faulty, (BUNDLED, None), api_timeout=fault.api_timeout)
    assert API_KEY not in repr(result)
    assert API_KEY not in caplog.text
