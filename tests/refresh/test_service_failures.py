"""A refresh that fails: it says why, leaves the reason in the history, and changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from graphql_api.domain.report import RefreshFailure
from graphql_api.domain.snapshot import Version
from graphql_api.errors import (
    CountriesError,
    DatabaseUnavailable,
    SourceInvalid,
    SourceUnavailable,
)
from graphql_api.refresh.progress import Phase
from graphql_api.sources import countries
from graphql_api.sources.choosing import choose
from graphql_api.sources.provider import RawCountries
from graphql_api.storage import lease
from tests.refresh.running import (
    DOWN,
    Before,
    Running,
    Told,
    asking,
    at,
    first,
    locked,
    rating,
    running,
)
from tests.upstream.server import HTML, Answer, Upstream

NEVER = Answer(until=lambda: False)
NO_DATA = Answer(body=json.dumps({"success": False, "data": None}).encode())


async def refused(started: Running, error: type[CountriesError]) -> str:
    """Return the message of the refresh that fails; the database and the snapshot stay."""
    before = await Before.of(started)
    told = Told()
    with started.service.progress.heard_by(told), pytest.raises(error) as raised:
        await started.service.refresh()
    assert type(raised.value) is error
    assert await before.is_unchanged()
    fractions = [fraction for _, fraction in told.phases]
    assert fractions == sorted(fractions)
    last = told.progress[-1]
    assert (last.phase, last.code, last.message) == (Phase.FAILED, error.code, raised.value.public)
    return str(raised.value)


@pytest.mark.parametrize(
    ("source", "answer", "reason"),
    [
        ("countries", DOWN, "geonames: it answered with status 500"),
        ("countries", Answer(body=HTML), "geonames: the body is not a table of countries"),
        ("countries", NO_DATA, "geonames: the body is not a table of countries"),
        ("countries", first(0), "geonames: the body is not a table of countries"),
        ("rates", DOWN, "er-api: it answered with status 500"),
        ("rates", Answer(body=HTML), "er-api: the body is not JSON"),
        ("rates", NO_DATA, "er-api: it answered an error: unnamed"),
    ],
)
async def test_source_fails(
    upstream: Upstream, home: Running, source: str, answer: Answer, reason: str
) -> None:
    """A kind that nobody answers for fails the refresh, whatever is wrong with the answer."""
    await home.service.refresh()
    upstream.answer(source, answer)
    message = await refused(home, SourceUnavailable)
    assert message == f"No source of {source} could be used. {reason}."


async def test_history_of_a_failure(
    upstream: Upstream, home: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is in the history at once and in the database soon, and in the log."""
    report = await home.service.refresh()
    upstream.answer("rates", DOWN)
    message = await refused(home, SourceUnavailable)
    failure = RefreshFailure(id="refresh-2", at=at(3), code="SOURCE_UNAVAILABLE", message=message)
    assert home.catalog.history == (failure, report)
    assert (home.catalog.last_failure, home.catalog.last_refresh) == (failure, report)
    assert await home.recorded() == (failure, report)
    assert [record.getMessage() for record in caplog.records] == [
        f"Refresh refresh-2 failed: SOURCE_UNAVAILABLE: {message}"
    ]


async def test_first_refresh_fails(upstream: Upstream, home: Running) -> None:
    """Nothing is stored and nothing published when there was nothing before."""
    upstream.answer("countries", DOWN)
    await refused(home, SourceUnavailable)
    assert await home.rows() == []
    assert home.catalog.snapshot.version == Version(0, 0)


async def test_after_a_failure(upstream: Upstream, home: Running) -> None:
    """The next refresh begins anew, and succeeds when the source does."""
    upstream.answer("countries", DOWN)
    await refused(home, SourceUnavailable)
    upstream.answer("countries", first(250))
    report = await home.service.refresh()
    assert (report.id, report.version, report.inserted) == ("refresh-2", Version(2, 250), 250)


async def test_less_than_half(upstream: Upstream, home: Running) -> None:
    """A source that lists less than half of what is stored is refused."""
    await home.service.refresh()
    upstream.answer("countries", first(124))
    assert await refused(home, SourceInvalid) == (
        "geonames lists 124 usable countries, less than half of the 250 stored; "
        "nothing was changed."
    )
    assert home.catalog.last_failure == RefreshFailure(
        id="refresh-2",
        at=at(3),
        code="SOURCE_INVALID",
        message="geonames lists 124 usable countries, less than half of the 250 stored; "
        "nothing was changed.",
    )


async def test_half(upstream: Upstream, home: Running) -> None:
    """A source that lists exactly half is believed, and the other half is missing."""
    await home.service.refresh()
    upstream.answer("countries", first(125))
    report = await home.service.refresh()
    assert (report.unchanged, len(report.missing)) == (125, 125)
    assert report.version == Version(2, 250)


async def test_time_of_one_provider(path: Path, upstream: Upstream) -> None:
    """A provider that does not answer is given up after its time."""
    upstream.answer("countries", NEVER)
    async with running(path, asking(upstream, seconds_each=0.05)) as started:
        message = await refused(started, SourceUnavailable)
    # The other one may have been late as well, on a busy machine.
    assert message.startswith("No source of ")
    assert message.endswith(": no complete answer within 0.05 s.")


async def test_time_of_all_providers(path: Path, upstream: Upstream) -> None:
    """All fetching together is given up after its time, though each provider had more."""
    upstream.answer("countries", NEVER)
    async with running(path, asking(upstream, seconds_together=0.05)) as started:
        message = await refused(started, SourceUnavailable)
    assert message == "The sources did not answer within 0.05 s."


async def test_time_of_all_providers_and_what_failed_within(path: Path, upstream: Upstream) -> None:
    """Who had failed by then is named with the reason."""
    upstream.answer("countries", NEVER)
    sources = asking(upstream, seconds_together=0.2)
    unset = choose("", [("restcountries", None)], countries.PROVIDERS, {})
    keyless = replace(sources, countries=[*unset, *sources.countries])
    async with running(path, keyless) as started:
        message = await refused(started, SourceUnavailable)
    assert message == (
        "The sources did not answer within 0.2 s; restcountries: RESTCOUNTRIES_API_KEY is not set."
    )


PROVIDER = {"countries": "geonames", "rates": "er-api"}


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ([], ["countries"], "countries"),
        ([], ["rates"], "rates"),
        (["countries"], ["countries", "rates"], "rates"),
        (["rates"], ["countries", "rates"], "countries"),
    ],
)
async def test_bundled_never_replaces_live(
    upstream: Upstream, careful: Running, before: list[str], after: list[str], kind: str
) -> None:
    """A kind that is stored live is not replaced when its source is down; the other may be."""
    for source in before:
        upstream.answer(source, DOWN)
    await careful.service.refresh()
    for source in after:
        upstream.answer(source, DOWN)
    assert await refused(careful, SourceUnavailable) == (
        f"No live source of {kind} could be used, and bundled data never replaces live data. "
        f"{PROVIDER[kind]}: it answered with status 500."
    )


async def test_bundled_beside_live(upstream: Upstream, careful: Running) -> None:
    """Where one kind was never stored live, bundled data of it go on being used."""
    upstream.answer("countries", DOWN)
    reports = [await careful.service.refresh() for _ in range(2)]
    assert [
        [(source.provider, source.live) for source in report.sources] for report in reports
    ] == [[("bundled", False), ("er-api", True)]] * 2
    assert [report.unchanged for report in reports] == [0, 250]


async def test_bundled_data(upstream: Upstream, careful: Running) -> None:
    """The bundled data fill an empty catalog, and themselves again, without asking anybody."""
    one, two = [await careful.service.load_bundled() for _ in range(2)]
    assert (one.inserted, one.version) == (250, Version(1, 250))
    assert (two.unchanged, two.version) == (250, Version(2, 250))
    assert [source.live for source in two.sources] == [False, False]
    assert upstream.requests == ()


async def test_live_replaces_bundled(careful: Running) -> None:
    """Live data replace bundled data, of both kinds."""
    await careful.service.load_bundled()
    report = await careful.service.refresh()
    assert [source.provider for source in report.sources] == ["geonames", "er-api"]
    assert {(row.countries_provider, row.rates_provider) for row in await careful.rows()} == {
        ("geonames", "er-api"),
        ("geonames", None),
    }


async def test_loading_bundled_over_live(home: Running) -> None:
    """Asked for by themselves, too, the bundled data do not replace live data."""
    await home.service.refresh()
    before = await Before.of(home)
    with pytest.raises(SourceUnavailable) as raised:
        await home.service.load_bundled()
    assert str(raised.value) == (
        "No live source of countries could be used, and bundled data never replaces live data. "
        "no live source is configured."
    )
    assert await before.is_unchanged()


PUBLIC = "The database did not confirm what it was asked; all of it was done, or nothing."
"""What strangers are told: nothing of where the database is."""


async def test_database_is_locked(
    path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """A writer that does not let go fails the refresh; the next one works when it is gone."""
    async with running(path, asking(upstream), seconds_busy=0.05) as started:
        report = await started.service.refresh()
        await started.service.close()
        upstream.answer("rates", rating(AMD=1.0))
        with locked(path):
            message = await refused(started, DatabaseUnavailable)
            assert await started.recorded() == (report,)
        assert message == f"The database at {started.database} failed: database is locked."
        assert started.catalog.last_failure == RefreshFailure(
            id="refresh-2", at=at(3), code="DATABASE_UNAVAILABLE", message=PUBLIC
        )
        assert [record.getMessage() for record in caplog.records] == [
            f"Refresh refresh-2 failed: DATABASE_UNAVAILABLE: {message}",
            f"The refresh refresh-2 may be missing from the history: {message}",
        ]
        assert (await started.service.refresh()).updated == 1


async def test_database_fails_before_the_upsert(home: Running) -> None:
    """A database that cannot be read fails the refresh, which is in the history all the same."""
    report = await home.service.refresh()
    published = home.catalog.snapshot
    await home.meddle("ALTER TABLE countries RENAME TO hidden")
    with pytest.raises(DatabaseUnavailable) as raised:
        await home.service.refresh()
    assert str(raised.value) == (
        f"The database at {home.database} failed: no such table: countries."
    )
    await home.meddle("ALTER TABLE hidden RENAME TO countries")
    assert home.catalog.snapshot is published
    assert (await home.reloaded()).snapshot == published
    failure = RefreshFailure(id="refresh-2", at=at(3), code="DATABASE_UNAVAILABLE", message=PUBLIC)
    assert await home.recorded() == (failure, report)


async def test_database_fails_amid_the_upsert(
    upstream: Upstream, home: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """When the database refuses one row of many, none of the others is kept; the history tells."""
    await home.service.refresh()
    await home.meddle(
        "CREATE TRIGGER refuse BEFORE INSERT ON countries WHEN NEW.code = 'ZW' "
        "BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    )
    upstream.answer("rates", rating(EUR=2.0))
    message = await refused(home, DatabaseUnavailable)
    assert message == f"The database at {home.database} failed: not this one."
    assert [attempt.id for attempt in await home.recorded()] == ["refresh-2", "refresh-1"]
    assert await home.database.run(lease.look) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"Refresh refresh-2 failed: DATABASE_UNAVAILABLE: {message}"
    ]
    await home.meddle("DROP TRIGGER refuse")
    assert (await home.service.refresh()).version == Version(3, 250)


async def test_defect(path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """A defect in a parser ends the refresh too: logged with its trace, nothing changed."""

    def parse(body: bytes) -> RawCountries:
        raise KeyError(len(body))

    sources = asking(upstream)
    broken = replace(sources, countries=[replace(sources.countries[0], parse=parse)])
    async with running(path, broken) as started:
        told = Told()
        with started.service.progress.heard_by(told), pytest.raises(KeyError):
            await started.service.refresh()
        assert await started.rows() == []
        assert started.catalog.snapshot.version == Version(0, 0)
    assert (told.progress[-1].phase, told.progress[-1].message) == (Phase.FAILED, "It broke off.")
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info is None) == ("Refresh refresh-1 broke off.", False)


async def test_time_of_the_database(path: Path, upstream: Upstream) -> None:
    """A database that takes longer than fetching may is not told of as a source."""
    async with running(path, asking(upstream, seconds_together=0.2), seconds_busy=1) as started:
        with locked(path):
            message = await refused(started, DatabaseUnavailable)
    assert message == f"The database at sqlite:///{path} failed: database is locked."
