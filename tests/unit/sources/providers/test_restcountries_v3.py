"""REST Countries 3.1: its list is parsed unchanged, and any other body is rejected."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.sources.provider import RawCountry
from graphql_api.sources.providers.restcountries_v3 import PROVIDER, parse
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import validate_countries
from tests.support.fake_providers.server import GONE, HTML, V3
from tests.support.hostile_json import VALUES, bodies, objects
from tests.support.provider_checks import assert_figures, assert_known_countries, rejection

REFERENCE = load_reference()
FRANCE: dict[str, object] = {
    "name": {"common": "France", "official": "French Republic"},
    "cca2": "FR",
    "capital": ["Paris"],
    "population": 67,
    "area": 551695.0,
    "currencies": {"EUR": {"symbol": "€", "name": "Euro"}},
}


def country(**changes: object) -> RawCountry:
    """Return the parsed record of France with these fields changed."""
    (read,) = parse(json.dumps([{**FRANCE, **changes}]).encode()).countries
    return read


def test_provider() -> None:
    """The provider requests at most ten fields."""
    assert PROVIDER.params == {"fields": "name,cca2,capital,population,area,currencies"}
    assert len(PROVIDER.params["fields"].split(",")) <= 10


def test_whole_list() -> None:
    """All 247 countries are parsed and valid, without a date; three are not listed."""
    raw = parse(V3)
    assert (len(raw.countries), raw.as_of, raw.total) == (247, None, None)
    validated = validate_countries(raw, REFERENCE)
    assert (len(validated.figures), validated.skipped) == (247, ())
    assert set(REFERENCE) - {figures.code for figures in validated.figures} == {"AQ", "BV", "HM"}


def test_figures_of_some_countries() -> None:
    """A few countries have exactly these figures, with retired currencies replaced."""
    validated = validate_countries(parse(V3), REFERENCE)
    assert_figures(
        validated,
        [
            ("AD", "Andorra la Vella", 88406, 468.0, "EUR"),
            ("CK", "Avarua", 15040, 236.0, "NZD"),
            ("CU", "Havana", 9748007, 109884.0, "CUP"),
            ("MO", None, 685900, 30.0, "MOP"),
            ("ZA", "Pretoria", 63100945, 1221037.0, "ZAR"),
        ],
    )


@pytest.mark.parametrize(
    ("currencies", "codes"),
    [({"CUC": {}, "CUP": None}, ["CUC", "CUP"]), ({}, []), (None, []), (["EUR"], []), ("EUR", [])],
)
def test_currencies(currencies: object, codes: list[str]) -> None:
    """Currency codes are the keys of an object, in its order."""
    assert country(currencies=currencies).currencies == codes


@pytest.mark.parametrize(("capital", "read"), [(["A", "B"], "A"), ([], None), ("A", None)])
def test_capital(capital: object, read: str | None) -> None:
    """The capital is the first one."""
    assert country(capital=capital).capital == read


@pytest.mark.parametrize("entry", [None, 7, "FR", [], {}, {"name": "France"}])
def test_no_country(entry: object) -> None:
    """A value that is no country becomes an empty record, for validation to skip."""
    assert parse(json.dumps([entry]).encode()).countries == [RawCountry(label="", code=None, currencies=[])]


DEPRECATED = "This API version has been deprecated. See the documentation to move to the current version."


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (GONE, f"responded with an error: {DEPRECATED}"),
        (b'{"status": 404, "message": "Not Found"}', "responded with an error: Not Found"),
        (b"{}", "the body is not a list of countries"),
        (b'"FR"', "the body is not a list of countries"),
        (b"", "the body is not JSON"),
        (HTML, "the body is not JSON"),
        (V3[:-5], "the body is not JSON"),
    ],
)
def test_no_list(body: bytes, reason: str) -> None:
    """A body that is no list is rejected, the error of the old URLs with its message."""
    assert rejection(parse, body) == reason


ENTRIES = st.sampled_from([*FRANCE]).flatmap(lambda name: VALUES.map(lambda value: {**FRANCE, name: value}))


@given(bodies(st.lists(objects(*FRANCE) | VALUES | ENTRIES, max_size=3)))
def test_any_body(body: bytes) -> None:
    """Any bytes give figures of known countries or a ProviderError."""
    assert_known_countries(parse, body)
