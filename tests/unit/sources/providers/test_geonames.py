"""GeoNames' table: every row of it read as it stands, and any other bytes refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import CountryFigures, SkippedRecord
from graphql_api.sources.provider import ProviderError, RawCountry
from graphql_api.sources.providers.geonames import PROVIDER, parse
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import validate_countries
from tests.support.fake_providers.server import COUNTRIES, HTML

REFERENCE = load_reference()
ANDORRA = RawCountry(
    label="Andorra",
    code="AD",
    capital="Andorra la Vella",
    population=77006.0,
    area_km2=468.0,
    currencies=["EUR"],
)
ROW = b"AD\tAND\t020\tAN\tAndorra\tAndorra la Vella\t468\t77006\tEU\t.ad\tEUR"


def refusal(body: bytes) -> str:
    """Return the message that a body is refused with."""
    with pytest.raises(ProviderError) as refused:
        parse(body)
    return str(refused.value)


def test_provider() -> None:
    """The provider is live, keyless, and named as its licence asks."""
    assert (PROVIDER.name, PROVIDER.is_live, PROVIDER.url, PROVIDER.attribution) == (
        "geonames",
        True,
        "https://download.geonames.org/export/dump/countryInfo.txt",
        "GeoNames (https://www.geonames.org), CC BY 4.0",
    )


def test_whole_table() -> None:
    """The 252 rows are read, the comments are not, and the body is not dated."""
    raw = parse(COUNTRIES)
    assert (len(raw.countries), raw.countries[0], raw.as_of) == (252, ANDORRA, None)


def test_what_of_it_is_believed() -> None:
    """All but the two dissolved countries are kept, and those two are named."""
    checked = validate_countries(parse(COUNTRIES), REFERENCE)
    assert {one.code for one in checked.figures} == set(REFERENCE)
    assert len(checked.figures) == 250
    assert checked.skipped == (
        SkippedRecord(
            record="Netherlands Antilles", reason="AN is not a current ISO 3166-1 alpha-2 code"
        ),
        SkippedRecord(
            record="Serbia and Montenegro", reason="CS is not a current ISO 3166-1 alpha-2 code"
        ),
    )


def test_figures_of_some_countries() -> None:
    """A few countries have exactly these figures, retired currencies replaced."""
    checked = validate_countries(parse(COUNTRIES), REFERENCE)
    by_code = {one.code: one for one in checked.figures}
    expected = [
        ("AQ", None, 0, 14000000.0, None),
        ("BG", "Sofia", 7000039, 110910.0, "EUR"),
        ("CI", "Yamoussoukro", 25069229, 322460.0, "XOF"),
        ("CW", "Willemstad", 159849, 444.0, "XCG"),
        ("US", "Washington", 327167434, 9629091.0, "USD"),
        ("XK", "Pristina", 1845300, 10908.0, "EUR"),
    ]
    assert [by_code[code] for code, *_ in expected] == [
        CountryFigures(
            code=code,
            capital=capital,
            population=population,
            area_km2=area,
            currency_code=currency,
        )
        for code, capital, population, area, currency in expected
    ]
    without_capital = sorted(code for code, one in by_code.items() if one.capital is None)
    assert without_capital == ["AQ", "BQ", "BV", "HM", "TK", "UM"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n\n", b"\n# the end", b"\tEuro\t376"])
def test_line_ends(end: bytes) -> None:
    """Line ends of either kind, empty lines, comments and more columns change nothing."""
    assert parse(b"# a comment\r\n\r\n" + ROW + end).countries == [ANDORRA]


def test_rows_cut_short() -> None:
    """A row without all its columns is skipped and reported, its numbers not believed."""
    raw = parse(b"FR\tFRA\t250\tFR\tFrance\tParis\t547030\t669\n" + ROW)
    checked = validate_countries(raw, REFERENCE)
    assert [one.code for one in checked.figures] == ["AD"]
    assert checked.skipped == (
        SkippedRecord(
            record="FR", reason="its population is not a whole number from 0 to 2147483647"
        ),
    )


@pytest.mark.parametrize("cut", [1, 2, 20, 52, 60, len(ROW)])
def test_table_cut_short(cut: int) -> None:
    """A table that ends amid the columns that are read is refused, though most of it is there."""
    whole = ROW + b"\tEuro\n"
    assert refusal(whole + whole + ROW[:cut]) == "the table is truncated"


@pytest.mark.parametrize("end", [b"\t", b"\tEu", b"\tEuro"])
def test_table_cut_behind_what_counts(end: bytes) -> None:
    """A table that ends after the columns that are read is whole enough."""
    assert parse(ROW + b"\tEuro\t376\n" + ROW + end).countries == [ANDORRA] * 2


def test_byte_order_mark() -> None:
    """The mark that some editors begin a file with does not make a comment a row."""
    assert parse(b"\xef\xbb\xbf# a comment\n" + ROW).countries == [ANDORRA]


def test_numbers_that_are_none() -> None:
    """What is no number is handed on as it is, for the check to skip."""
    (country,) = parse(ROW.replace(b"77006", b"many").replace(b"468", b"")).countries
    assert (country.population, country.area_km2) == ("many", "")


def test_nameless_row() -> None:
    """A row without a name goes by its code."""
    (country,) = parse(ROW.replace(b"Andorra\t", b"\t", 1)).countries
    assert country.label == "AD"


@pytest.mark.parametrize("body", [b"", b"\n\n", b"# only comments\n", HTML, b'{"success": false}'])
def test_no_table(body: bytes) -> None:
    """A body without a single whole row is no table."""
    assert refusal(body) == "the body is not a table of countries"


@pytest.mark.parametrize("body", [ROW + b"\xff", ROW.decode().encode("utf-16"), b"\x1f\x8b\x08"])
def test_no_utf8(body: bytes) -> None:
    """A body in another encoding is no text."""
    assert refusal(body) == "the body is not UTF-8 text"


CELLS = st.sampled_from(
    ["", "AD", "ad", "ß", "AN", "0", "-1", "1e3", "nan", "inf", "1e999", "9" * 30, "EUR", "\x00"]
)
TABLES = st.lists(
    st.lists(CELLS | st.text(max_size=3), min_size=9, max_size=13).map("\t".join), max_size=4
).map(lambda lines: "\n".join(lines).encode())


@given(st.binary() | TABLES)
def test_any_body(body: bytes) -> None:
    """Any bytes give figures of known countries or the one exception for it."""
    try:
        checked = validate_countries(parse(body), REFERENCE)
    except ProviderError:
        return
    assert {one.code for one in checked.figures} <= set(REFERENCE)
