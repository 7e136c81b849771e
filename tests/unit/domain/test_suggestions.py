"""Suggestions: a filter by a value that no country has names those that it may stand for."""

from dataclasses import replace

import pytest

from graphql_api.domain.country import CountryField, CountryIdentity
from tests.support.factories import make_country
from tests.support.schema_client import SchemaClient, offline_client

REGIONS = ("Africa", "Americas", "Antarctica", "Asia", "Europe", "Oceania")


def make_client() -> SchemaClient:
    """Return a client of a few countries, one of which has an alias."""
    countries = [
        ("DE", "DEU", "Germany", "Western Europe", "EUR"),
        ("GB", "GBR", "United Kingdom", "Northern Europe", "GBP"),
        ("GE", "GEO", "Georgia", "Western Asia", "GEL"),
        ("JP", "JPN", "Japan", "Eastern Asia", "JPY"),
        ("AQ", "ATA", "Antarctica", None, None),
        ("NG", "NGA", "Nigeria", "Western Africa", "NGN"),
    ]
    rows = [
        replace(
            make_country(code), alpha3=alpha3, name=name, region=region, subregion=subregion, currency_code=currency
        )
        for (code, alpha3, name, subregion, currency), region in zip(countries, REGIONS, strict=True)
    ]
    identity = CountryIdentity(
        code="GB", alpha3="GBR", name="", region=None, subregion=None, flag_url="", aliases=("Britain", "UK")
    )
    return offline_client(rows, {"GB": identity})


CLIENT = make_client()
FILTERS: dict[str, list[tuple[str, str, list[str]]]] = {
    'region: {in: ["Afrika", "europe"]}': [("region", "Afrika", ["Africa"])],
    'region: {eq: "Antarktika"}': [("region", "Antarktika", ["Antarctica"])],
    'region: {ne: "x"}': [("region", "x", [*REGIONS])],
    'not: {or: [{subregion: {notIn: ["Nord", "Eastern Europe"]}}]}': [
        ("subregion", "Eastern Europe", ["Western Europe", "Northern Europe", "Eastern Asia"]),
        ("subregion", "Nord", ["Eastern Asia", "Northern Europe", "Western Africa", "Western Asia", "Western Europe"]),
    ],
    'name: {eq: "Britain"}': [("name", "Britain", ["United Kingdom"])],
    'name: {eq: "Germny"}': [("name", "Germny", ["Germany"])],
    'code: {eq: "uk"}': [("code", "uk", ["GB"])],
    'code: {in: ["DEU", "gbr", "GE"]}': [("code", "DEU", ["DE"]), ("code", "gbr", ["GB"])],
    'alpha3: {eq: "JP"}': [("alpha3", "JP", ["JPN"])],
    'currencyCode: {eq: "EURO"}': [("currencyCode", "EURO", ["EUR"])],
    # Known values, in any case; parts of values; fields that any value may be in; nothing.
    'region: {eq: "AFRICA"}, name: {in: []}, currencyCode: {eq: null}': [],
    'region: {contains: "Afrika", startsWith: "x", endsWith: "x"}, subregion: {isNull: true}': [],
    'capital: {eq: "Pariss"}, population: {eq: 1}': [],
}


@pytest.mark.parametrize("text", FILTERS)
async def test_suggestions(text: str) -> None:
    """The suggestions are in the extensions, the data are as without them, and both ways of execution agree."""
    document = f"countries(filter: {{{text}}}) {{ totalCount }}"
    compiled = await CLIENT.request(f"{{ {document} }}")
    stock = await CLIENT.request(f"{{ {document} status {{ totalCountries }} }}")
    suggestions = compiled.body.get("extensions", {"suggestions": []})["suggestions"]
    assert [(item["field"], item["value"], item["didYouMean"]) for item in suggestions] == FILTERS[text]
    assert stock.body.get("extensions") == compiled.body.get("extensions")
    assert (compiled.cacheable, stock.cacheable) == (True, False)
    assert "errors" not in compiled.body


@pytest.mark.parametrize(
    ("name", "known_names"),
    [
        ("Germny", ["Germany"]),
        ("ge", ["Georgia"]),
        ("g", ["Germany", "Georgia", "United Kingdom"]),
        ("kingdom", ["United Kingdom"]),
        ("uk of gb", ["Antarctica", "Georgia", "Germany", "Japan", "Nigeria", "United Kingdom"]),
    ],
)
async def test_country(name: str, known_names: list[str]) -> None:
    """A country that is not found is null, and up to three that a search finds are suggested, both ways."""
    document = "query ($name: String) { country(name: $name) { code } }"
    compiled = await CLIENT.request(document, {"name": name})
    stock = await CLIENT.request(document.replace("{ country", "{ __schema { __typename } country"), {"name": name})
    [suggestion] = compiled.body["extensions"]["suggestions"]
    assert (suggestion["field"], suggestion["value"], suggestion["didYouMean"]) == ("name", name, known_names)
    assert stock.body["extensions"] == compiled.body["extensions"]
    assert compiled.body["data"] == {"country": None}
    assert (compiled.cacheable, stock.cacheable) == (True, False)


async def test_found_country() -> None:
    """A country that is found, or not found by its code, has no suggestions."""
    for arguments in ('name: "brit.ain"', 'code: "de"', 'code: "Germany"'):
        assert (await CLIENT.request(f"{{ country({arguments}) {{ code }} }}")).body.keys() == {"data"}


async def test_message() -> None:
    """A suggestion has a message for people, and a value from a variable has one too."""
    document = "query ($filter: CountryFilter) { countries(filter: $filter) { totalCount } }"
    response = await CLIENT.request(document, {"filter": {"name": {"in": ["Jappan", "x" * 100]}}})
    assert response.body == {
        "data": {"countries": {"totalCount": 0}},
        "extensions": {
            "suggestions": [
                {
                    "message": "No country has the name 'Jappan'. Did you mean 'Japan'?",
                    "field": "name",
                    "value": "Jappan",
                    "didYouMean": ["Japan"],
                },
                {
                    "message": f"No country has the name '{'x' * 60}'. Did you mean 'Antarctica' or 'Georgia' or "
                    "'Germany' or 'Japan' or 'Nigeria' or 'United Kingdom'?",
                    "field": "name",
                    "value": "x" * 60,
                    "didYouMean": ["Antarctica", "Georgia", "Germany", "Japan", "Nigeria", "United Kingdom"],
                },
            ]
        },
    }


async def test_number() -> None:
    """At most five values of a response have suggestions, whatever their number."""
    names = [f"Country {number}" for number in range(500)]
    document = "query ($names: [String!]) { a: countries(filter: {name: {in: $names}}) { totalCount } }"
    suggestions = (await CLIENT.request(document, {"names": names})).body["extensions"]["suggestions"]
    assert [item["value"] for item in suggestions] == [f"Country {number}" for number in (0, 1, 10, 100, 101)]


async def test_no_rows() -> None:
    """Without rows nothing is known, and so no value is unknown."""
    response = await offline_client([]).request('{ countries(filter: {region: {eq: "Africa"}}) { totalCount } }')
    assert response.body == {"data": {"countries": {"totalCount": 0}}}


def test_closed_fields() -> None:
    """The fields whose values come from the reference or a list of ISO are closed, and no others."""
    assert {field.value for field in CountryField if field.info.is_closed} == {
        *("code", "alpha3", "name", "region", "subregion", "currency_code")
    }
