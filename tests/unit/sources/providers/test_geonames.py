"""GeoNames: every row is parsed unchanged, and any other body is rejected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import SkippedRecord
from graphql_api.sources.provider import RawCountry
from graphql_api.sources.providers.geonames import parse
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import validate_countries
from tests.support.fake_providers.server import COUNTRIES, HTML
from tests.support.provider_checks import assert_figures, assert_known_countries, rejection

REFERENCE = load_reference()
ANDORRA = RawCountry(
    label="Andorra", code="AD", capital="Andorra la Vella", population=77006.0, area_km2=468.0, currencies=["EUR"]
)
ROW = b"AD\tAND\t020\tAN\tAndorra\tAndorra la Vella\t468\t77006\tEU\t.ad\tEUR"


def test_whole_table() -> None:
    """All 252 rows are parsed without comments, and without a date."""
    raw = parse(COUNTRIES)
    assert (len(raw.countries), raw.countries[0], raw.as_of) == (252, ANDORRA, None)


def test_validation() -> None:
    """All countries are valid except the two dissolved ones, which are reported."""
    validated = validate_countries(parse(COUNTRIES), REFERENCE)
    assert {figures.code for figures in validated.figures} == set(REFERENCE)
    assert len(validated.figures) == 250
    assert validated.skipped == (
        SkippedRecord(record="Netherlands Antilles", reason="AN is not a current ISO 3166-1 alpha-2 code"),
        SkippedRecord(record="Serbia and Montenegro", reason="CS is not a current ISO 3166-1 alpha-2 code"),
    )


def test_figures_of_some_countries() -> None:
    """A few countries have exactly these figures, with retired currencies replaced."""
    validated = validate_countries(parse(COUNTRIES), REFERENCE)
    assert_figures(
        validated,
        [
            ("AQ", None, 0, 14000000.0, None),
            ("BG", "Sofia", 7000039, 110910.0, "EUR"),
            ("CI", "Yamoussoukro", 25069229, 322460.0, "XOF"),
            ("CW", "Willemstad", 159849, 444.0, "XCG"),
            ("US", "Washington", 327167434, 9629091.0, "USD"),
            ("XK", "Pristina", 1845300, 10908.0, "EUR"),
        ],
    )
    without_capital = sorted(figures.code for figures in validated.figures if figures.capital is None)
    assert without_capital == ["AQ", "BQ", "BV", "HM", "TK", "UM"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\n", b"\n# the end", b"\tEuro\t376"])
def test_line_ends(end: bytes) -> None:
    """Either line end, empty lines, comments and extra columns change nothing."""
    assert parse(b"# a comment\r\n\r\n" + ROW + end).countries == [ANDORRA]


def test_rows_cut_short() -> None:
    """A row without all its columns is skipped and reported."""
    raw = parse(b"FR\tFRA\t250\tFR\tFrance\tParis\t547030\t669\n" + ROW)
    validated = validate_countries(raw, REFERENCE)
    assert [figures.code for figures in validated.figures] == ["AD"]
    assert validated.skipped == (
        SkippedRecord(record="FR", reason="its population is not a whole number from 0 to 2147483647"),
    )


@pytest.mark.parametrize("cut", [1, 2, 20, 52, 60, len(ROW)])
def test_table_cut_short(cut: int) -> None:
    """A table that ends within the parsed columns is rejected."""
    whole = ROW + b"\tEuro\n"
    assert rejection(parse, whole + whole + ROW[:cut]) == "the table is truncated"


@pytest.mark.parametrize("end", [b"\t", b"\tEu", b"\tEuro"])
def test_table_cut_behind_what_counts(end: bytes) -> None:
    """A table that ends after the parsed columns is accepted."""
    assert parse(ROW + b"\tEuro\t376\n" + ROW + end).countries == [ANDORRA] * 2


def test_byte_order_mark() -> None:
    """A byte order mark before a comment does not make it a row."""
    assert parse(b"\xef\xbb\xbf# a comment\n" + ROW).countries == [ANDORRA]


def test_numbers_that_are_none() -> None:
    """A value that is no number is kept for validation to reject."""
    (country,) = parse(ROW.replace(b"77006", b"many").replace(b"468", b"")).countries
    assert (country.population, country.area_km2) == ("many", "")


def test_nameless_row() -> None:
    """The label of a row without a name is its code."""
    (country,) = parse(ROW.replace(b"Andorra\t", b"\t", 1)).countries
    assert country.label == "AD"


@pytest.mark.parametrize("body", [b"", b"\n\n", b"# only comments\n", HTML, b'{"success": false}'])
def test_no_table(body: bytes) -> None:
    """A body without a complete row is rejected."""
    assert rejection(parse, body) == "the body is not a table of countries"


@pytest.mark.parametrize("body", [ROW + b"\xff", ROW.decode().encode("utf-16"), b"\x1f\x8b\x08"])
def test_no_utf8(body: bytes) -> None:
    """A body in another encoding is rejected."""
    assert rejection(parse, body) == "the body is not UTF-8 text"


CELLS = st.sampled_from(["", "AD", "ad", "ß", "AN", "0", "-1", "1e3", "nan", "inf", "1e999", "9" * 30, "EUR", "\x00"])
TABLES = st.lists(st.lists(CELLS | st.text(max_size=3), min_size=9, max_size=13).map("\t".join), max_size=4).map(
    lambda lines: "\n".join(lines).encode()
)


@given(st.binary() | TABLES)
def test_any_body(body: bytes) -> None:
    """Any bytes give figures of known countries or a ProviderError."""
    assert_known_countries(parse, body)
