"""Successful refreshes: rows, snapshot, report, history, log and statements."""

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, func, select

from graphql_api.domain.country import SkippedRecord
from graphql_api.domain.estimates import estimated_gdp
from graphql_api.domain.report import RefreshReport, SourceKind
from graphql_api.domain.snapshot import DataVersion, Ranking, Snapshot
from graphql_api.images import Theme
from graphql_api.images.cache import SummaryImage, SummaryImageCache
from graphql_api.sources.providers import geonames
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import validate_countries
from graphql_api.storage.tables import answers, refreshes
from tests.support.attempts import make_source_report
from tests.support.factories import make_country
from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream, world_bank_responder
from tests.support.refresh_service import ServiceInstance, change_column, clock_time, countries_response, rates_response

RATES_AS_OF = datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)
STATISTICS_AS_OF = datetime(2026, 10, 7, tzinfo=UTC)
DISSOLVED = (
    SkippedRecord(record="Netherlands Antilles", reason="AN is not a current ISO 3166-1 alpha-2 code"),
    SkippedRecord(record="Serbia and Montenegro", reason="CS is not a current ISO 3166-1 alpha-2 code"),
)
SOURCES = (
    make_source_report(
        "geonames", kind=SourceKind.COUNTRIES, attribution="GeoNames (https://www.geonames.org), CC BY 4.0"
    ),
    make_source_report(
        "er-api", as_of=RATES_AS_OF, attribution="Rates by Exchange Rate API (https://www.exchangerate-api.com)"
    ),
    make_source_report(
        "world-bank",
        kind=SourceKind.STATISTICS,
        as_of=STATISTICS_AS_OF,
        dropped=18,
        attribution="World Bank, World Development Indicators (https://data.worldbank.org), CC BY 4.0",
    ),
)
FIGURES = validate_countries(geonames.parse(COUNTRIES), load_reference()).figures
ANDORRA = make_country(
    **asdict(next(figures for figures in FIGURES if figures.code == "AD")) | {"population": 85370},
    alpha3="AND",
    name="Andorra",
    region="Europe",
    subregion="Southern Europe",
    exchange_rate=0.88022588,
    estimated_gdp=estimated_gdp("AD", 85370, 0.88022588),
    flag_url="https://flagcdn.com/ad.svg",
    last_refreshed_at=clock_time(0),
    revision=1,
    countries_provider="geonames",
    countries_as_of=None,
    rates_provider="er-api",
    rates_as_of=RATES_AS_OF,
    population_year=2024,
    population_density=85370 / 468,
    gdp=4_134_400_000.0,
    gdp_year=2024,
    gdp_per_capita=4_134_400_000 / 85370,
    gdp_ppp=5_168_000_000.0,
    gdp_ppp_year=2024,
    statistics_population=85370,
    statistics_provider="world-bank",
    statistics_as_of=STATISTICS_AS_OF,
)


async def test_first_refresh(instance: ServiceInstance) -> None:
    """The first refresh inserts all countries and reports the exact counts and providers."""
    report = await instance.service.refresh()
    assert report == RefreshReport(
        id="refresh-1",
        started_at=clock_time(0),
        finished_at=clock_time(1),
        version=DataVersion(1, 250),
        inserted=250,
        updated=0,
        unchanged=0,
        missing=(),
        skipped=DISSOLVED,
        statements=1,
        timings=report.timings,
        sources=SOURCES,
    )


async def test_timings(instance: ServiceInstance) -> None:
    """A phase takes at least as long as its parts, and drawing the image is timed."""
    timings = (await instance.service.refresh()).timings
    sources_ms = (timings.fetch_countries_ms, timings.fetch_rates_ms, timings.fetch_statistics_ms)
    assert timings.fetch_ms >= max(sources_ms)
    parts = timings.fetch_ms + timings.transform_ms + timings.upsert_ms
    assert timings.total_ms >= parts
    assert min(sources_ms) > 0
    assert min(timings.transform_ms, timings.upsert_ms, timings.image_ms or 0) > 0


async def test_rows(instance: ServiceInstance) -> None:
    """Each row has the reference's names, the sources' figures, provenance and estimate."""
    await instance.service.refresh()
    assert len(await instance.load_rows()) == 250
    assert await instance.load_row("AD") == ANDORRA
    antarctica = await instance.load_row("AQ")
    assert (antarctica.capital, antarctica.population, antarctica.currency_code) == (None, 0, None)
    assert (antarctica.exchange_rate, antarctica.estimated_gdp) == (None, None)
    assert (antarctica.rates_provider, antarctica.rates_as_of) == (None, None)


async def test_figures_as_of(upstream: Upstream, instance: ServiceInstance) -> None:
    """Figures that their provider does not date have no date, whenever the file was uploaded."""
    headers = {"Last-Modified": "Wed, 28 Oct 2026 04:05:06 GMT"}
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, headers=headers))
    report = await instance.service.refresh()
    assert [source.as_of for source in report.sources] == [None, RATES_AS_OF, STATISTICS_AS_OF]
    assert {row.countries_as_of for row in await instance.load_rows()} == {None}


async def test_unchanged(instance: ServiceInstance) -> None:
    """A refresh with the same data gives each row its time and revision, and counts no update."""
    await instance.service.refresh()
    report = await instance.service.refresh()
    assert (report.id, report.version) == ("refresh-2", DataVersion(2, 250))
    assert (report.inserted, report.updated, report.unchanged) == (0, 0, 250)
    assert (report.started_at, report.finished_at, report.statements) == (clock_time(2), clock_time(3), 1)
    assert await instance.load_row("AD") == replace(ANDORRA, revision=2, last_refreshed_at=clock_time(2))
    assert {(row.revision, row.last_refreshed_at) for row in await instance.load_rows()} == {(2, clock_time(2))}


async def test_updated(upstream: Upstream, instance: ServiceInstance) -> None:
    """Rows whose figures or rate changed, appeared or vanished count as updated, no others."""
    await instance.service.refresh()
    upstream.set_responses(
        "countries", countries_response(change_column("AD", "468", "469") | change_column("XK", "EUR", ""))
    )
    upstream.set_responses("rates", rates_response(AMD=400.5, ALL=None))
    report = await instance.service.refresh()
    assert (report.inserted, report.updated, report.unchanged) == (0, 4, 246)
    assert report.skipped == DISSOLVED
    assert (await instance.load_row("AD")).area_km2 == 469
    assert (await instance.load_row("XK")).currency_code is None
    assert (await instance.load_row("AM")).exchange_rate == 400.5
    albania = await instance.load_row("AL")
    assert (albania.currency_code, albania.exchange_rate) == ("ALL", None)
    assert (albania.estimated_gdp, albania.rates_provider) == (None, None)


async def test_missing(upstream: Upstream, instance: ServiceInstance) -> None:
    """A country that is no longer listed is reported and stays as it was, its time included."""
    await instance.service.refresh()
    before = [await instance.load_row("AD"), await instance.load_row("XK")]
    upstream.set_responses("countries", countries_response({"AD": None, "XK": None}))
    report = await instance.service.refresh()
    assert report.missing == ("Andorra", "Kosovo")
    assert (report.inserted, report.updated, report.unchanged) == (0, 0, 248)
    assert (report.total_countries, report.version) == (250, DataVersion(2, 250))
    assert [await instance.load_row("AD"), await instance.load_row("XK")] == before
    assert instance.catalog.snapshot.by_code["XK"] == before[1]


async def test_skipped_record_of_a_stored_country(upstream: Upstream, instance: ServiceInstance) -> None:
    """A stored country whose record cannot be used is both skipped and missing, and stays."""
    await instance.service.refresh()
    upstream.set_responses(
        "countries", countries_response(change_column("AD", "77006", "many") | {"AN": None, "CS": None})
    )
    report = await instance.service.refresh()
    reason = "its population is not a whole number from 0 to 2147483647"
    assert report.skipped == (SkippedRecord(record="Andorra", reason=reason),)
    assert report.missing == ("Andorra",)
    assert await instance.load_row("AD") == ANDORRA


async def test_thousands_of_skipped_records(upstream: Upstream, instance: ServiceInstance) -> None:
    """However many records are skipped, the report, also in the database, names only the first 100."""
    hostile_row = "\N{ROCKET}" * 200
    upstream.set_responses(
        "countries", FakeResponse(body=f"{hostile_row}\n".encode() * 4700 + COUNTRIES, headers={"ETag": "1"})
    )
    report = await instance.service.refresh()
    assert (report.inserted, len(report.skipped), report.skipped_count) == (250, 100, 4702)
    assert await instance.load_history() == (report,)
    async with instance.database.connect() as connection:
        assert (await connection.execute(select(func.max(func.length(refreshes.c.attempt))))).scalar_one() < 30_000
        assert (await connection.execute(select(func.max(func.length(answers.c.answer))))).scalar_one() < 60_000


async def test_deleted_country_returns(instance: ServiceInstance) -> None:
    """A country that was deleted is inserted by the next refresh."""
    await instance.service.refresh()
    await instance.catalog.delete(instance.catalog.snapshot.by_code["AD"])
    assert len(await instance.load_rows()) == 249
    report = await instance.service.refresh()
    assert (report.inserted, report.updated, report.unchanged) == (1, 0, 249)
    assert await instance.load_row("AD") == replace(ANDORRA, revision=4, last_refreshed_at=clock_time(2))


async def test_statements(instance: ServiceInstance) -> None:
    """A refresh writes all rows in one statement, and sends no statement that it does not need."""
    executed: list[tuple[str, int]] = []

    def on_execute(*args: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own types, six of them
        _, _, statement, parameters, _, executemany = args
        executed.append((statement.split()[0], len(parameters) if executemany else 1))

    event.listen(instance.database.engine.sync_engine, "before_cursor_execute", on_execute)
    report = await instance.service.refresh()
    await instance.service.close()
    look, write = ("SELECT", 1), ("INSERT", 250)
    begin, commit = ("BEGIN", 1), ("COMMIT", 1)
    change = ("UPDATE", 1)
    history = [begin, ("INSERT", 1), ("DELETE", 1), commit]
    # The lease, its owner, the changes, the rows; then what the caller does not wait for.
    assert executed == [change, look, look, begin, write, commit, *history, change]
    assert report.statements == executed.count(write)


async def test_sources_in_parallel(upstream: Upstream, instance: ServiceInstance) -> None:
    """All sources and the three indicators are requested at once: each responds only after all were requested."""

    def all_requested() -> bool:
        return [upstream.request_count(path) for path in ("countries", "rates", "statistics")] == [1, 1, 3]

    respond = world_bank_responder()
    upstream.set_responses("countries", FakeResponse(body=COUNTRIES, hold_until=all_requested))
    upstream.set_responses("rates", FakeResponse(body=RATES, hold_until=all_requested))
    upstream.set_responses("statistics", lambda request: replace(respond(request), hold_until=all_requested))
    report = await instance.service.refresh()
    assert (report.inserted, report.sources) == (250, SOURCES)


async def test_published_equals_reloaded(upstream: Upstream, instance: ServiceInstance) -> None:
    """Hostile and extreme values are published exactly as another process loads them."""
    await instance.service.refresh()
    changes = (
        change_column("AD", "Andorra la Vella", "'; DROP TABLE \\ %s \" 🏙 {} :name ?")
        | change_column("AE", "82880", "-0")
        | change_column("AF", "647500", "0.1")
        | change_column("AG", "St. John's", "\u00c5 " + "x" * 190)
        | change_column("AI", "102", "1e308")
        | {"XK": None}
    )
    upstream.set_responses("countries", countries_response(changes))
    upstream.set_responses("rates", rates_response(EUR=0.1 + 0.2, AFN=5e-324, AED=1.7976931348623157e308))
    await instance.service.refresh()
    published, loaded = instance.catalog.snapshot, (await instance.reload_catalog()).snapshot
    assert published.version == loaded.version == DataVersion(2, 250)
    assert published.rows == loaded.rows
    assert published == loaded
    # Unlike ==, repr() distinguishes 1 from 1.0, and 0.0 from -0.0.
    assert repr(published) == repr(loaded)
    assert published.by_code["AD"].exchange_rate == 0.30000000000000004
    assert published.by_code["AF"].estimated_gdp is None


async def test_image(instance: ServiceInstance) -> None:
    """The image of the published snapshot is drawn before the refresh returns."""
    await instance.service.refresh()
    summary = instance.catalog.snapshot.summarize()
    image_task = instance.service.summary_images._summaries.get((summary, Theme.LIGHT))
    assert image_task is not None
    assert image_task.result().png[:8] == b"\x89PNG\r\n\x1a\n"


class FailingImageCache(SummaryImageCache):
    """Image cache of a machine that cannot draw."""

    async def get(
        self, snapshot: Snapshot, *, ranking: Ranking = Ranking.GDP, theme: Theme = Theme.LIGHT
    ) -> SummaryImage:
        """Fail."""
        del ranking, theme
        raise MemoryError(str(snapshot.version))


async def test_image_fails(instance: ServiceInstance, caplog: pytest.LogCaptureFixture) -> None:
    """A failure to draw the image is logged and does not fail the refresh."""
    instance.service.summary_images = FailingImageCache()
    report = await instance.service.refresh()
    assert (report.inserted, report.timings.image_ms) == (250, None)
    assert len(await instance.load_rows()) == 250
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.getMessage() == "The summary image could not be drawn."


async def test_history(upstream: Upstream, instance: ServiceInstance) -> None:
    """Reports are in the history, newest first, in memory and in the database alike."""
    first = await instance.service.refresh()
    upstream.set_responses("countries", countries_response({"AD": None}))
    second = await instance.service.refresh()
    assert instance.catalog.history == (second, first)
    assert instance.catalog.last_refresh is second
    assert await instance.load_history() == (second, first)


async def test_log(upstream: Upstream, fallback_instance: ServiceInstance, caplog: pytest.LogCaptureFixture) -> None:
    """A refresh logs one line: the counts, the providers, and, as a warning, which live sources failed and why."""
    caplog.set_level("INFO", "graphql_api.refresh")
    upstream.set_responses("rates", FakeResponse(status=500))
    await fallback_instance.service.refresh()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    counts, _, durations = record.getMessage().partition("; ")
    assert counts == (
        "Refresh refresh-1: Live sources failed. Rates: the bundled data of 2026-09-29 still serves (er-api: responded "
        "with status 500). 250 countries (250 new, 0 changed, 0 unchanged), "
        "countries from geonames, "
        "rates from bundled, "
        "statistics from world-bank"
    )
    assert re.sub(r"\d+", "N", durations) == (
        "fetch N ms (countries N, rates N, statistics N), transform N ms, upsert N ms, image N ms in parallel, "
        "total N ms"
    )
