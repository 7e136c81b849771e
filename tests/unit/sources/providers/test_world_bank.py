"""The World Bank: its indicators are parsed and joined, and any other body is rejected."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import CountryStatistics
from graphql_api.sources.provider import ProviderError, RawStatistic, RawStatistics
from graphql_api.sources.providers.world_bank import PROVIDER, join_indicators, join_pages, parse, remaining_params
from graphql_api.sources.validation import validate_statistics
from tests.support.fake_providers.server import HTML, STATISTICS, WORLD_BANK_ERROR
from tests.support.hostile_json import VALUES, bodies, objects
from tests.support.provider_checks import REFERENCE, rejection

HEAD = {"page": 1, "pages": 1, "per_page": 1000, "total": 1, "sourceid": "2", "lastupdated": "2026-10-07"}
ROW = {
    "indicator": {"id": "SP.POP.TOTL", "value": "Population, total"},
    "country": {"id": "FR", "value": "France"},
    "countryiso3code": "FRA",
    "date": "2024",
    "value": 68_500_000,
}
NOT_A_LIST = "the body is not a list of a head and rows"
MISSING_ALL = "sent no records of SP.POP.TOTL, NY.GDP.MKTP.CD, NY.GDP.MKTP.PP.CD"


def make_body(*rows: object, **head: object) -> bytes:
    """Return a page of these rows."""
    return json.dumps([{**HEAD, "total": len(rows), **head}, rows]).encode()


def parse_all() -> RawStatistics:
    """Return the three indicators of the fake provider, joined."""
    return join_indicators([join_pages([parse(body)]) for body in STATISTICS.values()])


def test_provider() -> None:
    """The provider requests the latest value of three indicators, in as few pages as possible."""
    assert PROVIDER.paths == [
        "/country/all/indicator/SP.POP.TOTL",
        "/country/all/indicator/NY.GDP.MKTP.CD",
        "/country/all/indicator/NY.GDP.MKTP.PP.CD",
    ]
    assert PROVIDER.params == {"format": "json", "per_page": "1000", "mrnev": "1"}


def test_all_indicators() -> None:
    """Of 664 rows, 18 are of no country; the others give statistics, each figure with its year."""
    raw = parse_all()
    assert (len(raw.statistics), raw.as_of) == (664, datetime(2026, 10, 7, tzinfo=UTC))
    validated = validate_statistics(raw, REFERENCE)
    assert (len(validated.statistics), validated.dropped, validated.skipped) == (216, 18, ())
    assert validated.as_of == datetime(2026, 10, 7, tzinfo=UTC)
    by_code = {statistics.code: statistics for statistics in validated.statistics}
    assert by_code["AM"] == CountryStatistics(
        code="AM",
        population=2_976_770,
        population_year=2024,
        gdp=40_411_000_000.0,
        gdp_year=2024,
        gdp_ppp=57_730_000_000.0,
        gdp_ppp_year=2024,
    )
    assert (by_code["ER"].population_year, by_code["ER"].gdp_year, by_code["ER"].gdp_ppp_year) == (2024, 2011, 2011)
    assert (by_code["LI"].gdp, by_code["LI"].gdp_year) == (None, None)
    assert {"TW", "AI", "EU", "1W"}.isdisjoint(by_code)


def test_row() -> None:
    """A row is parsed unchanged, with country and indicator as its label."""
    (record,) = parse(make_body(ROW)).statistics
    assert record == RawStatistic(
        label="France SP.POP.TOTL", code="FR", name="population", value=68_500_000, year="2024"
    )


def test_byte_order_mark() -> None:
    """The mark that the service puts before its JSON is ignored."""
    assert len(parse(b"\xef\xbb\xbf" + make_body(ROW)).statistics) == 1


def test_error_with_status_200() -> None:
    """The service's own error is reported in its words."""
    assert rejection(parse, WORLD_BANK_ERROR) == ("responded with an error: The provided parameter value is not valid")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ([{"id": "175", "key": "Invalid format"}], "responded with an error: Invalid format"),
        ([{}], "responded with an error: no message"),
        (["in words"], "responded with an error: no message"),
        ([{"value": "x" * 500}], f"responded with an error: {'x' * 149}…"),
        ([], NOT_A_LIST),
        ("in words", NOT_A_LIST),
    ],
)
def test_other_errors(message: object, reason: str) -> None:
    """An error without a text, or with a long one, is rejected too."""
    assert rejection(parse, json.dumps([{"message": message}]).encode()) == reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([], NOT_A_LIST),
        ([HEAD], NOT_A_LIST),
        ([HEAD, {}], NOT_A_LIST),
        ([HEAD, [], []], NOT_A_LIST),
        ([None, []], NOT_A_LIST),
        ([{**HEAD, "pages": "1"}, []], NOT_A_LIST),
        ([{**HEAD, "total": True}, []], NOT_A_LIST),
        ({"message": "moved"}, "responded with an error: moved"),
        ({"rows": []}, NOT_A_LIST),
        (7, NOT_A_LIST),
    ],
)
def test_other_bodies(content: object, reason: str) -> None:
    """JSON of another form is rejected."""
    assert rejection(parse, json.dumps(content).encode()) == reason


def test_no_json() -> None:
    """A page of a proxy is rejected."""
    assert rejection(parse, HTML) == "the body is not JSON"


@pytest.mark.parametrize("indicator", ["SP.POP.GROW", None, 7, ["SP.POP.TOTL"], {"id": "SP.POP.TOTL"}])
def test_other_indicator(indicator: object) -> None:
    """Rows of an indicator that was not requested are rejected, not taken for another."""
    reason = rejection(parse, make_body({**ROW, "indicator": {"id": indicator}}))
    assert reason == f"sent a record of {indicator}, which was not requested"


def test_missing_indicator() -> None:
    """An indicator without any record is rejected by name: its figures would all become null."""
    population = parse(STATISTICS["SP.POP.TOTL"])
    with pytest.raises(ProviderError, match=r"^sent no records of NY\.GDP\.MKTP\.CD, NY\.GDP\.MKTP\.PP\.CD$"):
        join_indicators([population, population, population])


def test_no_records() -> None:
    """A body without any record is parsed, and rejected as a whole."""
    empty = parse(b'[{"page": 0, "pages": 0, "per_page": 0, "total": 0, "lastupdated": null}, null]')
    assert (empty.statistics, empty.as_of, remaining_params(empty)) == ([], None, [])
    with pytest.raises(ProviderError) as exc_info:
        join_indicators([join_pages([empty])] * 3)
    assert str(exc_info.value) == MISSING_ALL


def test_pages() -> None:
    """The pages after the first are requested by number, and joined in order."""
    rows = [{**ROW, "country": {"id": code, "value": code}} for code in ("FR", "DE", "IT")]
    pages = [parse(make_body(row, pages=3, total=3, page=number)) for number, row in enumerate(rows, start=1)]
    assert remaining_params(pages[0]) == [{"page": "2"}, {"page": "3"}]
    assert [statistic.code for statistic in join_pages(pages).statistics] == ["FR", "DE", "IT"]
    with pytest.raises(ProviderError, match=r"^sent 2 of 3 records$"):
        join_pages(pages[:2])


def test_too_many_pages() -> None:
    """A number of pages that no indicator has is not requested."""
    with pytest.raises(ProviderError, match=r"^the list has more than 20 pages$"):
        remaining_params(parse(make_body(ROW, pages=21)))


def test_date_of_the_oldest() -> None:
    """Of several dates the oldest counts, and one that is missing does not."""
    parts = [parse(make_body(ROW, lastupdated=date)) for date in ("2026-10-07", "2025-01-01", None)]
    assert join_pages(parts).as_of == datetime(2025, 1, 1, tzinfo=UTC)


@given(bodies(st.lists(objects("page", "pages", "total", "message") | st.lists(objects(*ROW)) | VALUES, max_size=3)))
def test_any_body(body: bytes) -> None:
    """Any bytes give statistics of known countries, or are rejected."""
    try:
        validated = validate_statistics(join_indicators([join_pages([parse(body)])]), REFERENCE)
    except ProviderError:
        return
    assert {statistics.code for statistics in validated.statistics} <= set(REFERENCE)


@given(st.lists(st.tuples(st.sampled_from(["FR", "fr", "WLD", ""]), VALUES, VALUES), min_size=1, max_size=8))
def test_any_values(values: list[tuple[str, object, object]]) -> None:
    """Any values of the three indicators give finite numbers and four-digit years, or are rejected."""
    rows = [
        {**ROW, "indicator": {"id": indicator}, "country": {"id": code}, "value": value, "date": year}
        for code, value, year in values
        for indicator in STATISTICS
    ]
    try:
        validated = validate_statistics(join_indicators([parse(make_body(*rows))]), REFERENCE)
    except ProviderError:
        return
    (statistics,) = validated.statistics
    assert statistics.code == "FR"
    assert all(value is None or 0 <= value <= 1.8e308 for value in (statistics.gdp, statistics.gdp_ppp))
    assert all(
        year is None or 1000 <= year <= 2999
        for year in (statistics.population_year, statistics.gdp_year, statistics.gdp_ppp_year)
    )
