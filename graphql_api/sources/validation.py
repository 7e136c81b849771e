"""Validates what providers send: which records and rates are credible, and why others are not."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from graphql_api.domain.country import (
    FIELDS,
    MAX_NAMED_SKIPPED,
    CountryFigures,
    CountryStatistics,
    Reference,
    SkippedRecord,
)
from graphql_api.domain.snapshot import Snapshot
from graphql_api.sources.corrections import Correction, correct
from graphql_api.sources.currencies import is_code, select_current_code
from graphql_api.sources.parsing import clean_text, parse_non_negative, require_record_count, to_printable
from graphql_api.sources.provider import (
    ProviderData,
    ProviderError,
    RawCountries,
    RawCountry,
    RawRates,
    RawStatistic,
    RawStatistics,
)

MAX_POPULATION = 2**31 - 1
"""GraphQL's Int is 32 bits wide."""
_POPULATION_REASON = f"its population is not a whole number from 0 to {MAX_POPULATION}"
_YEAR_PATTERN = re.compile(r"[12]\d{3}", re.ASCII)

_OPTIONAL_FIGURES = {field.name for field in fields(CountryFigures)}.difference({"code", "population", "currency_code"})
"""Texts and numbers that become null if they are invalid."""

_DOLLAR_TOLERANCE = 1e-6
"""Relative error allowed in the dollar's own rate: tables converted from another base have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedCountries(ProviderData):
    """A provider's credible countries, each code once, and the records that were skipped."""

    figures: tuple[CountryFigures, ...]
    skipped: tuple[SkippedRecord, ...]
    """The first `MAX_NAMED_SKIPPED`."""
    unnamed_skipped: int = 0
    """Number of further skipped records."""
    needless_corrections: tuple[str, ...] = ()
    """Those of facts that the provider has right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedRates(ProviderData):
    """Units of each currency for one US dollar, by ISO 4217 code. USD is included, as 1."""

    rates: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedStatistics(ProviderData):
    """A provider's credible statistics, each code once, and the records that were not used."""

    statistics: tuple[CountryStatistics, ...]
    skipped: tuple[SkippedRecord, ...]
    """Records of a country that failed validation: the first `MAX_NAMED_SKIPPED`."""
    unnamed_skipped: int = 0
    """Number of further skipped records."""
    dropped: int
    """Number of records of no country, such as aggregates."""


class ShortListError(ProviderError):
    """A provider lists less than half of what is stored."""


def validate_countries(raw: RawCountries, reference: Reference) -> ValidatedCountries:
    """Keep the records with a known code and a whole population; report the others as skipped.

    Raises:
        ProviderError: no record is usable, there are too many, or the provider has more records than it sent.
    """
    require_record_count(len(raw.countries))
    if raw.total is not None and len(raw.countries) < raw.total:
        raise ProviderError(f"sent {len(raw.countries)} of {to_printable(raw.total)} records")
    figures_by_code: dict[str, CountryFigures] = {}
    needless: list[Correction] = []
    skipped: list[SkippedRecord] = []
    for number, country in enumerate(raw.countries, start=1):
        result = _validate_country(country, reference)
        if isinstance(result, CountryFigures) and result.code in figures_by_code:
            result = f"{result.code} was listed before"
        if isinstance(result, CountryFigures):
            figures_by_code[result.code], needless_here = correct(result)
            needless += needless_here
        else:
            record = to_printable(country.label.strip()) or f"record {number}"
            skipped.append(SkippedRecord(record=record, reason=result))
    if not figures_by_code:
        raise ProviderError(f"none of its {len(raw.countries)} records can be used")
    return ValidatedCountries(
        figures=tuple(figures_by_code.values()),
        skipped=tuple(skipped[:MAX_NAMED_SKIPPED]),
        unnamed_skipped=len(skipped[MAX_NAMED_SKIPPED:]),
        needless_corrections=tuple(map(str, needless)),
        as_of=raw.as_of,
    )


def validate_rates(raw: RawRates) -> ValidatedRates:
    """Keep the rates that are finite numbers above zero under a three-letter code.

    Raises:
        ProviderError: only the US dollar has a usable rate, or the table's own rate of it is not 1.
    """
    parsed = {code: parse_non_negative(rate) for code, rate in raw.rates.items() if is_code(code)}
    rates = {code: rate for code, rate in parsed.items() if rate}
    if not rates:
        raise ProviderError(f"none of its {len(raw.rates)} rates can be used")
    dollar_rate = raw.rates.get("USD", 1)
    if not math.isclose(parse_non_negative(dollar_rate) or 0, 1, rel_tol=_DOLLAR_TOLERANCE):
        raise ProviderError(f"lists {to_printable(dollar_rate)} US dollars for one US dollar")
    if rates.keys() <= {"USD"}:
        raise ProviderError("has no usable rate but that of the US dollar")
    return ValidatedRates(rates={**rates, "USD": 1.0}, as_of=raw.as_of, next_update=raw.next_update)


def require_half_of_countries(data: ValidatedCountries, stored: Snapshot) -> ValidatedCountries:
    """Return the data unless it would leave more than half of the stored countries as they are.

    Raises:
        ShortListError: less than half of as many countries as are stored are listed.
    """
    _require_half("countries", len(data.figures), len(stored.rows))
    return data


def require_half_of_currencies(data: ValidatedRates, stored: Snapshot) -> ValidatedRates:
    """Return the data unless more than half of the stored currencies would lose their rate.

    Raises:
        ShortListError: less than half of the stored currencies with a rate are listed.
    """
    currencies = {row.currency_code for row in stored.rows if row.exchange_rate is not None}
    _require_half("currencies", len(currencies & data.rates.keys()), len(currencies))
    return data


def require_half_of_statistics(data: ValidatedStatistics, stored: Snapshot) -> ValidatedStatistics:
    """Return the data unless more than half of the countries that have statistics would lose them.

    Raises:
        ShortListError: less than half of as many countries as have statistics are listed.
    """
    _require_half("statistics", len(data.statistics), sum(stored.count_statistics_provenance().values()))
    return data


def _require_half(subject: str, listed: int, stored: int) -> None:
    if listed * 2 < stored:
        raise ShortListError(f"lists {listed} usable {subject}, less than half of the {stored} stored")


def validate_statistics(raw: RawStatistics, reference: Reference) -> ValidatedStatistics:
    """Keep the figures of known countries; count those of others, and report bad ones as skipped.

    Raises:
        ProviderError: no figure is usable, or there are too many records.
    """
    require_record_count(len(raw.statistics))
    figures_by_code: dict[str, dict[str, float | int]] = {}
    skipped: list[SkippedRecord] = []
    dropped = 0
    for statistic in raw.statistics:
        code = _normalize_code(statistic.code)
        if code not in reference:
            dropped += 1
            continue
        if statistic.value is None:
            continue
        figures = figures_by_code.setdefault(code, {})
        reason = _add_statistic(figures, statistic)
        if reason:
            skipped.append(SkippedRecord(record=to_printable(statistic.label.strip()), reason=reason))
    statistics = tuple(CountryStatistics(code=code, **figures) for code, figures in figures_by_code.items() if figures)  # type: ignore[arg-type] # an attribute's value has its type
    if not statistics:
        raise ProviderError(f"none of its {len(raw.statistics)} records can be used")
    return ValidatedStatistics(
        statistics=statistics,
        skipped=tuple(skipped[:MAX_NAMED_SKIPPED]),
        unnamed_skipped=len(skipped[MAX_NAMED_SKIPPED:]),
        dropped=dropped,
        as_of=raw.as_of,
    )


def _add_statistic(figures: dict[str, float | int], raw: RawStatistic) -> str | None:
    """Add a figure and its year to the figures of its country, or return the reason to skip it."""
    if raw.name in figures:
        return "it was listed before"
    if raw.name == "population":
        population = _parse_population(raw.value)
        if population is None:
            return _POPULATION_REASON
        figures[raw.name] = population
    else:
        amount = parse_non_negative(raw.value)
        if amount is None:
            return "its value is not a number from 0"
        figures[raw.name] = amount
    if (year := _parse_year(raw.year)) is not None:
        figures[f"{raw.name}_year"] = year
    return None


def _parse_year(value: object) -> int | None:
    return int(value) if isinstance(value, str) and _YEAR_PATTERN.fullmatch(value) else None


def _parse_population(value: object) -> int | None:
    population = parse_non_negative(value)
    if population is None or population > MAX_POPULATION or not population.is_integer():
        return None
    return int(population)


def _normalize_code(value: object) -> str:
    code = value.strip() if isinstance(value, str) else ""
    # Upper case of other letters can be two ASCII ones: ß is not South Sudan.
    return code.upper() if code.isascii() else code


def _validate_country(raw: RawCountry, reference: Reference) -> CountryFigures | str:
    """Return the figures, or the reason to skip the record."""
    code = _normalize_code(raw.code)
    if not code:
        return "it has no two-letter code"
    if code not in reference:
        return f"{to_printable(code)} is not a current ISO 3166-1 alpha-2 code"
    population = _parse_population(raw.population)
    if population is None:
        return _POPULATION_REASON
    return CountryFigures(
        code=code,
        population=population,
        currency_code=select_current_code(raw.currencies, reference[code].tender),
        **{name: _parse_optional(name, getattr(raw, name)) for name in _OPTIONAL_FIGURES},
    )


def _parse_optional(name: str, value: object) -> Any:  # noqa: ANN401 - the type of the field
    max_length = FIELDS[name].max_length
    return clean_text(value, max_length=max_length) if max_length else parse_non_negative(value)
