"""Failed refreshes: the error, the history, the log, and no change of the data."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase

import pytest

from graphql_api.domain.report import RefreshFailure
from graphql_api.domain.snapshot import DataVersion
from graphql_api.errors import CountriesError, DatabaseUnavailable, SourceInvalid, SourceUnavailable
from graphql_api.refresh.progress import Phase
from graphql_api.sources.provider import RawCountries
from graphql_api.sources.registry import COUNTRIES_PROVIDERS, select_providers
from graphql_api.storage import lease
from tests.support.fake_providers.server import COUNTRIES, HTML, RATES, FakeResponse, Upstream
from tests.support.refresh_service import (
    SERVER_ERROR,
    InitialState,
    ProgressRecorder,
    ServiceInstance,
    clock_time,
    first_countries,
    hold_write_lock,
    make_source_config,
    rates_response,
    running_instance,
)
from tests.support.wait import wait_until_async

HANGING_RESPONSE = FakeResponse(hold_until=lambda: False)
PROVIDER_BY_KIND = {"countries": "geonames", "rates": "er-api"}
NO_DATA_RESPONSE = FakeResponse(body=json.dumps({"success": False, "data": None}).encode())


async def run_failing_refresh(instance: ServiceInstance, error: type[CountriesError]) -> str:
    """Expect a refresh to fail without any change; return the error's message."""
    initial = await InitialState.capture(instance)
    recorder = ProgressRecorder()
    with instance.service.progress.listen(recorder), pytest.raises(error) as exc_info:
        await instance.service.refresh()
    assert type(exc_info.value) is error
    assert await initial.is_unchanged()
    fractions = [fraction for _, fraction in recorder.phases]
    assert fractions == sorted(fractions)
    last = recorder.events[-1]
    assert (last.phase, last.code, last.message) == (Phase.FAILED, error.code, exc_info.value.public_message)
    return str(exc_info.value)


@pytest.mark.parametrize(
    ("source", "response", "reason"),
    [
        ("countries", SERVER_ERROR, "geonames: responded with status 500"),
        ("countries", FakeResponse(body=HTML), "geonames: the body is not a table of countries"),
        ("countries", NO_DATA_RESPONSE, "geonames: the body is not a table of countries"),
        ("countries", first_countries(0), "geonames: the body is not a table of countries"),
        ("rates", SERVER_ERROR, "er-api: responded with status 500"),
        ("rates", FakeResponse(body=HTML), "er-api: the body is not JSON"),
        ("rates", NO_DATA_RESPONSE, "er-api: responded with an error: no message"),
    ],
)
async def test_source_fails(
    upstream: Upstream, instance: ServiceInstance, source: str, response: FakeResponse, reason: str
) -> None:
    """A source without a usable provider fails the refresh, with the provider's reason."""
    await instance.service.refresh()
    upstream.set_responses(source, response)
    message = await run_failing_refresh(instance, SourceUnavailable)
    assert message == f"No source of {source} could be used. {reason}."


async def test_history_of_a_failure(
    upstream: Upstream, instance: ServiceInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is in the history, in the database and in the log."""
    report = await instance.service.refresh()
    upstream.set_responses("rates", SERVER_ERROR)
    message = await run_failing_refresh(instance, SourceUnavailable)
    failure = RefreshFailure(id="refresh-2", at=clock_time(3), code="SOURCE_UNAVAILABLE", message=message)
    assert instance.catalog.history == (failure, report)
    assert (instance.catalog.last_failure, instance.catalog.last_refresh) == (failure, report)
    assert await instance.load_history() == (failure, report)
    assert [record.getMessage() for record in caplog.records] == [
        f"Refresh refresh-2 failed: SOURCE_UNAVAILABLE: {message}"
    ]


async def test_first_refresh_fails(upstream: Upstream, instance: ServiceInstance) -> None:
    """A failure on an empty database stores and publishes nothing."""
    upstream.set_responses("countries", SERVER_ERROR)
    await run_failing_refresh(instance, SourceUnavailable)
    assert await instance.load_rows() == []
    assert instance.catalog.snapshot.version == DataVersion(0, 0)


async def test_after_a_failure(upstream: Upstream, instance: ServiceInstance) -> None:
    """The refresh after a failure succeeds when the source does."""
    upstream.set_responses("countries", SERVER_ERROR)
    await run_failing_refresh(instance, SourceUnavailable)
    upstream.set_responses("countries", first_countries(250))
    report = await instance.service.refresh()
    assert (report.id, report.version, report.inserted) == ("refresh-2", DataVersion(2, 250), 250)


UNUSED_CURRENCIES = {"ANG", "BGN"}
"""Currencies with a rate that no stored country has. 153 others are stored."""


def few_rates(count: int) -> FakeResponse:
    """Return the rates of `count` stored currencies, and of 200 that do not exist."""
    table = json.loads(RATES)
    stored_codes = [code for code in table["rates"] if code not in UNUSED_CURRENCIES]
    invented_codes = [f"Q{first}{second}" for first in ascii_uppercase[:20] for second in ascii_uppercase[:10]]
    rates = dict.fromkeys([*stored_codes[:count], *invented_codes], 1)
    return FakeResponse(body=json.dumps({**table, "rates": rates}).encode())


DOLLAR_ONLY = FakeResponse(body=json.dumps({**json.loads(RATES), "rates": {"USD": 1}}).encode())
SHORT_LISTS = [
    ("countries", first_countries(124), "lists 124 usable countries, less than half of the 250 stored"),
    ("rates", few_rates(76), "lists 76 usable currencies, less than half of the 153 stored"),
]
"""A source, a response that lists less than half of what is stored, and the reason to reject it."""


@pytest.mark.parametrize(
    ("short_list", "error"),
    [
        *((short_list, SourceInvalid) for short_list in SHORT_LISTS),
        (("rates", DOLLAR_ONLY, "has no usable rate but that of the US dollar"), SourceUnavailable),
    ],
)
async def test_less_than_half(
    upstream: Upstream,
    instance: ServiceInstance,
    short_list: tuple[str, FakeResponse, str],
    error: type[CountriesError],
) -> None:
    """A provider that lists less than half of the stored countries or currencies is rejected."""
    source, response, reason = short_list
    await instance.service.refresh()
    upstream.set_responses(source, response)
    message = f"No source of {source} could be used. {PROVIDER_BY_KIND[source]}: {reason}."
    assert await run_failing_refresh(instance, error) == message
    assert instance.catalog.last_failure == RefreshFailure(
        id="refresh-2", at=clock_time(3), code=error.code, message=message
    )


@pytest.mark.parametrize(("source", "response", "reason"), SHORT_LISTS)
async def test_less_than_half_before_bundled(
    upstream: Upstream, fallback_instance: ServiceInstance, source: str, response: FakeResponse, reason: str
) -> None:
    """A short list has the same error code if the only provider after it is the bundled data."""
    await fallback_instance.service.refresh()
    upstream.set_responses(source, response)
    assert await run_failing_refresh(fallback_instance, SourceInvalid) == (
        f"No live source of {source} could be used, and bundled data never replaces live data. "
        f"{PROVIDER_BY_KIND[source]}: {reason}."
    )


@pytest.mark.parametrize(("source", "response", "reason"), SHORT_LISTS)
async def test_next_provider_after_a_short_list(
    path: Path, upstream: Upstream, source: str, response: FakeResponse, reason: str
) -> None:
    """After a provider that lists less than half of what is stored, the next one is used."""
    name = PROVIDER_BY_KIND[source]
    upstream.set_responses("next", FakeResponse(body={"countries": COUNTRIES, "rates": RATES}[source]))
    sources = make_source_config(upstream)
    next_url = f"{upstream.url}/next"
    sources = replace(
        sources,
        countries=[*sources.countries, replace(sources.countries[0], url=next_url)],
        rates=[*sources.rates, replace(sources.rates[0], url=next_url)],
    )
    async with running_instance(path, sources) as instance:
        await instance.service.refresh()
        upstream.set_responses(source, response)
        report = await instance.service.refresh()
    assert [source_report.failures for source_report in report.sources if source_report.kind == source] == [
        (f"{name}: {reason}",)
    ]
    assert (report.unchanged, report.missing) == (250, ())


async def test_short_list_of_the_first_refresh(upstream: Upstream, instance: ServiceInstance) -> None:
    """While nothing is stored, lists of any length are accepted."""
    upstream.set_responses("countries", first_countries(1))
    upstream.set_responses("rates", few_rates(2))
    assert (await instance.service.refresh()).inserted == 1


async def test_stored_data_that_grew_meanwhile(path: Path, upstream: Upstream) -> None:
    """A list is rejected even if this process learns only after validating it how many countries are stored."""
    sources = make_source_config(upstream)
    async with running_instance(path, sources, name="other") as other, running_instance(path, sources) as instance:
        await other.service.refresh()
        await other.service.close()
        upstream.set_responses("countries", first_countries(124))
        recorder = ProgressRecorder()
        with instance.service.progress.listen(recorder), hold_write_lock(path):
            task = asyncio.create_task(instance.service.refresh())
            await wait_until_async(lambda: recorder.phases[-1:] == [(Phase.FETCHING, 0.65)])
        with pytest.raises(SourceInvalid) as exc_info:
            await task
        assert str(exc_info.value) == (
            "geonames lists 124 usable countries, less than half of the 250 stored; nothing was changed."
        )
        assert (await other.reload_catalog()).snapshot == other.catalog.snapshot


async def test_half(upstream: Upstream, instance: ServiceInstance) -> None:
    """A source that lists exactly half is accepted, and the other half is missing."""
    await instance.service.refresh()
    upstream.set_responses("countries", first_countries(125))
    upstream.set_responses("rates", few_rates(77))
    report = await instance.service.refresh()
    assert (report.inserted, len(report.missing)) == (0, 125)
    assert report.version == DataVersion(2, 250)


async def test_api_timeout(path: Path, upstream: Upstream) -> None:
    """A provider that does not respond within API_TIMEOUT fails."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    async with running_instance(path, make_source_config(upstream, api_timeout=0.05)) as instance:
        message = await run_failing_refresh(instance, SourceUnavailable)
    # On a busy machine the other provider may be late, too.
    assert message.startswith("No source of ")
    assert message.endswith(": no complete response within 0.05 s.")


async def test_refresh_timeout(path: Path, upstream: Upstream) -> None:
    """Fetching fails after REFRESH_TIMEOUT, although each provider has more time."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    async with running_instance(path, make_source_config(upstream, refresh_timeout=0.05)) as instance:
        message = await run_failing_refresh(instance, SourceUnavailable)
    assert message == "The sources did not respond within 0.05 s."


async def test_refresh_timeout_names_failed_providers(path: Path, upstream: Upstream) -> None:
    """The error of a timeout names the providers that had failed before, with their reasons."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    sources = make_source_config(upstream, refresh_timeout=1)
    without_key = select_providers("", [("restcountries", None)], COUNTRIES_PROVIDERS, {})
    with_missing_key = replace(sources, countries=[*without_key, *sources.countries])
    async with running_instance(path, with_missing_key) as instance:
        message = await run_failing_refresh(instance, SourceUnavailable)
    assert message == ("The sources did not respond within 1 s.")


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
    upstream: Upstream, fallback_instance: ServiceInstance, before: list[str], after: list[str], kind: str
) -> None:
    """Bundled data does not replace a source that is stored live; it may replace the other."""
    for source in before:
        upstream.set_responses(source, SERVER_ERROR)
    await fallback_instance.service.refresh()
    for source in after:
        upstream.set_responses(source, SERVER_ERROR)
    assert await run_failing_refresh(fallback_instance, SourceUnavailable) == (
        f"No live source of {kind} could be used, and bundled data never replaces live data. "
        f"{PROVIDER_BY_KIND[kind]}: responded with status 500."
    )


async def test_bundled_beside_live(upstream: Upstream, fallback_instance: ServiceInstance) -> None:
    """Bundled data stays in use for a source that was never stored live."""
    upstream.set_responses("countries", SERVER_ERROR)
    reports = [await fallback_instance.service.refresh() for _ in range(2)]
    assert [[(source.provider, source.live) for source in report.sources] for report in reports] == [
        [("bundled", False), ("er-api", True), ("world-bank", True)]
    ] * 2
    assert [report.unchanged for report in reports] == [0, 250]


async def test_bundled_data(upstream: Upstream, fallback_instance: ServiceInstance) -> None:
    """Bundled data fills an empty catalog, and replaces itself, without any request."""
    first_report, second_report = [await fallback_instance.service.load_bundled() for _ in range(2)]
    assert (first_report.inserted, first_report.version) == (250, DataVersion(1, 250))
    assert (second_report.unchanged, second_report.version) == (250, DataVersion(2, 250))
    assert [source.live for source in second_report.sources] == [False] * 3
    assert upstream.requests == ()


async def test_live_replaces_bundled(fallback_instance: ServiceInstance) -> None:
    """Live data of each source replaces bundled data."""
    await fallback_instance.service.load_bundled()
    report = await fallback_instance.service.refresh()
    assert [source.provider for source in report.sources] == ["geonames", "er-api", "world-bank"]
    assert {(row.countries_provider, row.rates_provider) for row in await fallback_instance.load_rows()} == {
        ("geonames", "er-api"),
        ("geonames", None),
    }


async def test_loading_bundled_over_live(instance: ServiceInstance) -> None:
    """Loading the bundled data on purpose does not replace live data either."""
    await instance.service.refresh()
    initial = await InitialState.capture(instance)
    with pytest.raises(SourceUnavailable) as exc_info:
        await instance.service.load_bundled()
    assert str(exc_info.value) == (
        "No live source of countries could be used, and bundled data never replaces live data. "
        "no live source is configured."
    )
    assert await initial.is_unchanged()


PUBLIC_MESSAGE = "The database did not execute the operation; nothing was changed."
"""Message for clients, without the address of the database."""


async def test_database_is_locked(path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """A locked database fails the refresh; the next one succeeds when the lock is gone."""
    async with running_instance(path, make_source_config(upstream), database_timeout=0.05) as instance:
        report = await instance.service.refresh()
        await instance.service.close()
        upstream.set_responses("rates", rates_response(AMD=1.0))
        with hold_write_lock(path):
            message = await run_failing_refresh(instance, DatabaseUnavailable)
            assert await instance.load_history() == (report,)
        assert message == f"The database at {instance.database} failed: database is locked."
        failure = RefreshFailure(id="refresh-2", at=clock_time(3), code="DATABASE_UNAVAILABLE", message=PUBLIC_MESSAGE)
        assert instance.catalog.history == (failure, report)
        await instance.catalog.sync()
        assert [attempt.id for attempt in instance.catalog.history] == ["refresh-1"]
        assert [record.getMessage() for record in caplog.records] == [
            f"Refresh refresh-2 failed: DATABASE_UNAVAILABLE: {message}",
            f"The refresh refresh-2 may be missing from the history: {message}",
        ]
        assert (await instance.service.refresh()).updated == 1


async def test_database_fails_before_the_upsert(instance: ServiceInstance) -> None:
    """A database that cannot be read fails the refresh, and the history has the failure."""
    report = await instance.service.refresh()
    published = instance.catalog.snapshot
    await instance.execute_externally("ALTER TABLE countries RENAME TO hidden")
    with pytest.raises(DatabaseUnavailable) as exc_info:
        await instance.service.refresh()
    assert str(exc_info.value) == (f"The database at {instance.database} failed: no such table: countries.")
    await instance.execute_externally("ALTER TABLE hidden RENAME TO countries")
    assert instance.catalog.snapshot is published
    assert (await instance.reload_catalog()).snapshot == published
    failure = RefreshFailure(id="refresh-2", at=clock_time(3), code="DATABASE_UNAVAILABLE", message=PUBLIC_MESSAGE)
    assert await instance.load_history() == (failure, report)


async def test_database_fails_during_the_upsert(
    upstream: Upstream, instance: ServiceInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """When the database rejects one row, no row is stored, and the history has the failure."""
    await instance.service.refresh()
    await instance.execute_externally(
        "CREATE TRIGGER refuse BEFORE INSERT ON countries WHEN NEW.code = 'ZW' "
        "BEGIN SELECT RAISE(ABORT, 'rejected by a trigger'); END"
    )
    upstream.set_responses("rates", rates_response(EUR=2.0))
    message = await run_failing_refresh(instance, DatabaseUnavailable)
    assert message == f"The database at {instance.database} failed: rejected by a trigger."
    assert [attempt.id for attempt in await instance.load_history()] == ["refresh-2", "refresh-1"]
    assert await instance.database.run(lease.read) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"Refresh refresh-2 failed: DATABASE_UNAVAILABLE: {message}"
    ]
    await instance.execute_externally("DROP TRIGGER refuse")
    assert (await instance.service.refresh()).version == DataVersion(3, 250)


async def test_internal_error(path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """An internal error fails the refresh, is logged with its traceback, and changes nothing."""

    def parse(body: bytes) -> RawCountries:
        raise KeyError(len(body))

    sources = make_source_config(upstream)
    broken = replace(sources, countries=[replace(sources.countries[0], parse=parse)])
    async with running_instance(path, broken) as instance:
        recorder = ProgressRecorder()
        with instance.service.progress.listen(recorder), pytest.raises(KeyError):
            await instance.service.refresh()
        assert await instance.load_rows() == []
        assert instance.catalog.snapshot.version == DataVersion(0, 0)
    assert (recorder.events[-1].phase, recorder.events[-1].message) == (Phase.FAILED, "The refresh was aborted.")
    (record,) = caplog.records
    assert record.getMessage() == "Refresh refresh-1 was aborted by an internal error."
    assert record.exc_info is not None


async def test_slow_database(path: Path, upstream: Upstream) -> None:
    """A slow database fails with its own error, not with the timeout of the sources."""
    async with running_instance(path, make_source_config(upstream, refresh_timeout=1), database_timeout=2) as instance:
        with hold_write_lock(path):
            message = await run_failing_refresh(instance, DatabaseUnavailable)
    assert message == f"The database at sqlite:///{path} failed: database is locked."
