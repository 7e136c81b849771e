"""Queries and mutations: exact responses, rejections, and what they leave unchanged."""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from graphql_api.domain.report import Trigger
from tests.support.attempts import FAILURE, make_failure, make_report
from tests.support.database import record_statements
from tests.support.factories import LOOKALIKES, REFRESHED_AT, make_country, make_sparse_country
from tests.support.fake_providers.server import RATES, FakeResponse, Upstream
from tests.support.refresh_service import (
    SERVER_ERROR,
    START,
    InitialState,
    ServiceInstance,
    clock_time,
    countries_response,
    first_countries,
)
from tests.support.schema_client import PUBLIC_URL, SchemaClient, client_for, offline_client

COUNTRIES = [make_country(code) for code in ("AX", "CI", "FR")]
ONE_OF_BOTH = "Give either code or name: exactly one of them."
NO_CURSOR = "is not a cursor of this list in this order; use one that the same query with the same sort returned."
TOO_FEW = (
    "No source of countries could be used. geonames: lists 124 usable countries, less than half of the 250 stored."
)
UNAUTHENTICATED = (
    "UNAUTHENTICATED",
    "This needs the administrator's token: send it as `Authorization: Bearer <ADMIN_TOKEN>`.",
)
REPORT_FIELDS = """
  id trigger startedAt finishedAt totalCountries inserted updated unchanged missing
  skipped { record reason } skippedCount statements
  timings { fetchCountriesMs fetchRatesMs fetchStatisticsMs fetchMs transformMs upsertMs imageMs totalMs }
  sources { kind provider live cached stored asOf failures dropped attribution } imageUrl
"""
STATUS_QUERY = f"""
  {{ status {{
    totalCountries lastRefreshedAt version stale refreshing imageUrl
    lastRefresh {{ {REPORT_FIELDS} }} lastFailure {{ at code message }}
  }} }}
"""
REPORT_DATA = {
    "id": "report",
    "trigger": "REQUEST",
    "startedAt": "2026-11-24T03:11:05.123456Z",
    "finishedAt": "2026-11-24T03:11:05.654321Z",
    "totalCountries": 250,
    "inserted": 1,
    "updated": 2,
    "unchanged": 247,
    "missing": ["Côte d’Ivoire", 'A "quoted" \\ name'],
    "skipped": [{"record": "AN", "reason": "its code is not one in use"}],
    "skippedCount": 3,
    "statements": 1,
    "timings": {
        "fetchCountriesMs": 0.1,
        "fetchRatesMs": 1 / 3,
        "fetchStatisticsMs": 0.0,
        "fetchMs": 2.5,
        "transformMs": 5e-324,
        "upsertMs": 20.0,
        "imageMs": None,
        "totalMs": 1e300,
    },
    "sources": [
        {
            "kind": "COUNTRIES",
            "provider": "geonames",
            "live": True,
            "cached": False,
            "stored": False,
            "asOf": None,
            "failures": ["restcountries: it answered 503"],
            "dropped": 0,
            "attribution": "GeoNames (CC BY 4.0)",
        },
        {
            "kind": "RATES",
            "provider": "bundled",
            "live": False,
            "cached": False,
            "stored": False,
            "asOf": "2026-09-29T00:00:00Z",
            "failures": [],
            "dropped": 0,
            "attribution": None,
        },
    ],
    "imageUrl": f"{PUBLIC_URL}/images/summary-7-250.png",
}
"""The report of tests/support/attempts.py in GraphQL. Its image is gone: newer data is served."""


@pytest.fixture
async def client(instance: ServiceInstance) -> SchemaClient:
    """Return a client of a service instance after a refresh of 250 countries."""
    await instance.service.refresh()
    return client_for(instance)


def unauthorized_client(home: ServiceInstance) -> SchemaClient:
    """Return a client without authorization."""
    return client_for(home, authorized=False)


async def test_country() -> None:
    """`country` finds a country by code or by name, and returns null if there is none."""
    data = await offline_client(COUNTRIES).query(
        '{ a: country(code: "fr") { name } b: country(name: "land ci") { code } c: country(code: "ZZ") { code } }'
    )
    assert data == {"a": {"name": "Land FR"}, "b": {"code": "CI"}, "c": None}


@pytest.mark.parametrize("arguments", ["", '(code: "FR", name: "France")', "(code: null, name: null)"])
@pytest.mark.parametrize("operation", ["query { country", "mutation { deleteCountry"])
async def test_neither_or_both(operation: str, arguments: str) -> None:
    """Code and name together, or neither, are rejected."""
    error = await offline_client(COUNTRIES).query_error(f"{operation}{arguments} {{ id }} }}")
    assert error == ("BAD_USER_INPUT", ONE_OF_BOTH)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("first: -1", "first must be 0 or more, not -1."),
        ("last: -1", "last must be 0 or more, not -1."),
        ("offset: -1", "offset must be 0 or more, not -1."),
        ("first: 1, last: 1", "Give first or last, not both."),
        ('offset: 1, after: "x"', "Give offset or after, not both; offset goes with first."),
        ('offset: 1, before: "x"', "Give offset or before, not both; offset goes with first."),
        ("offset: 1, last: 1", "Give offset or last, not both; offset goes with first."),
        ('after: "x"', f"after {NO_CURSOR}"),
        ('before: "🇹🇷"', f"before {NO_CURSOR}"),
    ],
)
async def test_rejected_pages(arguments: str, message: str) -> None:
    """Invalid arguments of a page are rejected, and the message says what is valid."""
    document = f"{{ countries({arguments}) {{ totalCount }} }}"
    assert await offline_client(COUNTRIES).query_error(document) == ("BAD_USER_INPUT", message)


async def test_cursor_of_another_sort() -> None:
    """A cursor of another order is rejected."""
    client = offline_client(COUNTRIES)
    data = await client.query("{ countries { pageInfo { startCursor } } }")
    cursor = data["countries"]["pageInfo"]["startCursor"]
    document = f'{{ countries(after: "{cursor}", sort: {{field: CODE}}) {{ totalCount }} }}'
    assert await client.query_error(document) == ("BAD_USER_INPUT", f"after {NO_CURSOR}")


async def test_error_of_one_field() -> None:
    """An error of a nullable field leaves the other fields their data."""
    response = await offline_client(COUNTRIES).request('{ a: country { id } b: country(code: "FR") { id } }')
    assert response.executed
    assert response.body == {
        "data": {"a": None, "b": {"id": "Q291bnRyeTpGUg=="}},
        "errors": [
            {
                "message": ONE_OF_BOTH,
                "locations": [{"line": 1, "column": 3}],
                "path": ["a"],
                "extensions": {"code": "BAD_USER_INPUT"},
            }
        ],
    }


async def test_status_of_nothing() -> None:
    """Before the first refresh, `status` reports no data."""
    assert await offline_client().query(STATUS_QUERY) == {
        "status": {
            "totalCountries": 0,
            "lastRefreshedAt": None,
            "version": "0-0",
            "stale": True,
            "refreshing": False,
            "imageUrl": None,
            "lastRefresh": None,
            "lastFailure": None,
        }
    }


async def test_status() -> None:
    """`status` reports the served data, its age, and the last refreshes."""
    client = offline_client([*COUNTRIES, make_country("TR", revision=7)])
    client.catalog.history = (make_failure("2"), make_report("report"), make_failure("0", code="X"))
    assert await client.query(STATUS_QUERY) == {
        "status": {
            "totalCountries": 4,
            "lastRefreshedAt": "2026-11-23T16:26:00.123456Z",
            "version": "7-4",
            "stale": False,
            "refreshing": False,
            "imageUrl": f"{PUBLIC_URL}/{await client.refreshes.summary_images.get_path(client.catalog.snapshot)}",
            "lastRefresh": REPORT_DATA,
            "lastFailure": {
                "at": "2026-11-24T03:11:05.123456Z",
                "code": "SOURCE_UNAVAILABLE",
                "message": FAILURE.message,
            },
        }
    }


async def test_sources_of_what_is_served() -> None:
    """`status` reports the provider of each kind of data, with its number of countries."""
    rows = [*COUNTRIES, make_country("AQ", countries_provider="bundled", rates_provider=None)]
    data = await offline_client(rows).query(
        "{ status { sources { kind countries provenance { provider live asOf } } } }"
    )
    as_of = "2026-11-22T00:00:00Z"
    assert data["status"]["sources"] == [
        {"kind": kind, "countries": countries, "provenance": provenance}
        for kind, countries, provenance in (
            ("COUNTRIES", 3, {"provider": "geonames", "live": True, "asOf": as_of}),
            ("COUNTRIES", 1, {"provider": "bundled", "live": False, "asOf": as_of}),
            ("RATES", 3, {"provider": "er-api", "live": True, "asOf": as_of}),
            ("STATISTICS", 4, {"provider": "world-bank", "live": True, "asOf": as_of}),
        )
    ]


async def test_years_of_what_is_served() -> None:
    """`status` reports the year of most populations and GDPs of each source of statistics, and of no other."""
    rows = [
        make_country("DE", gdp_year=2011),
        make_country("FR"),
        make_country("US"),
        make_country("TW", statistics_provider="bundled", population_year=None, gdp=None, gdp_year=None),
        make_sparse_country("AQ"),
    ]
    data = await offline_client(rows).query(
        "{ status { sources { kind countries populationYear gdpYear provenance { provider } } } }"
    )
    assert [
        (
            source["kind"],
            source["provenance"]["provider"],
            source["countries"],
            source["populationYear"],
            source["gdpYear"],
        )
        for source in data["status"]["sources"]
    ] == [
        ("COUNTRIES", "geonames", 5, None, None),
        ("RATES", "er-api", 5, None, None),
        ("STATISTICS", "world-bank", 3, 2024, 2023),
        ("STATISTICS", "bundled", 1, None, None),
    ]


async def test_population_of_earlier_version() -> None:
    """A population that a replica without statistics wrote over the known one does not get its year."""
    rows = [make_country("DE", population=999), make_country("FR")]
    data = await offline_client(rows).query("{ countries { nodes { code population populationYear gdpYear } } }")
    assert data["countries"]["nodes"] == [
        {"code": "DE", "population": 999, "populationYear": None, "gdpYear": 2023},
        {"code": "FR", "population": 1000, "populationYear": 2024, "gdpYear": 2023},
    ]


async def test_force(instance: ServiceInstance, upstream: Upstream) -> None:
    """Rates without an update are requested with `force` only; otherwise they are cached."""
    rates = json.loads(RATES)
    rates["time_next_update_unix"] = int((START + timedelta(days=1)).timestamp())
    upstream.set_responses("rates", FakeResponse(body=json.dumps(rates).encode()))
    client, live, cached = client_for(instance), [], []
    for arguments in ("", "", "(force: false)", "(force: true)"):
        data = await client.query(f"mutation {{ refreshCountries{arguments} {{ sources {{ live cached }} }} }}")
        rates_report = data["refreshCountries"]["sources"][1]
        live.append(rates_report["live"])
        cached.append(rates_report["cached"])
    assert (live, cached) == ([True, False, False, True], [False, True, True, False])
    assert upstream.request_count("rates") == 2


@pytest.mark.parametrize(
    ("age", "stale"),
    [(timedelta(days=1), False), (timedelta(days=1, microseconds=1), True), (timedelta(days=-1), False)],
)
async def test_stale(age: timedelta, stale: bool) -> None:
    """Data is stale once it is older than STALE_AFTER, not before."""
    client = replace(offline_client(COUNTRIES), clock=lambda: REFRESHED_AT + age)
    assert await client.query("{ status { stale } }") == {"status": {"stale": stale}}


@pytest.mark.parametrize("provider", ["countries_provider", "rates_provider"])
async def test_bundled_is_stale(provider: str) -> None:
    """Bundled data of either kind is stale at any age."""
    client = offline_client([make_country("FR", **{provider: "bundled"})])
    assert await client.query("{ status { stale } }") == {"status": {"stale": True}}


async def test_refreshes() -> None:
    """`refreshes` returns the successful refreshes, newest first, at most `first`."""
    client = offline_client(COUNTRIES)
    reports = [make_report(str(number)) for number in range(12, 0, -1)]
    client.catalog.history = (make_failure("f"), *reports[:5], make_failure("g"), *reports[5:])
    ids = [report.id for report in reports]
    for arguments, expected in (
        ("", ids[:10]),
        ("(first: 0)", []),
        ("(first: 6)", ids[:6]),
        ("(first: 2147483647)", ids),
    ):
        data = await client.query(f"{{ refreshes{arguments} {{ id }} }}")
        assert [refresh["id"] for refresh in data["refreshes"]] == expected


async def test_whole_report() -> None:
    """A past refresh has every field of its report."""
    client = offline_client(COUNTRIES)
    client.catalog.history = (make_report("report"),)
    assert await client.query(f"{{ refreshes {{ {REPORT_FIELDS} }} }}") == {"refreshes": [REPORT_DATA]}


async def test_failed_refreshes() -> None:
    """`failedRefreshes` returns the failed refreshes, newest first, at most `first`."""
    client = offline_client(COUNTRIES)
    failures = [make_failure(str(number)) for number in range(12, 0, -1)]
    client.catalog.history = (make_report("r"), *failures[:5], make_report("s"), *failures[5:])
    ids = [failure.id for failure in failures]
    for arguments, expected in (("", ids[:10]), ("(first: 0)", []), ("(first: 6)", ids[:6])):
        data = await client.query(f"{{ failedRefreshes{arguments} {{ id }} }}")
        assert [refresh["id"] for refresh in data["failedRefreshes"]] == expected


async def test_whole_failure() -> None:
    """A failed refresh has every field, including its trigger."""
    client = offline_client(COUNTRIES)
    client.catalog.history = (make_failure("failure", trigger=Trigger.SCHEDULE),)
    data = await client.query("{ failedRefreshes { id trigger at code message } }")
    assert data["failedRefreshes"] == [
        {
            "id": "failure",
            "trigger": "SCHEDULE",
            "at": "2026-11-24T03:11:05.123456Z",
            "code": "SOURCE_UNAVAILABLE",
            "message": "geonames did not answer: «%s» \\ 中",
        }
    ]


@pytest.mark.parametrize("name", ["refreshes", "failedRefreshes"])
async def test_rejected_refreshes(name: str) -> None:
    """A negative `first` is rejected."""
    assert await offline_client().query_error(f"{{ {name}(first: -1) {{ id }} }}") == (
        "BAD_USER_INPUT",
        "first must be 0 or more, not -1.",
    )


async def test_refresh_countries(instance: ServiceInstance) -> None:
    """`refreshCountries` returns its report, and `status` has the same one."""
    client = client_for(instance)
    report = (await client.query(f"mutation {{ refreshCountries {{ {REPORT_FIELDS} }} }}"))["refreshCountries"]
    timings = report.pop("timings")
    assert [type(milliseconds) for milliseconds in timings.values()] == [float] * 8
    assert report == {
        "id": "refresh-1",
        "trigger": "REQUEST",
        "startedAt": "2026-11-24T03:00:00.123456Z",
        "finishedAt": "2026-11-24T03:00:01.123456Z",
        "totalCountries": 250,
        "inserted": 250,
        "updated": 0,
        "unchanged": 0,
        "missing": [],
        "skipped": [
            {"record": "Netherlands Antilles", "reason": "AN is not a current ISO 3166-1 alpha-2 code"},
            {"record": "Serbia and Montenegro", "reason": "CS is not a current ISO 3166-1 alpha-2 code"},
        ],
        "skippedCount": 2,
        "statements": 1,
        "sources": [
            {
                "kind": "COUNTRIES",
                "provider": "geonames",
                "live": True,
                "cached": False,
                "stored": False,
                "asOf": None,
                "failures": [],
                "dropped": 0,
                "attribution": "GeoNames (https://www.geonames.org), CC BY 4.0",
            },
            {
                "kind": "RATES",
                "provider": "er-api",
                "live": True,
                "cached": False,
                "stored": False,
                "asOf": "2026-09-29T00:02:31Z",
                "failures": [],
                "dropped": 0,
                "attribution": "Rates by Exchange Rate API (https://www.exchangerate-api.com)",
            },
            {
                "kind": "STATISTICS",
                "provider": "world-bank",
                "live": True,
                "cached": False,
                "stored": False,
                "asOf": "2026-10-07T00:00:00Z",
                "failures": [],
                "dropped": 18,
                "attribution": "World Bank, World Development Indicators (https://data.worldbank.org), CC BY 4.0",
            },
        ],
        "imageUrl": f"{PUBLIC_URL}/{await client.refreshes.summary_images.get_path(client.catalog.snapshot)}",
    }
    status = (await client.query(STATUS_QUERY))["status"]
    assert status["lastRefresh"] == {**report, "timings": timings}
    assert (status["version"], status["refreshing"]) == ("1-250", False)
    assert status["lastRefreshedAt"] == "2026-11-24T03:00:00.123456Z"


async def test_refreshing(instance: ServiceInstance, upstream: Upstream) -> None:
    """During a refresh `status` is refreshing, and a second call joins it."""
    released = threading.Event()
    upstream.set_responses("countries", replace(countries_response({}), hold_until=released.is_set))
    client = client_for(instance)
    mutation = "mutation { refreshCountries { id } }"
    pending = asyncio.gather(client.query(mutation), client.query(mutation))
    await asyncio.to_thread(upstream.wait_for_requests, "countries")
    assert await client.query("{ status { refreshing } }") == {"status": {"refreshing": True}}
    released.set()
    first_report, second_report = await pending
    assert first_report == second_report == {"refreshCountries": {"id": "refresh-1"}}
    assert await client.query("{ status { refreshing } }") == {"status": {"refreshing": False}}


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (
            SERVER_ERROR,
            ("SOURCE_UNAVAILABLE", "No source of countries could be used. geonames: responded with status 500."),
        ),
        (first_countries(124), ("SOURCE_INVALID", TOO_FEW)),
    ],
)
async def test_rejected_refresh(
    instance: ServiceInstance, client: SchemaClient, upstream: Upstream, response: FakeResponse, error: tuple[str, str]
) -> None:
    """A failed source changes nothing, and `status` reports the failure with its time."""
    initial = await InitialState.capture(instance)
    report = (await client.query(STATUS_QUERY))["status"]["lastRefresh"]
    upstream.set_responses("countries", response)
    assert await client.query_error("mutation { refreshCountries { id } }") == error
    assert await initial.is_unchanged()
    status = (await client.query(STATUS_QUERY))["status"]
    failed_at = clock_time(3).isoformat().replace("+00:00", "Z")
    assert status["lastFailure"] == {"at": failed_at, "code": error[0], "message": error[1]}
    assert (status["lastRefresh"], status["refreshing"]) == (report, False)
    assert await client.query("{ refreshes { id } failedRefreshes { id } }") == {
        "refreshes": [{"id": "refresh-1"}],
        "failedRefreshes": [{"id": "refresh-2"}],
    }


@pytest.mark.parametrize("arguments", ['code: "AD"', 'code: "and"', 'name: "ANDORRA"'])
async def test_delete_country(instance: ServiceInstance, client: SchemaClient, arguments: str) -> None:
    """`deleteCountry` returns the country, and removes it from snapshot and database."""
    data = await client.query(f"mutation {{ deleteCountry({arguments}) {{ code name population }} }}")
    assert data == {"deleteCountry": {"code": "AD", "name": "Andorra", "population": 85370}}
    query = '{ country(code: "AD") { id } status { totalCountries version } }'
    assert await client.query(query) == {"country": None, "status": {"totalCountries": 249, "version": "2-249"}}
    assert "AD" not in {row.code for row in await instance.load_rows()}
    assert len(await instance.load_rows()) == 249


async def test_deleted_country_returns(client: SchemaClient) -> None:
    """The next refresh adds a deleted country again."""
    await client.query('mutation { deleteCountry(code: "AD") { id } }')
    data = await client.query("mutation { refreshCountries { inserted unchanged totalCountries } }")
    assert data == {"refreshCountries": {"inserted": 1, "unchanged": 249, "totalCountries": 250}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('code: "ZZ"', "There is no country 'ZZ'."),
        ('name: "Atlantis"', "There is no country 'Atlantis'."),
        ('code: "Andorra"', "There is no country 'Andorra'."),
        ('name: "%"', "There is no country '%'."),
        ('name: ""', "There is no country ''."),
        ('code: ""', "There is no country ''."),
    ],
)
async def test_delete_unknown_country(
    instance: ServiceInstance, client: SchemaClient, arguments: str, message: str
) -> None:
    """Deleting an unknown country is rejected, and nothing is deleted."""
    initial = await InitialState.capture(instance)
    document = f"mutation {{ deleteCountry({arguments}) {{ id }} }}"
    assert await client.query_error(document) == ("COUNTRY_NOT_FOUND", message)
    assert await initial.is_unchanged()


@pytest.mark.parametrize("lookalike", LOOKALIKES)
async def test_delete_lookalike(instance: ServiceInstance, client: SchemaClient, lookalike: str) -> None:
    """A text that is not ASCII deletes no country, whatever code it resembles."""
    initial = await InitialState.capture(instance)
    document = "mutation ($code: String) { deleteCountry(code: $code) { id } }"
    message = f"There is no country {lookalike!r}."
    assert await client.query_error(document, code=lookalike) == ("COUNTRY_NOT_FOUND", message)
    assert await initial.is_unchanged()


@pytest.mark.parametrize(
    "mutation", ["refreshCountries { id }", 'deleteCountry(code: "AD") { id }', "deleteCountry { id }"]
)
async def test_unauthenticated(
    instance: ServiceInstance, client: SchemaClient, upstream: Upstream, mutation: str
) -> None:
    """Mutations of unauthorized callers fail before anything is fetched or written."""
    del client
    await instance.service.close()  # the refresh of the fixture has released its lease
    initial, requests, executed = (
        await InitialState.capture(instance),
        upstream.requests,
        record_statements(instance.database),
    )
    assert await unauthorized_client(instance).query_error(f"mutation {{ {mutation} }}") == UNAUTHENTICATED
    assert upstream.requests == requests
    assert executed == []
    assert await initial.is_unchanged()


async def test_strangers_may_read(instance: ServiceInstance, client: SchemaClient) -> None:
    """Unauthorized callers can read everything."""
    assert await unauthorized_client(instance).query(STATUS_QUERY) == await client.query(STATUS_QUERY)


async def test_mutations_run_in_order(client: SchemaClient) -> None:
    """Two mutations of a document run one after the other."""
    data = await client.query('mutation { deleteCountry(code: "AD") { code } refreshCountries { inserted } }')
    assert data == {"deleteCountry": {"code": "AD"}, "refreshCountries": {"inserted": 1}}


QUERIES = [
    STATUS_QUERY,
    f"{{ refreshes {{ {REPORT_FIELDS} }} }}",
    '{ country(code: "FR") { id lastRefreshedAt } }',
    '{ country(name: "Ivory Coast") { id } }',
    "{ countries { totalCount nodes { name } edges { cursor } pageInfo { endCursor } } }",
    '{ countries(filter: {name: {contains: "a"}}, sort: {field: CODE}, last: 3) { totalCount } }',
    "{ __schema { types { name } } }",
]


async def test_queries_never_touch_the_database(
    instance: ServiceInstance, client: SchemaClient, upstream: Upstream
) -> None:
    """Queries execute no statement and request no source."""
    await instance.service.close()
    await instance.catalog.sync()
    executed, requests = record_statements(instance.database), upstream.requests
    for query in QUERIES:
        await client.query(query)
    assert executed == []
    assert upstream.requests == requests
    await instance.catalog.sync()
    assert len(executed) == 1
