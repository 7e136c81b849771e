"""A refresh that succeeds: what it writes, what it publishes, what it reports, what it costs."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event

from graphql_api.catalog import Pictures
from graphql_api.domain.country import Country, SkippedRecord
from graphql_api.domain.estimates import estimated_gdp
from graphql_api.domain.report import RefreshReport, SourceKind, SourceReport
from graphql_api.domain.snapshot import Snapshot, Version
from tests.refresh.running import Running, at, line, listing, rating
from tests.upstream.server import COUNTRIES, RATES, Answer, Upstream

RATES_AS_OF = datetime(2026, 9, 29, 0, 2, 31, tzinfo=UTC)
DISSOLVED = (
    SkippedRecord(
        record="Netherlands Antilles", reason="AN is not a current ISO 3166-1 alpha-2 code"
    ),
    SkippedRecord(
        record="Serbia and Montenegro", reason="CS is not a current ISO 3166-1 alpha-2 code"
    ),
)
SOURCES = (
    SourceReport(
        kind=SourceKind.COUNTRIES,
        provider="geonames",
        live=True,
        as_of=None,
        failures=(),
        attribution="GeoNames (https://www.geonames.org), CC BY 4.0",
    ),
    SourceReport(
        kind=SourceKind.RATES,
        provider="er-api",
        live=True,
        as_of=RATES_AS_OF,
        failures=(),
        attribution="Rates by Exchange Rate API (https://www.exchangerate-api.com)",
    ),
)
ANDORRA = Country(
    code="AD",
    alpha3="AND",
    name="Andorra",
    capital="Andorra la Vella",
    region="Europe",
    subregion="Southern Europe",
    population=77006,
    area_km2=468.0,
    currency_code="EUR",
    exchange_rate=0.88022588,
    estimated_gdp=estimated_gdp("AD", 77006, 0.88022588),
    flag_url="https://flagcdn.com/ad.svg",
    last_refreshed_at=at(0),
    revision=1,
    countries_provider="geonames",
    countries_as_of=None,
    rates_provider="er-api",
    rates_as_of=RATES_AS_OF,
)


async def test_first_refresh(home: Running) -> None:
    """The first refresh inserts everything and reports exactly what it did and from whom."""
    report = await home.service.refresh()
    assert report == RefreshReport(
        id="refresh-1",
        started_at=at(0),
        finished_at=at(1),
        version=Version(1, 250),
        inserted=250,
        updated=0,
        unchanged=0,
        missing=(),
        skipped=DISSOLVED,
        statements=1,
        timings=report.timings,
        sources=SOURCES,
    )


async def test_timings(home: Running) -> None:
    """What contains something else takes at least as long, and the picture is timed."""
    timings = (await home.service.refresh()).timings
    assert timings.fetch_ms >= max(timings.fetch_countries_ms, timings.fetch_rates_ms)
    parts = timings.fetch_ms + timings.transform_ms + timings.upsert_ms
    assert timings.total_ms >= parts
    assert min(timings.fetch_countries_ms, timings.fetch_rates_ms) > 0
    assert min(timings.transform_ms, timings.upsert_ms, timings.image_ms or 0) > 0


async def test_rows(home: Running) -> None:
    """Each row is who the reference says, with the sources' figures, provenance and estimate."""
    await home.service.refresh()
    assert len(await home.rows()) == 250
    assert await home.row("AD") == ANDORRA
    antarctica = await home.row("AQ")
    assert (antarctica.capital, antarctica.population, antarctica.currency_code) == (None, 0, None)
    assert (antarctica.exchange_rate, antarctica.estimated_gdp) == (None, None)
    assert (antarctica.rates_provider, antarctica.rates_as_of) == (None, None)


async def test_date_of_the_figures(upstream: Upstream, home: Running) -> None:
    """When the source says of when its figures are, the report and every row say so too."""
    headers = {"Last-Modified": "Wed, 28 Oct 2026 04:05:06 GMT"}
    upstream.answer("countries", Answer(body=COUNTRIES, headers=headers))
    report = await home.service.refresh()
    as_of = datetime(2026, 10, 28, 4, 5, 6, tzinfo=UTC)
    assert [source.as_of for source in report.sources] == [as_of, RATES_AS_OF]
    assert {row.countries_as_of for row in await home.rows()} == {as_of}


async def test_nothing_new(home: Running) -> None:
    """A second refresh with the same data stamps every row and counts them all as unchanged."""
    await home.service.refresh()
    report = await home.service.refresh()
    assert (report.id, report.version) == ("refresh-2", Version(2, 250))
    assert (report.inserted, report.updated, report.unchanged) == (0, 0, 250)
    assert (report.started_at, report.finished_at, report.statements) == (at(2), at(3), 1)
    assert await home.row("AD") == replace(ANDORRA, revision=2, last_refreshed_at=at(2))
    assert {(row.revision, row.last_refreshed_at) for row in await home.rows()} == {(2, at(2))}


async def test_updated(upstream: Upstream, home: Running) -> None:
    """Rows whose figures or rate changed, appeared or went are counted as updated, no others."""
    await home.service.refresh()
    upstream.answer("countries", listing(line("AD", "77006", "77007") | line("XK", "EUR", "")))
    upstream.answer("rates", rating(AMD=400.5, ALL=None))
    report = await home.service.refresh()
    assert (report.inserted, report.updated, report.unchanged) == (0, 4, 246)
    assert report.skipped == DISSOLVED
    assert (await home.row("AD")).population == 77007
    assert (await home.row("XK")).currency_code is None
    assert (await home.row("AM")).exchange_rate == 400.5
    albania = await home.row("AL")
    assert (albania.currency_code, albania.exchange_rate) == ("ALL", None)
    assert (albania.estimated_gdp, albania.rates_provider) == (None, None)


async def test_missing(upstream: Upstream, home: Running) -> None:
    """A country that is no longer listed is named and stays as it was, its time included."""
    await home.service.refresh()
    before = [await home.row("AD"), await home.row("XK")]
    upstream.answer("countries", listing({"AD": None, "XK": None}))
    report = await home.service.refresh()
    assert report.missing == ("Andorra", "Kosovo")
    assert (report.inserted, report.updated, report.unchanged) == (0, 0, 248)
    assert (report.total_countries, report.version) == (250, Version(2, 250))
    assert [await home.row("AD"), await home.row("XK")] == before
    assert home.catalog.snapshot.by_code["XK"] == before[1]


async def test_skipped_record_of_a_stored_country(upstream: Upstream, home: Running) -> None:
    """A stored country whose record cannot be used is both skipped and missing, and stays."""
    await home.service.refresh()
    upstream.answer("countries", listing(line("AD", "77006", "many") | {"AN": None, "CS": None}))
    report = await home.service.refresh()
    reason = "its population is not a whole number from 0 to 2147483647"
    assert report.skipped == (SkippedRecord(record="Andorra", reason=reason),)
    assert report.missing == ("Andorra",)
    assert await home.row("AD") == ANDORRA


async def test_deleted_country_returns(home: Running) -> None:
    """A country that was deleted is inserted by the next refresh."""
    await home.service.refresh()
    await home.catalog.delete(home.catalog.snapshot.by_code["AD"])
    assert len(await home.rows()) == 249
    report = await home.service.refresh()
    assert (report.inserted, report.updated, report.unchanged) == (1, 0, 249)
    assert await home.row("AD") == replace(ANDORRA, revision=2, last_refreshed_at=at(2))


async def test_statements(home: Running) -> None:
    """All rows go in one statement, and nothing is asked that is not needed."""
    sent: list[tuple[str, int]] = []

    def count(*call: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own types, six of them
        _, _, statement, parameters, _, executemany = call
        sent.append((statement.split()[0], len(parameters) if executemany else 1))

    event.listen(home.database.engine.sync_engine, "before_cursor_execute", count)
    report = await home.service.refresh()
    await home.service.close()
    look, write = ("SELECT", 1), ("INSERT", 250)
    begin, commit = ("BEGIN", 1), ("COMMIT", 1)
    change = ("UPDATE", 1)
    history = [begin, ("INSERT", 1), ("DELETE", 1), commit]
    # The lease, what changed since, the rows; then what nobody waits for.
    assert sent == [change, look, look, begin, write, commit, *history, change]
    assert report.statements == sent.count(write)


async def test_both_kinds_at_once(upstream: Upstream, home: Running) -> None:
    """Neither source has to answer for the other to be asked."""
    after_rates = Answer(body=COUNTRIES, until=lambda: upstream.asked("rates") == 1)
    after_countries = Answer(body=RATES, until=lambda: upstream.asked("countries") == 1)
    upstream.answer("countries", after_rates)
    upstream.answer("rates", after_countries)
    report = await home.service.refresh()
    assert (report.inserted, report.sources) == (250, SOURCES)


async def test_published_is_what_a_reload_gives(upstream: Upstream, home: Running) -> None:
    """What is published without reading back equals what another process loads, to the bit."""
    await home.service.refresh()
    changes = (
        line("AD", "Andorra la Vella", "'; DROP TABLE \\ %s \" 🏙 {} :name ?")
        | line("AE", "82880", "-0")
        | line("AF", "647500", "0.1")
        | line("AG", "St. John's", "\u00c5 " + "x" * 190)
        | line("AI", "102", "1e308")
        | {"XK": None}
    )
    upstream.answer("countries", listing(changes))
    upstream.answer("rates", rating(EUR=0.1 + 0.2, AFN=5e-324, AED=1.7976931348623157e308))
    await home.service.refresh()
    published, loaded = home.catalog.snapshot, (await home.reloaded()).snapshot
    assert published.version == loaded.version == Version(2, 250)
    assert published.rows == loaded.rows
    assert published == loaded
    # Unlike ==, the text of a float tells 1 from 1.0, and 0.0 from -0.0.
    assert repr(published) == repr(loaded)
    assert published.by_code["AD"].exchange_rate == 0.30000000000000004
    assert published.by_code["AF"].estimated_gdp is None


async def test_picture(home: Running) -> None:
    """The picture of what is published is drawn before the answer."""
    await home.service.refresh()
    ((summary, drawing),) = home.catalog.pictures._drawn.items()
    assert summary == home.catalog.snapshot.summary()
    assert drawing.done()
    assert drawing.result()[:8] == b"\x89PNG\r\n\x1a\n"


class NoPictures(Pictures):
    """Stands for a machine that cannot draw."""

    async def of(self, snapshot: Snapshot) -> bytes:
        """Fail."""
        raise MemoryError(str(snapshot.version))


async def test_no_picture(home: Running, caplog: pytest.LogCaptureFixture) -> None:
    """A picture that cannot be drawn is logged, and fails nothing else."""
    home.catalog.pictures = NoPictures()
    report = await home.service.refresh()
    assert (report.inserted, report.timings.image_ms) == (250, None)
    assert len(await home.rows()) == 250
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.getMessage() == "The summary picture could not be drawn."


async def test_history(upstream: Upstream, home: Running) -> None:
    """Every report is in the history, newest first, and the database gives back the same."""
    first = await home.service.refresh()
    upstream.answer("countries", listing({"AD": None}))
    second = await home.service.refresh()
    assert home.catalog.history == (second, first)
    assert home.catalog.last_refresh is second
    assert await home.recorded() == (second, first)


async def test_log(upstream: Upstream, careful: Running, caplog: pytest.LogCaptureFixture) -> None:
    """A refresh leaves one line in the log: what changed, from whom, and why not from others."""
    caplog.set_level("INFO", "graphql_api.refresh")
    upstream.answer("rates", Answer(status=500))
    await careful.service.refresh()
    (record,) = caplog.records
    assert record.getMessage().partition("; fetch ")[0] == (
        "Refresh refresh-1: 250 countries (250 new, 0 changed, 0 unchanged), "
        "countries from geonames, "
        "rates from bundled after er-api: it answered with status 500"
    )
