"""REST Countries 5: its pages are requested, parsed and joined; other bodies are rejected."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.country import SkippedRecord
from graphql_api.sources.provider import ProviderError, RawCountries, RawCountry
from graphql_api.sources.providers.restcountries import PROVIDER, join, parse, remaining_params
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import ValidatedCountries, validate_countries
from tests.support.fake_providers.server import GONE, HTML, PAGES
from tests.support.hostile_json import VALUES, bodies, objects
from tests.support.provider_checks import assert_figures, rejection

REFERENCE = load_reference()
NONE = RawCountry(label="", code=None, currencies=[])
FRANCE: dict[str, object] = {
    "names": {"common": "France"},
    "codes": {"alpha_2": "FR"},
    "capitals": [{"name": "Paris", "attributes": {"primary": True}}],
    "population": 67,
    "area": {"kilometers": 547030, "miles": 211209},
    "currencies": [{"code": "EUR"}, {"code": "XPF"}],
}


def make_body(*listed: object, total: object = None) -> bytes:
    """Return a page of these countries, and a total; by default their number."""
    meta = {"total": len(listed) if total is None else total}
    return json.dumps({"data": {"objects": listed, "meta": meta}}).encode()


def country(**changes: object) -> RawCountry:
    """Return the parsed record of France with these fields changed."""
    (read,) = parse(make_body({**FRANCE, **changes})).countries
    return read


def page(size: int, total: int) -> RawCountries:
    """Return a page of `size` countries of `total`."""
    return RawCountries(countries=[NONE] * size, as_of=None, total=total)


@pytest.fixture(scope="module")
def validated() -> ValidatedCountries:
    """Return the validated countries of all three pages."""
    return validate_countries(join([parse(body) for body in PAGES]), REFERENCE)


def test_provider() -> None:
    """The provider needs a key, and requests only the fields it parses."""
    assert (PROVIDER.api_key_setting, PROVIDER.api_key) == ("RESTCOUNTRIES_API_KEY", None)
    assert PROVIDER.params == {
        "response_fields": "names.common,codes.alpha_2,capitals,population,area,currencies",
        "limit": "100",
        "offset": "0",
    }


def test_first_page() -> None:
    """A page has its countries, the total, and no date."""
    first = parse(PAGES[0])
    assert (len(first.countries), first.total, first.as_of) == (100, 256, None)
    assert first.countries[0] == RawCountry(
        label="Afghanistan", code="AF", capital="Kabul", population=37172386, area_km2=647500, currencies=["AFN"]
    )


def test_validation(validated: ValidatedCountries) -> None:
    """All countries are valid except dissolved ones and those without codes, which are reported."""
    assert {figures.code for figures in validated.figures} == set(REFERENCE)
    assert len(validated.figures) == 250
    dissolved = "is not a current ISO 3166-1 alpha-2 code"
    assert validated.skipped == (
        SkippedRecord(record="Netherlands Antilles", reason=f"AN {dissolved}"),
        SkippedRecord(record="Serbia and Montenegro", reason=f"CS {dissolved}"),
        *[
            SkippedRecord(record=record, reason="it has no two-letter code")
            for record in ("Abkhazia", "Northern Cyprus", "Somaliland", "South Ossetia")
        ],
    )


def test_figures_of_some_countries(validated: ValidatedCountries) -> None:
    """A few countries have exactly these figures, with retired currencies replaced."""
    assert_figures(
        validated,
        [
            ("AQ", None, 0, 14000000.0, None),
            ("CK", "Avarua", 21388, 240.0, "NZD"),
            ("CU", "Havana", 11338138, 110860.0, "CUP"),
            ("UM", None, 0, 0.0, "USD"),
        ],
    )


@pytest.mark.parametrize(
    ("capitals", "capital"),
    [
        ([{"name": "A", "attributes": {"primary": False}}, {"name": "B"}], "A"),
        ([{"name": "A"}, {"name": "B", "attributes": {"primary": True}}], "B"),
        ([{"name": None}, {"name": "B"}], None),
        ([{}], None),
        (["A"], None),
        ([], None),
        (None, None),
        ("A", None),
    ],
)
def test_capital(capitals: object, capital: str | None) -> None:
    """The capital is the primary one, or else the first; anything invalid is None."""
    assert country(capitals=capitals).capital == capital


@pytest.mark.parametrize("entry", [None, 7, "FR", [], {}, {"names": [], "codes": "FR", "area": 1}])
def test_no_country(entry: object) -> None:
    """A value that is no country becomes an empty record, for validation to skip."""
    assert parse(make_body(entry)).countries == [NONE]


@pytest.mark.parametrize(
    ("size", "total", "offsets"),
    [
        (100, 256, ["100", "200"]),
        (100, 201, ["100", "200"]),
        (100, 200, ["100"]),
        (100, 100, []),
        (100, 99, []),
        (100, -5, []),
        (25, 60, ["25", "50"]),
        (1, 20, [str(offset) for offset in range(1, 20)]),
        (0, 0, []),
        (0, 256, []),
    ],
)
def test_rest(size: int, total: int, offsets: list[str]) -> None:
    """The other pages start where the first one ends, and have its size."""
    assert remaining_params(page(size, total)) == [{"offset": offset} for offset in offsets]


@pytest.mark.parametrize(("size", "total"), [(100, 2001), (1, 21), (1, 10**400)])
def test_too_many_pages(size: int, total: int) -> None:
    """A total that needs more than 20 pages is rejected."""
    with pytest.raises(ProviderError) as exc_info:
        remaining_params(page(size, total))
    assert str(exc_info.value) == "the list has more than 20 pages"


def test_join() -> None:
    """Pages are joined in order, with the total of the first."""
    first, second = parse(PAGES[0]), parse(PAGES[2])
    joined = join([first, second])
    assert joined.countries == [*first.countries, *second.countries]
    assert (joined.total, joined.as_of) == (256, None)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (GONE, "responded with an error: This API version has been deprecated. "),
        (b'{"errors": [{"message": "Authorization key required."}]}', "responded with an error: A"),
        (HTML, "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b"{}", "the body has no list of countries"),
        (b'{"data": []}', "the body has no list of countries"),
        (b'{"data": {"objects": {}}}', "the body has no list of countries"),
        (b'{"data": {"objects": []}}', "the body has no total of countries"),
        (make_body(total="256"), "the body has no total of countries"),
        (make_body(total=True), "the body has no total of countries"),
    ],
)
def test_no_list(body: bytes, reason: str) -> None:
    """A body that is no page is rejected."""
    assert rejection(parse, body).startswith(reason)


ENTRIES = st.lists(
    objects(*FRANCE)
    | VALUES
    | VALUES.map(lambda value: {**FRANCE, "codes": {"alpha_2": value}})
    | st.sampled_from([*FRANCE]).flatmap(lambda name: VALUES.map(lambda value: {**FRANCE, name: value})),
    max_size=3,
)
BODIES = st.builds(
    lambda listed, total: {"data": {"objects": listed, "meta": {"total": total}}}, ENTRIES, st.integers(0, 3) | VALUES
)


@given(bodies(BODIES), bodies(BODIES))
def test_any_body(first: bytes, second: bytes) -> None:
    """Any bytes give figures of known countries or a ProviderError."""
    try:
        first_page = parse(first)
        assert len(remaining_params(first_page)) < 20
        validated = validate_countries(join([first_page, parse(second)]), REFERENCE)
    except ProviderError:
        return
    assert {figures.code for figures in validated.figures} <= set(REFERENCE)
