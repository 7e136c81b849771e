"""Queries of the graph: every node by id, walks over several types, filters on lists, names in languages."""

import base64
from typing import Any

import pytest

from tests.support.schema_client import offline_client
from tests.support.world import WORLD, make_world

CLIENT = offline_client(make_world(), WORLD)
BAD_ID = ("BAD_USER_INPUT", "id must be the id of an object, as a query returned it.")


async def test_every_id_round_trips() -> None:
    """`node` and `nodes` return each object by its id, in the order of the ids, and null for one that is gone."""
    roots = "countries { nodes { id __typename } } currencies { id __typename } languages { id __typename } "
    roots += "continents { id __typename } regions { id __typename subregions { id __typename } }"
    data = await CLIENT.query(f"{{ {roots} }}")
    found = [*data["countries"]["nodes"], *data["currencies"], *data["languages"], *data["continents"]]
    found += [
        {"id": node["id"], "__typename": node["__typename"]}
        for region in data["regions"]
        for node in (region, *region["subregions"])
    ]
    assert len({node["id"] for node in found}) == len(found) == 250 + 153 + 435 + 7 + 28
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }"
    for start in range(0, len(found), 100):
        part = found[start : start + 100]
        assert await CLIENT.query(query, ids=[node["id"] for node in part]) == {"nodes": part}
    for node in (found[0], *found[250::100]):
        assert await CLIENT.query("query ($id: ID!) { node(id: $id) { id __typename } }", id=node["id"]) == {
            "node": node
        }
    gone = base64.b64encode(b"Currency:QQQ").decode()
    assert await CLIENT.query(query, ids=[gone, found[0]["id"], gone]) == {"nodes": [None, found[0], None]}


async def test_nodes_are_limited() -> None:
    """`nodes` takes 100 ids, repeated or none; more, or one that is no id, is an error that names it."""
    france = "Q291bnRyeTpGUg=="
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename } }"
    assert await CLIENT.query(query, ids=[france] * 100) == {"nodes": [{"__typename": "Country"}] * 100}
    assert await CLIENT.query(query, ids=[]) == {"nodes": []}
    assert await CLIENT.query_error(query, ids=[france] * 101) == ("BAD_USER_INPUT", "ids has 101 items, at most 100.")
    assert await CLIENT.query_error(query, ids=[france, "FR"]) == BAD_ID
    for text in ("Currency:eur", "Region:1", "Language:DE", "Continent:EUR", "Language:zh-Hant"):
        assert await CLIENT.query_error(query, ids=[base64.b64encode(text.encode()).decode()]) == BAD_ID


async def test_walk() -> None:
    """One query walks five types, from a country and back to others."""
    document = """{ country(code: "BR") {
      name(lang: "pt") emoji numericCode tld callingCodes aliases nativeNames { lang name }
      postalCode { format regex } continent { code name(lang: "fr") }
      currency { code symbol digits rate name(lang: "de") countries { code } } currencies { code }
      languages { official share language { code nativeName rtl } } neighbours { name }
    } }"""
    assert await CLIENT.query(document) == {
        "country": {
            "name": "Brasil",
            "emoji": "🇧🇷",
            "numericCode": "076",
            "tld": ".br",
            "callingCodes": ["+55"],
            "aliases": ["Federative Republic of Brazil"],
            "nativeNames": [{"lang": "pt", "name": "Brasil"}],
            "postalCode": {"format": "#####-###", "regex": r"^\d{5}-\d{3}$"},
            "continent": {"code": "SA", "name": "Amérique du Sud"},
            "currency": {
                "code": "BRL",
                "symbol": "R$",
                "digits": 2,
                "rate": CLIENT.catalog.snapshot.graph.rates["BRL"],
                "name": "Brasilianischer Real",
                "countries": [{"code": "BR"}],
            },
            "currencies": [{"code": "BRL"}],
            "languages": [
                {"official": True, "share": 0.91, "language": {"code": "pt", "nativeName": "português", "rtl": False}},
                {"official": False, "share": 0.08, "language": {"code": "en", "nativeName": "English", "rtl": False}},
                {"official": False, "share": 0.0084, "language": {"code": "de", "nativeName": "Deutsch", "rtl": False}},
                {
                    "official": False,
                    "share": 0.0028,
                    "language": {"code": "it", "nativeName": "italiano", "rtl": False},
                },
                {"official": False, "share": 0.0024, "language": {"code": "vec", "nativeName": "veneto", "rtl": False}},
                {"official": False, "share": 0.0021, "language": {"code": "ja", "nativeName": "日本語", "rtl": False}},
            ],
            "neighbours": [
                {"name": name}
                for name in (
                    *("Argentina", "Bolivia", "Colombia", "French Guiana", "Guyana", "Paraguay", "Peru", "Suriname"),
                    *("Uruguay", "Venezuela"),
                )
            ],
        }
    }


async def test_absent_values() -> None:
    """Of Antarctica and Kosovo, what no source has is null or empty."""
    fields = "numericCode currency { code } currencies { code } languages { share } "
    fields += "postalCode { regex } neighbours { code } callingCodes"
    assert await CLIENT.query(f'{{ country(code: "AQ") {{ {fields} }} }}') == {
        "country": {
            "numericCode": "010",
            "currency": None,
            "currencies": [],
            "languages": [],
            "postalCode": None,
            "neighbours": [],
            "callingCodes": [],
        }
    }
    assert await CLIENT.query('{ country(code: "XK") { numericCode timezones } }') == {
        "country": {"numericCode": None, "timezones": ["Europe/Belgrade"]}
    }


@pytest.mark.parametrize(
    ("field", "code", "found"),
    [
        ("currency", "eur", "EUR"),
        ("currency", " EUR ", "EUR"),
        ("currency", "DEM", None),
        ("currency", "", None),
        ("language", "PT", "pt"),
        ("language", "pt-BR", None),
        ("language", "ﬁ", None),
    ],
)
async def test_by_code(field: str, code: str, found: str | None) -> None:
    """A currency or language is found by its code in any case; an unknown code gives null."""
    data = await CLIENT.query(f"query ($code: String!) {{ {field}(code: $code) {{ code }} }}", code=code)
    assert data == {field: None if found is None else {"code": found}}


@pytest.mark.parametrize(
    ("filter_", "codes"),
    [
        ({"languages": {"has": "DE"}, "neighbours": {"hasEvery": ["fr", "ch"]}}, ["DE", "IT"]),
        ({"neighbours": {"hasEvery": ["pt"]}}, ["ES"]),
        ({"neighbours": {"hasSome": ["pt", "ie"]}}, ["ES", "GB"]),
        ({"neighbours": {"hasSome": []}}, []),
        ({"neighbours": {"hasEvery": []}, "tld": {"eq": ".BR"}}, ["BR"]),
        ({"currencies": {"isEmpty": True}}, ["AQ"]),
        ({"currencies": {"has": "USD", "isEmpty": False}, "continent": {"eq": "sa"}}, ["EC"]),
        ({"callingCodes": {"has": "+44"}}, ["GB"]),
        ({"timezones": {"has": "america/sao_paulo"}}, ["BR"]),
        ({"aliases": {"has": "HOLLAND"}}, ["NL"]),
        ({"aliases": {"has": "Åland"}}, ["AX"]),
        ({"numericCode": {"isNull": True}}, ["XK"]),
        ({"numericCode": {"eq": "076"}}, ["BR"]),
        ({"continent": {"in": ["AN"]}}, ["AQ", "BV", "TF", "HM", "GS"]),
        ({"languages": {"has": None}, "code": {"eq": "FR"}}, ["FR"]),
        ({"languages": {"has": ""}}, []),
    ],
)
async def test_filters(filter_: dict[str, Any], codes: list[str]) -> None:
    """Filters on lists have Prisma's operators, and compare codes and names without regard to case."""
    query = "query ($filter: CountryFilter) { countries(filter: $filter) { nodes { code } } }"
    data = await CLIENT.query(query, filter=filter_)
    assert [node["code"] for node in data["countries"]["nodes"]] == codes


async def test_sort() -> None:
    """Countries sort by continent and by number, with null last; a page goes on by its cursor."""
    query = "query ($after: String) { countries(sort: [{field: CONTINENT} {field: NUMERIC_CODE, direction: DESC}], "
    query += 'filter: {continent: {eq: "EU"}}, first: 2, after: $after) { edges { cursor node { code } } } }'
    edges = (await CLIENT.query(query))["countries"]["edges"]
    assert [edge["node"]["code"] for edge in edges] == ["IM", "JE"]
    edges = (await CLIENT.query(query, after=edges[1]["cursor"]))["countries"]["edges"]
    assert [edge["node"]["code"] for edge in edges] == ["GG", "GB"]


async def test_names() -> None:
    """Without `lang`, names are English, and sorting by name sorts by those; an ill-formed tag names itself."""
    arguments = '(filter: {code: {in: ["DE", "GB"]}}, sort: [{field: NAME}])'
    data = await CLIENT.query(
        f'{{ countries{arguments} {{ nodes {{ name de: name(lang: "de") xx: name(lang: "xx") }} }} }}'
    )
    assert data["countries"]["nodes"] == [
        {"name": "Germany", "de": "Deutschland", "xx": "Germany"},
        {"name": "United Kingdom", "de": "Vereinigtes Königreich", "xx": "United Kingdom"},
    ]
    error = await CLIENT.query_error('{ country(code: "FR") { name(lang: "pt_BR") } }')
    assert error == ("BAD_USER_INPUT", "lang must be a BCP 47 tag such as de or pt-BR, not 'pt_BR'.")


@pytest.mark.parametrize(
    "document",
    [
        "{ countries { nodes { name neighbours { name currency { code } } languages { language { name } } } } }",
        '{ countries { edges { node { continent { name } nativeNames { name } currencies { rate(base: "EUR") } } } } }',
        '{ currencies { code rate name(lang: "ja") countries { name } } languages { name countries { code } } }',
        "{ continents { countries { name timezones } } regions { subregions { countries { name } } } }",
    ],
)
async def test_compiled(document: str) -> None:
    """Walks over all countries are compiled, so their responses are cached, and are within the limits."""
    response = await CLIENT.request(document)
    assert "errors" not in response.body
    assert response.cacheable
