"""Statistics of a refresh: each figure with its year, and no failure of them that fails the refresh."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graphql_api.domain.country import BUNDLED
from graphql_api.domain.report import NO_PROVIDER, RefreshReport, SourceKind, SourceReport
from graphql_api.errors import SourceUnavailable
from tests.support.attempts import make_source_report
from tests.support.factories import STATISTICS_FIELDS
from tests.support.fake_providers.faults import FAULTS, FAULTY_PATH, ProviderFault
from tests.support.fake_providers.fixtures import FAKE_PROVIDERS, select_statistics_providers
from tests.support.fake_providers.server import (
    COUNTRIES,
    RATES,
    STATISTICS,
    FakeResponse,
    Request,
    Upstream,
    world_bank_responder,
)
from tests.support.refresh_service import (
    SERVER_ERROR,
    ServiceInstance,
    change_column,
    countries_response,
    make_source_config,
    running_instance,
)

WORLD_BANK = next(player for player in FAKE_PROVIDERS if player.kind is SourceKind.STATISTICS)
WORLD_BANK_AS_OF = datetime(2026, 10, 7, tzinfo=UTC)
CLDR_AS_OF = datetime(2024, 10, 24, tzinfo=UTC)
LATER_RATES = FakeResponse(body=json.dumps({**json.loads(RATES), "time_next_update_unix": 0}).encode())
"""Rates that are requested each time."""


GROUPS = {"", "AFE", "ARB", "EUU", "EMU", "WLD"}
"""Alpha-3 codes of the groups of countries."""


def statistics_report(report: RefreshReport) -> SourceReport:
    """Return the report of the statistics, after asserting that the other sources are live."""
    *required, statistics = report.sources
    assert [(source.kind, source.provider) for source in required] == [
        (SourceKind.COUNTRIES, "geonames"),
        (SourceKind.RATES, "er-api"),
    ]
    return statistics


def make_stored_report(*failures: str) -> SourceReport:
    """Return the report of stored statistics of the World Bank, after these failures."""
    return make_source_report(
        "world-bank",
        kind=SourceKind.STATISTICS,
        live=False,
        stored=True,
        as_of=WORLD_BANK_AS_OF,
        failures=failures,
        attribution="World Bank, World Development Indicators (https://data.worldbank.org), CC BY 4.0",
    )


def limit_countries(number: int) -> Callable[[Request], FakeResponse]:
    """Return a responder that has statistics of that many countries only."""
    populations = json.loads(STATISTICS["SP.POP.TOTL"])[1]
    codes = [row["country"]["id"] for row in populations if row["countryiso3code"] not in GROUPS][:number]

    def respond(request: Request) -> FakeResponse:
        head, rows = json.loads(STATISTICS[request.path.rpartition("/")[2]])
        kept = [row for row in rows if row["country"]["id"] in codes]
        return FakeResponse(body=json.dumps([{**head, "total": len(kept)}, kept]).encode())

    return respond


async def statistics_of(instance: ServiceInstance) -> list[tuple[object, ...]]:
    """Return what each stored row has of statistics, and its population."""
    names = ("code", "population", *STATISTICS_FIELDS)
    return [tuple(getattr(row, name) for name in names) for row in await instance.load_rows()]


@pytest.fixture
async def instance(path: Path, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Lend a service that has refreshed once from the live providers alone."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        await instance.service.refresh()
        yield instance


async def test_live_statistics(instance: ServiceInstance) -> None:
    """216 countries have the World Bank's figures and years; the others GeoNames' population without a year."""
    rows = {row.code: row for row in await instance.load_rows()}
    assert [row.statistics_provider for row in rows.values()].count("world-bank") == 216
    assert [row.statistics_provider for row in rows.values()].count(None) == 34
    eritrea, taiwan = rows["ER"], rows["TW"]
    assert (eritrea.population, eritrea.population_year, eritrea.gdp_year) == (6343960, 2024, 2011)
    assert (taiwan.population, taiwan.statistics_provider, taiwan.population_year) == (23451837, None, None)
    assert (taiwan.gdp, taiwan.gdp_per_capita, taiwan.statistics_as_of) == (None, None, None)
    liechtenstein = rows["LI"]
    assert (liechtenstein.gdp, liechtenstein.gdp_year, liechtenstein.gdp_per_capita) == (None, None, None)
    assert (liechtenstein.gdp_ppp_year, liechtenstein.statistics_provider) == (2024, "world-bank")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault(upstream: Upstream, instance: ServiceInstance, fault: ProviderFault) -> None:
    """After any fault the refresh succeeds, and every stored figure stays with its year and provenance."""
    before = await statistics_of(instance)
    upstream.set_responses(FAULTY_PATH, fault.build_response(WORLD_BANK))
    upstream.set_responses("countries", countries_response(change_column("AD", "Andorra la Vella", "Elsewhere")))
    faulty = ("world-bank", fault.build_url(upstream))
    instance.service.sources = replace(
        instance.service.sources, statistics=select_statistics_providers(faulty), api_timeout=fault.api_timeout
    )
    report = await instance.service.refresh()
    assert (report.updated, report.unchanged, report.statements, report.version.revision) == (1, 249, 1, 2)
    assert statistics_report(report) == make_stored_report(fault.expected_failure(WORLD_BANK))
    assert await statistics_of(instance) == before
    assert (await instance.load_row("AD")).capital == "Elsewhere"


async def test_all_providers_fail(upstream: Upstream, path: Path) -> None:
    """Bundled statistics do not replace live ones, and the report has the reason of each provider."""
    async with running_instance(path, make_source_config(upstream, bundled=True)) as instance:
        await instance.service.refresh()
        before = await statistics_of(instance)
        upstream.set_responses("statistics", SERVER_ERROR)
        report = await instance.service.refresh()
        assert statistics_report(report) == make_stored_report(
            "world-bank: responded with status 500", "bundled: bundled data never replaces live data"
        )
        assert await statistics_of(instance) == before
        assert await instance.load_history() == instance.catalog.history


async def test_first_refresh_without_statistics(upstream: Upstream, path: Path) -> None:
    """Without any statistics the countries have the population of their provider, and null for the rest."""
    upstream.set_responses("statistics", SERVER_ERROR)
    async with running_instance(path, make_source_config(upstream)) as instance:
        report = await instance.service.refresh()
        assert statistics_report(report) == make_source_report(
            NO_PROVIDER,
            kind=SourceKind.STATISTICS,
            live=False,
            stored=True,
            failures=("world-bank: responded with status 500",),
        )
        andorra = await instance.load_row("AD")
        assert (andorra.population, andorra.population_density) == (77006, 77006 / 468)
        assert {getattr(andorra, name) for name in STATISTICS_FIELDS if name != "population_density"} == {None}
        assert andorra.estimated_gdp is not None


async def test_bundled_statistics(upstream: Upstream, path: Path) -> None:
    """Bundled statistics are used where there are no live ones, and live ones replace them."""
    upstream.set_responses("statistics", SERVER_ERROR)
    async with running_instance(path, make_source_config(upstream, bundled=True)) as instance:
        report = await instance.service.refresh()
        source = statistics_report(report)
        assert (source.provider, source.live, source.stored, source.as_of) == (BUNDLED, False, False, CLDR_AS_OF)
        assert source.failures == ("world-bank: responded with status 500",)
        taiwan = await instance.load_row("TW")
        assert (taiwan.population, taiwan.population_year, taiwan.gdp) == (23595300, None, None)
        assert (taiwan.gdp_ppp, taiwan.statistics_provider) == (1.143e12, BUNDLED)
        upstream.set_responses("statistics", world_bank_responder())
        assert statistics_report(await instance.service.refresh()).provider == "world-bank"
        assert (await instance.load_row("FR")).population_year == 2024


async def test_less_than_half(upstream: Upstream, instance: ServiceInstance) -> None:
    """Statistics of less than half of the countries that have some are refused, and are not cached."""
    before = await statistics_of(instance)
    upstream.set_responses("statistics", limit_countries(107))
    assert statistics_report(await instance.service.refresh()) == make_stored_report(
        "world-bank: lists 107 usable statistics, less than half of the 216 stored"
    )
    assert await statistics_of(instance) == before
    assert instance.catalog.provider_cache.statistics is None


async def test_half(upstream: Upstream, instance: ServiceInstance) -> None:
    """Statistics of half of the countries replace the stored ones: the other half has none any more."""
    upstream.set_responses("statistics", limit_countries(108))
    assert statistics_report(await instance.service.refresh()).stored is False
    providers = [row.statistics_provider for row in await instance.load_rows()]
    assert (providers.count("world-bank"), providers.count(None)) == (108, 142)


async def test_timeout_of_the_refresh(upstream: Upstream, instance: ServiceInstance) -> None:
    """Statistics that are not complete within REFRESH_TIMEOUT do not fail a refresh whose other sources are."""
    before = await statistics_of(instance)
    upstream.set_responses("statistics", FakeResponse(hold_until=lambda: False))
    instance.service.sources = replace(instance.service.sources, refresh_timeout=2)
    report = await instance.service.refresh()
    assert statistics_report(report) == make_stored_report("the statistics were not complete within 2 s")
    assert report.timings.fetch_statistics_ms >= 2000
    assert await statistics_of(instance) == before


async def test_countries_fail(upstream: Upstream, instance: ServiceInstance) -> None:
    """Statistics alone are not written: without countries nothing changes, and the request is cancelled."""
    before = await instance.load_rows()
    upstream.set_responses("countries", SERVER_ERROR)
    upstream.set_responses("statistics", FakeResponse(hold_until=lambda: False))
    with pytest.raises(SourceUnavailable, match=r"^No source of countries could be used\. geonames: [^;]*$"):
        await instance.service.refresh()
    assert await instance.load_rows() == before


async def test_nothing_new(upstream: Upstream, instance: ServiceInstance) -> None:
    """Indicators that have nothing new are not sent again; they count as live and keep their figures."""
    upstream.set_responses("statistics", world_bank_responder(etag='"7"'))
    await instance.service.refresh()
    await instance.service.close()
    await instance.catalog.sync()
    before = await statistics_of(instance)
    report = await instance.service.refresh()
    source = statistics_report(report)
    assert (source.provider, source.live, source.dropped, source.as_of) == ("world-bank", True, 18, WORLD_BANK_AS_OF)
    assert await statistics_of(instance) == before
    requests = [request for request in upstream.requests if request.path.startswith("statistics")][-3:]
    assert [request.headers.get("if-none-match") for request in requests] == ['"7"'] * 3


async def test_pages(upstream: Upstream, instance: ServiceInstance) -> None:
    """Pages of 50 rows give the same figures as one page, from five requests for each indicator."""
    before, requests = await statistics_of(instance), upstream.request_count("statistics")
    upstream.set_responses("statistics", world_bank_responder(max_page_size=50))
    report = await instance.service.refresh()
    assert (report.unchanged, statistics_report(report).dropped) == (250, 18)
    assert await statistics_of(instance) == before
    assert upstream.request_count("statistics") - requests == 15


async def test_bad_values(upstream: Upstream, instance: ServiceInstance) -> None:
    """A value that is no credible figure is reported as skipped; the country keeps its other figures."""

    def respond(request: Request) -> FakeResponse:
        body = json.loads(STATISTICS[request.path.rpartition("/")[2]])
        row = next(row for row in body[1] if row["country"]["id"] == "FR")
        row["value"] = {"SP.POP.TOTL": -1, "NY.GDP.MKTP.CD": "much"}.get(row["indicator"]["id"], 5.0)
        return FakeResponse(body=json.dumps(body).encode())

    upstream.set_responses("statistics", respond)
    report = await instance.service.refresh()
    assert [(record.record, record.reason) for record in report.skipped][2:] == [
        ("France SP.POP.TOTL", "its population is not a whole number from 0 to 2147483647"),
        ("France NY.GDP.MKTP.CD", "its value is not a number from 0"),
    ]
    france = await instance.load_row("FR")
    assert (france.population, france.population_year, france.gdp, france.gdp_year) == (66987244, None, None, None)
    assert (france.gdp_ppp, france.gdp_ppp_year, france.statistics_provider) == (5.0, 2024, "world-bank")


async def test_slowest_source(upstream: Upstream, instance: ServiceInstance) -> None:
    """The upsert waits for the slowest source only: statistics that come last are in the one statement."""
    requested = asyncio.Event()
    upstream.set_responses("rates", LATER_RATES)
    respond = world_bank_responder()
    upstream.set_responses("statistics", lambda request: replace(respond(request), hold_until=requested.is_set))
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES))
    refresh = asyncio.create_task(instance.service.refresh())
    await asyncio.to_thread(upstream.wait_for_requests, "statistics", 6)
    requested.set()
    report = await refresh
    assert (report.statements, report.unchanged) == (1, 250)
