"""The graph of one snapshot: from each node to its countries, and from each country to its nodes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from graphql_api.domain.country import Country, CountryField, Reference
from graphql_api.domain.nodes import CONTINENTS, NO_LINKS, Continent, CountryLinks, Currency, Language, Region
from graphql_api.utils.decimals import divide, to_decimal, to_float
from graphql_api.utils.slices import end_slice

CountryGroup: TypeAlias = Continent | Region | Currency | Language
"""A node that has countries."""
NodeT = TypeVar("NodeT", Currency, Language, Region)
_DEFAULT_DIGITS = 2
"""Digits after the decimal point of a currency that the reference does not have."""
_MAX_CODE_LENGTH = 100
"""Characters of a code of a client. A longer text is no code; each object that is compared with it would copy it."""


class Graph:
    """The nodes of a snapshot, each with its countries in the order of the rows."""

    def __init__(self, rows: Sequence[Country], reference: Reference) -> None:
        """Link `rows`, in their order. Nodes are those of the reference, and currencies of rows that it lacks."""
        self._reference = reference
        all_links = [identity.links for identity in reference.values()]
        self._positions = {row.code: position for position, row in enumerate(rows)}
        self._rows = rows
        self.continents = CONTINENTS
        self.currencies: Mapping[str, Currency] = _sort_by_code(
            {
                **{code: Currency(code, code, code, _DEFAULT_DIGITS) for row in rows if (code := row.currency_code)},
                **{currency.code: currency for links in all_links for currency in links.currencies},
            }
        )
        self.languages: Mapping[str, Language] = _sort_by_code(
            {use.language.code: use.language for links in all_links for use in links.languages}
        )
        self.regions: Mapping[str, Region] = _sort_by_code(
            {region.code: region for links in all_links for region in _iter_ancestors(links.region)}
        )
        self.nodes_by_type: Mapping[str, Mapping[str, Country | CountryGroup]] = {
            "Country": {row.code: row for row in rows},
            "Continent": self.continents,
            "Currency": self.currencies,
            "Language": self.languages,
            "Region": self.regions,
        }
        """By the name of their GraphQL type, then by code."""
        self.rates = _collect_rates(rows)
        """Units of each currency for 1 US dollar, by code."""
        self._countries: dict[tuple[type, str], list[Country]] = {}
        for row in rows:
            end_slice()
            for group in self._iter_groups(row):
                self._countries.setdefault((type(group), group.code), []).append(row)

    def find_currency(self, code: str) -> Currency | None:
        """Return the currency with a code of ISO 4217, in any case."""
        return self.currencies.get(_normalize(code).upper())

    def find_language(self, code: str) -> Language | None:
        """Return the language with a code of BCP 47, in any case."""
        return self.languages.get(_normalize(code).lower())

    def get_links(self, country: Country) -> CountryLinks:
        """Return the links of a country."""
        identity = self._reference.get(country.code)
        return identity.links if identity else NO_LINKS

    def get_numeric_code(self, country: Country) -> str | None:
        """Return the numeric code of ISO 3166-1; None without one."""
        identity = self._reference.get(country.code)
        return identity.numeric_code if identity else None

    def get_aliases(self, country: Country) -> tuple[str, ...]:
        """Return the other names that a country is found by."""
        identity = self._reference.get(country.code)
        return identity.aliases if identity else ()

    def get_continent(self, country: Country) -> Continent:
        """Return the continent. If the reference does not have the country, it follows from the region."""
        if continent := self.get_links(country).continent:
            return continent
        by_name = {continent.name: continent for continent in CONTINENTS.values()}
        names = (country.subregion, country.region)
        return next((by_name[name] for name in names if name in by_name), CONTINENTS["NA" if country.region else "AN"])

    def get_currencies(self, country: Country) -> list[Currency]:
        """Return the currencies in use, that of `currency_code` first."""
        codes = [country.currency_code] if country.currency_code else []
        codes += [currency.code for currency in self.get_links(country).currencies]
        return [self.currencies[code] for code in dict.fromkeys(codes)]

    def get_neighbours(self, country: Country) -> list[Country]:
        """Return the countries that share a land border, by name."""
        codes = self.get_links(country).neighbours
        return [
            self._rows[position]
            for position in sorted(self._positions[code] for code in codes if code in self._positions)
        ]

    def get_countries(self, group: CountryGroup) -> list[Country]:
        """Return the countries of a group, by name."""
        return self._countries.get((type(group), group.code), [])

    def get_subregions(self, region: Region | None) -> list[Region]:
        """Return the regions right below a region. Below None are those without a parent."""
        return [other for other in self.regions.values() if other.parent == region]

    def get_rate(self, currency: Currency, base: str) -> float | None:
        """Return the units of a currency for one of `base`; None where either has no rate."""
        rate, base_rate = self.rates.get(currency.code), self.rates.get(_normalize(base).upper())
        if rate is None or base_rate is None:
            return None
        return to_float(divide(to_decimal(rate), to_decimal(base_rate)))

    def get_value(self, country: Country, field: CountryField) -> str | tuple[str, ...] | None:
        """Return the value of one of `LINKED_FIELDS`."""
        end_slice()
        value: str | tuple[str, ...] | None
        match field:
            case CountryField.CONTINENT:
                value = self.get_continent(country).code
            case CountryField.NUMERIC_CODE:
                value = self.get_numeric_code(country)
            case CountryField.ALIASES:
                value = self.get_aliases(country)
            case CountryField.CURRENCIES:
                value = tuple(currency.code for currency in self.get_currencies(country))
            case CountryField.LANGUAGES:
                value = tuple(use.language.code for use in self.get_links(country).languages)
            case CountryField.NEIGHBOURS:
                value = tuple(neighbour.code for neighbour in self.get_neighbours(country))
            case _:
                value = getattr(self.get_links(country), field)
        return value

    def _iter_groups(self, country: Country) -> Iterator[CountryGroup]:
        yield self.get_continent(country)
        yield from _iter_ancestors(self.get_links(country).region)
        yield from self.get_currencies(country)
        for use in self.get_links(country).languages:
            yield use.language


def _normalize(code: str) -> str:
    # Upper case of other letters may be ASCII: that of ß is SS.
    return code.strip() if len(code) < _MAX_CODE_LENGTH and code.isascii() else ""


def _sort_by_code(nodes: Mapping[str, NodeT]) -> Mapping[str, NodeT]:
    return dict(sorted(nodes.items()))


def _iter_ancestors(region: Region | None) -> Iterator[Region]:
    while region is not None:
        yield region
        region = region.parent


def _collect_rates(rows: Sequence[Country]) -> Mapping[str, float]:
    """Return the newest rate of each currency. Rows that a source no longer lists keep older ones."""
    rates = {"USD": 1.0}
    for row in sorted(rows, key=lambda row: row.revision):
        if row.currency_code is not None and row.exchange_rate is not None:
            rates[row.currency_code] = row.exchange_rate
    return rates
