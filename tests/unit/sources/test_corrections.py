"""Corrections: what they change, whichever provider sends it, and when they are dropped."""

import logging
from importlib import resources

import pytest

from graphql_api.domain.country import FIELDS, CountryFigures
from graphql_api.sources.corrections import CORRECTIONS, correct, log_needless_corrections
from graphql_api.sources.providers import bundled, restcountries_v3
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import validate_countries
from tests.support.fake_providers.server import V3

REFERENCE = load_reference()


@pytest.mark.parametrize("capital", ["Nur-Sultan", "NURSULTAN", "Nur\u2010Sultan"])
def test_wrong_value(capital: str) -> None:
    """A value that the table names is replaced, however it is written; other figures stay."""
    figures = CountryFigures(code="KZ", population=7, capital=capital, area_km2=1.0, currency_code="KZT")
    corrected = CountryFigures(code="KZ", population=7, capital="Astana", area_km2=1.0, currency_code="KZT")
    assert correct(figures) == (corrected, [])


@pytest.mark.parametrize(("code", "capital"), [("KZ", "Almaty"), ("KZ", None), ("FR", "Nur-Sultan")])
def test_other_value(code: str, capital: str | None) -> None:
    """A value that the table does not name stays, as does that of another country."""
    figures = CountryFigures(code=code, population=7, capital=capital)
    assert correct(figures) == (figures, [])


def test_right_value() -> None:
    """A correction of a value that is right already is dropped."""
    figures = CountryFigures(code="OM", population=7, area_km2=309500.0)
    (needless,) = correct(figures)[1]
    assert (correct(figures)[0], str(needless)) == (figures, "OM area_km2")


def test_table() -> None:
    """Every correction is of a listed country and a field of its figures, and has a source with its date."""
    assert [correction for correction in CORRECTIONS if correction.code not in REFERENCE] == []
    assert {correction.field for correction in CORRECTIONS} <= FIELDS.keys() & CountryFigures.__annotations__.keys()
    assert [correction for correction in CORRECTIONS if not any(c.isdigit() for c in correction.source)] == []
    keys = [str(correction) for correction in CORRECTIONS]
    assert len(set(keys)) == len(keys) == 17


def test_bundled_countries() -> None:
    """Wrong values of the bundled data are corrected when it is read."""
    body = resources.files("graphql_api.sources.bundled").joinpath("countries.json").read_bytes()
    validated = validate_countries(bundled.parse_countries(body), REFERENCE)
    by_code = {figures.code: figures for figures in validated.figures}
    assert (by_code["KZ"].capital, by_code["PW"].capital, by_code["OM"].area_km2) == ("Astana", "Ngerulmud", 309500.0)
    assert validated.needless_corrections == ("GQ capital", "HK capital")


def test_recorded_countries() -> None:
    """A recorded body of another provider is corrected where it is wrong, and has the currencies in use."""
    validated = validate_countries(restcountries_v3.PROVIDER.parse(V3), REFERENCE)
    by_code = {figures.code: figures for figures in validated.figures}
    assert (by_code["GQ"].capital, by_code["HK"].capital) == ("Ciudad de la Paz", "Hong Kong")
    assert {"KZ capital", "PW capital"} <= set(validated.needless_corrections)
    currencies = {code: by_code[code].currency_code for code in ("PS", "ZW", "SH", "EH", "BG", "CU", "CW", "GG")}
    assert currencies == {
        "PS": "ILS",
        "ZW": "ZWG",
        "SH": "SHP",
        "EH": "MAD",
        "BG": "EUR",
        "CU": "CUP",
        "CW": "XCG",
        "GG": "GBP",
    }


def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """A correction that was dropped is logged once for a provider, and nothing if all were needed."""
    caplog.set_level(logging.INFO)
    log_needless_corrections.cache_clear()
    for _ in range(2):
        log_needless_corrections("geonames", ("GQ capital", "HK capital"))
        log_needless_corrections("mirror", ())
    assert [record.getMessage() for record in caplog.records] == [
        "geonames has the right values, so these corrections were dropped: GQ capital, HK capital."
    ]
