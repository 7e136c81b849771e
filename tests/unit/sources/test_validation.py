"""Validation: which records and rates are kept, and the reasons of those that are not."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import CountryFigures, CountryStatistics, SkippedRecord
from graphql_api.sources.currencies import is_code
from graphql_api.sources.provider import ProviderError, RawCountries, RawCountry, RawRates, RawStatistic, RawStatistics
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import (
    ValidatedRates,
    ValidatedStatistics,
    validate_countries,
    validate_rates,
    validate_statistics,
)

REFERENCE = load_reference()
AS_OF = datetime(2026, 9, 29, tzinfo=UTC)
INVALID_POPULATION = "its population is not a whole number from 0 to 2147483647"


def make_record(code: object = "FR", population: object = 1, label: str = "a record") -> RawCountry:
    """Return a record with the required values only."""
    return RawCountry(label=label, code=code, population=population)


VALID_RECORD = make_record("DE")


def validate_one(raw: RawCountry) -> CountryFigures:
    """Return the figures of a record that is kept."""
    validated = validate_countries(RawCountries(countries=[raw], as_of=None), REFERENCE)
    assert validated.skipped == ()
    (figures,) = validated.figures
    return figures


def skipped_reasons(*raw: RawCountry) -> list[tuple[str, str]]:
    """Return the skipped records and their reasons, beside a valid record."""
    validated = validate_countries(RawCountries(countries=[VALID_RECORD, *raw], as_of=None), REFERENCE)
    assert [item.code for item in validated.figures] == ["DE"]
    return [(item.record, item.reason) for item in validated.skipped]


def valid_rates(table: dict[str, object]) -> dict[str, float]:
    """Return the rates of a table that are kept."""
    return dict(validate_rates(RawRates(rates=table, as_of=None)).rates)


def test_complete_record() -> None:
    """A valid record keeps all its values, with text stripped and the first currency that is tender."""
    raw = replace(make_record(" fr\n", 67), capital=" Paris ", area_km2=547030, currencies=[None, " VEF ", "EUR"])
    assert validate_one(raw) == CountryFigures(
        code="FR", capital="Paris", population=67, area_km2=547030.0, currency_code="EUR"
    )


def test_correction() -> None:
    """A capital that is out of date is corrected, and one that is right is reported as such."""
    records = [replace(make_record("KZ"), capital="Nur-Sultan"), replace(make_record("PW"), capital="Ngerulmud")]
    validated = validate_countries(RawCountries(countries=records), REFERENCE)
    assert [figures.capital for figures in validated.figures] == ["Astana", "Ngerulmud"]
    assert validated.needless_corrections == ("PW capital",)


def test_invalid_optional_values() -> None:
    """Invalid optional values become null, and the record is kept."""
    raw = replace(make_record(), capital="\x00", area_km2=-1.0, currencies=["euro"])
    assert validate_one(raw) == CountryFigures(code="FR", population=1)


def test_order_and_date() -> None:
    """Records keep the provider's order and date."""
    validated = validate_countries(RawCountries(countries=[make_record("FR"), VALID_RECORD], as_of=AS_OF), REFERENCE)
    assert [figures.code for figures in validated.figures] == ["FR", "DE"]
    assert validated.as_of == AS_OF


@pytest.mark.parametrize(("population", "read"), [(0, 0), (2.0, 2), (2**31 - 1, 2**31 - 1)])
def test_population(population: object, read: int) -> None:
    """Whole numbers that GraphQL's Int can hold are kept, as integers."""
    figures = validate_one(make_record(population=population))
    assert (figures.population, type(figures.population)) == (read, int)


@pytest.mark.parametrize("population", [None, -1, 2**31, 1.5, "7", True, float("nan"), float("inf"), 10**400, [7]])
def test_invalid_population(population: object) -> None:
    """A record is skipped without a whole population that GraphQL's Int can hold."""
    assert skipped_reasons(make_record(population=population)) == [("a record", INVALID_POPULATION)]


@pytest.mark.parametrize("code", [None, "", "  ", 7, ["FR"]])
def test_no_code(code: object) -> None:
    """A record without a code is skipped."""
    assert skipped_reasons(make_record(code)) == [("a record", "it has no two-letter code")]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("AN", "AN"),
        ("xx", "XX"),
        ("FRA", "FRA"),
        ("F R", "F R"),
        ("ß", "ß"),
        ("ﬁ", "ﬁ"),
        ("F\u202e", "F�"),
        ("x" * 10_000, "X" * 79 + "…"),
    ],
)
def test_unknown_code(code: str, shown: str) -> None:
    """A record with an unknown code is skipped, even if its upper case is a known code."""
    assert skipped_reasons(make_record(code)) == [("a record", f"{shown} is not a current ISO 3166-1 alpha-2 code")]


def test_duplicate() -> None:
    """The first valid record of a country is kept, and later ones are skipped."""
    raw = [make_record(population=-1), make_record(population=2), make_record("fr", population=3)]
    validated = validate_countries(RawCountries(countries=raw, as_of=None), REFERENCE)
    assert [(item.code, item.population) for item in validated.figures] == [("FR", 2)]
    assert [item.reason for item in validated.skipped] == [INVALID_POPULATION, "FR was listed before"]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("Netherlands Antilles", "Netherlands Antilles"),
        ("x" * 10_000, "x" * 79 + "…"),
        ("a\x00b", "a�b"),
        ("", "record 2"),
        (" \t ", "record 2"),
    ],
)
def test_label(label: str, shown: str) -> None:
    """A skipped record is named by its printable label, or by its position."""
    assert skipped_reasons(make_record(None, label=label)) == [(shown, "it has no two-letter code")]


@pytest.mark.parametrize(
    ("raw", "count"), [([], 0), ([make_record(None), make_record("AN"), make_record(population=None)], 3)]
)
def test_no_usable_record(raw: list[RawCountry], count: int) -> None:
    """A list without a usable record is rejected."""
    with pytest.raises(ProviderError) as exc_info:
        validate_countries(RawCountries(countries=raw, as_of=None), REFERENCE)
    assert str(exc_info.value) == f"none of its {count} records can be used"


@pytest.mark.parametrize("total", [None, 0, 1, -1])
def test_complete_list(total: int | None) -> None:
    """A list with at least the reported total is accepted."""
    validated = validate_countries(RawCountries(countries=[VALID_RECORD], as_of=None, total=total), REFERENCE)
    assert len(validated.figures) == 1


@pytest.mark.parametrize(("total", "shown"), [(2, "2"), (10**400, "1" + "0" * 78 + "…")])
def test_incomplete_list(total: int, shown: str) -> None:
    """A list with fewer records than the reported total is rejected."""
    with pytest.raises(ProviderError) as exc_info:
        validate_countries(RawCountries(countries=[VALID_RECORD], as_of=None, total=total), REFERENCE)
    assert str(exc_info.value) == f"sent 1 of {shown} records"


ANY_VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-1, 2**31)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["FR", "fr", "DE", "\ud800", 10**400])
)
RECORDS = st.lists(
    st.builds(
        RawCountry,
        label=st.text(max_size=3),
        code=ANY_VALUE,
        capital=ANY_VALUE,
        population=ANY_VALUE,
        area_km2=ANY_VALUE,
        currencies=st.lists(ANY_VALUE, max_size=2),
    ),
    max_size=4,
)


@given(RECORDS)
def test_any_records(raw: list[RawCountry]) -> None:
    """Each of any records is either kept once or skipped with a reason."""
    validated = validate_countries(RawCountries(countries=[VALID_RECORD, *raw], as_of=None), REFERENCE)
    codes = [item.code for item in validated.figures]
    assert len(codes) + len(validated.skipped) == 1 + len(raw)
    assert len(set(codes)) == len(codes)
    assert [item for item in validated.skipped if not item.record or not item.reason] == []


def test_valid_rates() -> None:
    """Numbers above zero under a code are kept as floats, with the table's dates."""
    next_update = datetime(2026, 9, 30, tzinfo=UTC)
    table = {"USD": 1, "IRR": 1e6, "KWD": 5e-324}
    validated = validate_rates(RawRates(rates=table, as_of=AS_OF, next_update=next_update))
    assert validated == ValidatedRates(
        rates={"USD": 1.0, "IRR": 1e6, "KWD": 5e-324}, as_of=AS_OF, next_update=next_update
    )
    assert isinstance(validated.rates["USD"], float)


@pytest.mark.parametrize("rate", [0, -0.0, -1, None, "1.5", True, float("nan"), float("inf"), 10**400, [1], {}])
def test_invalid_rates(rate: object) -> None:
    """An invalid rate is dropped, and the others are kept."""
    assert valid_rates({"EUR": rate, "GBP": 2}) == {"GBP": 2.0, "USD": 1.0}


@pytest.mark.parametrize("code", ["", "usd", "BT", "USDT", "1INCH", "ÀÉÎ"])
def test_no_currency_code(code: str) -> None:
    """A rate under anything but three capital letters is dropped."""
    assert valid_rates({code: 2, "GBP": 2}) == {"GBP": 2.0, "USD": 1.0}


@pytest.mark.parametrize(("table", "count"), [({}, 0), ({"EUR": 0, "btc": 1}, 2)])
def test_no_usable_rate(table: dict[str, object], count: int) -> None:
    """A table without a usable rate is rejected."""
    with pytest.raises(ProviderError) as exc_info:
        valid_rates(table)
    assert str(exc_info.value) == f"none of its {count} rates can be used"


@pytest.mark.parametrize("table", [{}, {"USD": 1}, {"USD": 1.0000005}, {"USD": 0.9999995}])
def test_dollar(table: dict[str, object]) -> None:
    """The rate of the US dollar is 1 if the table has it, nearly has it, or omits it."""
    assert valid_rates({"EUR": 0.5, **table}) == {"EUR": 0.5, "USD": 1.0}


@pytest.mark.parametrize(("dollar", "shown"), [(2, "2"), (1.00001, "1.00001"), (0, "0"), (None, "None"), ("1", "1")])
def test_other_dollar(dollar: object, shown: str) -> None:
    """A table with another rate of the US dollar has another base and is rejected."""
    with pytest.raises(ProviderError) as exc_info:
        valid_rates({"EUR": 0.5, "USD": dollar})
    assert str(exc_info.value) == f"lists {shown} US dollars for one US dollar"


def test_rate_of_a_retired_currency() -> None:
    """A rate under a retired code stays there: it is not the successor's rate."""
    assert valid_rates({"ANG": 1.8, "VEF": 4e6}) == {"ANG": 1.8, "VEF": 4e6, "USD": 1.0}


ANY_RATE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


@given(st.dictionaries(st.sampled_from(["EUR", "GBP", "eur"]) | st.text(max_size=4), ANY_RATE))
def test_any_rates(table: dict[str, object]) -> None:
    """Of any table, only finite numbers above zero under codes are kept."""
    validated = valid_rates({"GBP": 1, **table, "USD": 1, "CHF": 1})
    assert [code for code in validated if not is_code(code)] == []
    assert [rate for rate in validated.values() if not 0 < rate < float("inf")] == []


def make_statistic(code: object = "FR", name: str = "gdp", value: object = 5, year: object = "2024") -> RawStatistic:
    """Return a valid GDP of France by default."""
    return RawStatistic(label=f"{code} {name}", code=code, name=name, value=value, year=year)


def validate(*raw: RawStatistic) -> ValidatedStatistics:
    """Return the validated statistics of these records."""
    return validate_statistics(RawStatistics(statistics=raw, as_of=AS_OF), REFERENCE)


def test_statistics() -> None:
    """The figures of a country become one entry, each with its own year, in the order of the countries."""
    validated = validate(
        make_statistic("DE", "gdp_ppp", 0.5, "2011"),
        make_statistic(" fr ", "population", 7.0, "2024"),
        make_statistic("FR", "gdp", 5, "2023"),
    )
    germany = CountryStatistics(code="DE", gdp_ppp=0.5, gdp_ppp_year=2011)
    france = CountryStatistics(code="FR", population=7, population_year=2024, gdp=5.0, gdp_year=2023)
    assert validated == ValidatedStatistics(statistics=(germany, france), skipped=(), dropped=0, as_of=AS_OF)


@pytest.mark.parametrize("code", ["WLD", "1W", "EU", "", None, 7, "ß", ["FR"]])
def test_statistics_of_no_country(code: object) -> None:
    """Records of groups of countries and of unknown codes are counted, not listed."""
    validated = validate(make_statistic(), make_statistic(code), make_statistic(code, "population"))
    assert (len(validated.statistics), validated.skipped, validated.dropped) == (1, (), 2)


@pytest.mark.parametrize("year", [None, 2024, "", "24", "2024Q1", "20240", "٢٠٢٤", " 2024", "3024", ["2024"]])
def test_invalid_year(year: object) -> None:
    """A figure without a valid year is kept, and its year is null."""
    (statistics,) = validate(make_statistic(year=year)).statistics
    assert statistics == CountryStatistics(code="FR", gdp=5.0)


@pytest.mark.parametrize("value", [-1, "5", True, float("nan"), float("inf"), 10**400, [5]])
@pytest.mark.parametrize(
    ("name", "reason"), [("population", INVALID_POPULATION), ("gdp", "its value is not a number from 0")]
)
def test_invalid_statistic(name: str, reason: str, value: object) -> None:
    """A value that is not credible is skipped with its reason, and its year with it; a missing one is no error."""
    validated = validate(make_statistic("DE"), make_statistic(name=name, value=value), make_statistic("IT", name, None))
    assert validated.statistics == (CountryStatistics(code="DE", gdp=5.0, gdp_year=2024),)
    assert validated.skipped == (SkippedRecord(record=f"FR {name}", reason=reason),)


def test_duplicate_statistic() -> None:
    """The first record of a figure is kept, and later ones are skipped."""
    validated = validate(make_statistic(value=1), make_statistic("fr", value=2))
    assert validated.statistics == (CountryStatistics(code="FR", gdp=1.0, gdp_year=2024),)
    assert validated.skipped == (SkippedRecord(record="fr gdp", reason="it was listed before"),)


@pytest.mark.parametrize("raw", [(), (make_statistic("WLD"),), (make_statistic(value=None), make_statistic(value=-1))])
def test_no_statistics(raw: tuple[RawStatistic, ...]) -> None:
    """Without any usable figure the statistics are rejected."""
    with pytest.raises(ProviderError) as exc_info:
        validate(*raw)
    assert str(exc_info.value) == f"none of its {len(raw)} records can be used"
