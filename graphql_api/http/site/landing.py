"""The landing page: from a snapshot to HTML that says what is served, how fresh, and from where."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.sorting import SortKey, sort_rows
from graphql_api.http.site.static_files import Asset
from graphql_api.http.site.templates import render_template
from graphql_api.images.summary_image import (
    SIZE,
    describe,
    format_date,
    format_datetime,
    format_usd,
)
from graphql_api.sources.registry import get_attribution

ASSETS = (
    Asset.from_package("landing.css"),
    Asset.from_package("landing.js"),
    Asset.from_package("icon.svg"),
)
BY_NAME = SortKey(CountryField.NAME)

_TAGLINE = (
    "The world’s countries with population, capital, currency, exchange rate and an estimated GDP: "
    "filtered, sorted and paged as you ask."
)
_PLACEHOLDER = "–"
_TIME_UNITS = ((1440, "day"), (60, "hour"), (1, "minute"))
"""Minutes that each lasts."""
_REGIONAL_INDICATOR_A = 0x1F1E6
"""Where Unicode has the letters that flags are spelled with."""
_MIN_LARGE_RATE = 100
"""From here on a rate needs no third digit after the point."""


class Column(NamedTuple):
    """A column of the table."""

    field: CountryField
    text: str
    unit: str = ""


_COLUMNS = (
    Column(CountryField.NAME, "Country"),
    Column(CountryField.CAPITAL, "Capital"),
    Column(CountryField.REGION, "Region"),
    Column(CountryField.POPULATION, "Population"),
    Column(CountryField.AREA_KM2, "Area", "km²"),
    Column(CountryField.CURRENCY_CODE, "Currency"),
    Column(CountryField.EXCHANGE_RATE, "Rate", "per US$"),
    Column(CountryField.ESTIMATED_GDP, "Est. GDP", "US$"),
)


class Link(NamedTuple):
    """Another page of this server."""

    path: str
    text: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What the page says of time; it changes while the data do not."""

    age: str
    """Time since the last refresh, in words."""
    stale_reason: str
    """Why the data are not up to date; empty if they are."""

    @classmethod
    def of(cls, snapshot: Snapshot, *, now: datetime, stale_after: timedelta) -> "Freshness":
        """Return what there is to say of a snapshot."""
        refreshed_at = snapshot.last_refreshed_at
        if refreshed_at is None:
            return cls(age="", stale_reason="")
        return cls(
            age=format_age(now - refreshed_at),
            stale_reason=_describe_staleness(snapshot, now=now, stale_after=stale_after),
        )


def parse_sort_key(params: Mapping[str, str]) -> SortKey:
    """Return the order that an address asks for; what it cannot mean is by name."""
    try:
        field = CountryField(params.get("sort", ""))
    except ValueError:
        return BY_NAME
    direction = params.get("direction", "desc" if _is_descending_by_default(field) else "asc")
    return SortKey(field, descending=direction == "desc")


def render(snapshot: Snapshot, order: SortKey, freshness: Freshness, links: Iterable[Link]) -> str:
    """Return the page."""
    refreshed_at = snapshot.last_refreshed_at
    row_indexes = sort_rows([order], snapshot, range(len(snapshot.rows)))
    width, height = SIZE
    return render_template(
        "landing.html",
        tagline=_TAGLINE,
        assets={asset.name: asset.url for asset in ASSETS},
        links=links,
        refreshed_at=refreshed_at,
        moment=refreshed_at and format_datetime(refreshed_at),
        age=freshness.age,
        stale=freshness.stale_reason,
        sources=[entry for entry in _list_attributions(snapshot) if entry[1]],
        picture=f"images/summary-{snapshot.version}.png",
        width=width,
        height=height,
        alt=describe(snapshot.summarize()),
        order=_describe_order(order),
        columns=[_build_heading(column, order) for column in _COLUMNS],
        rows=[_build_cells(snapshot.rows[row_index]) for row_index in row_indexes],
    )


def format_age(age: timedelta) -> str:
    """Return a time that has passed, in words: in whole minutes, hours or days."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    length, unit = next(time_unit for time_unit in _TIME_UNITS if minutes >= time_unit[0])
    count = minutes // length
    return f"{count:,} {unit}{'' if count == 1 else 's'} ago"


def flag_emoji(code: str) -> str:
    """Return the flag of an alpha-2 code as an emoji."""
    return "".join(chr(_REGIONAL_INDICATOR_A + ord(letter) - ord("A")) for letter in code)


def _describe_staleness(snapshot: Snapshot, *, now: datetime, stale_after: timedelta) -> str:
    if not snapshot.is_stale(now=now, stale_after=stale_after):
        return ""
    bundled_kinds = [
        kind
        for kind, is_live in (
            ("figures", snapshot.has_live_figures),
            ("rates", snapshot.has_live_rates),
        )
        if not is_live
    ]
    if bundled_kinds:
        return f"the {' and '.join(bundled_kinds)} are those that came with the server."
    return "the last refresh was too long ago."


class Attribution(NamedTuple):
    """Where some of the data are from."""

    attribution: str
    as_of: str
    rows: str


def _list_attributions(snapshot: Snapshot) -> Iterator[tuple[str, list[Attribution]]]:
    yield "Figures", _build_attributions(SourceKind.COUNTRIES, snapshot.count_figures_provenance())
    yield "Exchange rates", _build_attributions(SourceKind.RATES, snapshot.count_rates_provenance())


def _build_attributions(kind: SourceKind, sources: Mapping[Provenance, int]) -> list[Attribution]:
    return [
        Attribution(
            attribution=get_attribution(kind, source.provider) or source.provider,
            as_of=format_date(source.as_of) if source.as_of else "",
            rows=f"{count} {'country' if count == 1 else 'countries'}",
        )
        for source, count in sources.items()
    ]


def _is_descending_by_default(field: CountryField) -> bool:
    return not field.is_text


def _describe_order(order: SortKey) -> str:
    texts = {column.field: column.text for column in _COLUMNS}
    text = texts.get(order.field, order.field.replace("_", " "))
    if order == BY_NAME:
        return "name"
    return f"{text}, {'descending' if order.descending else 'ascending'}"


def _build_heading(column: Column, order: SortKey) -> dict[str, object]:
    """Return a heading, which sorts, and if it does so already, turns the order around."""
    is_sorted = column.field is order.field
    descending = not order.descending if is_sorted else _is_descending_by_default(column.field)
    query_params = {"sort": column.field.value, "direction": "desc" if descending else "asc"}
    direction = "descending" if order.descending else "ascending"
    return {
        **column._asdict(),
        "number": not column.field.is_text,
        "href": f"?{urlencode(query_params)}",
        "sorted": direction if is_sorted else "",
    }


def _build_cells(row: Country) -> dict[str, str]:
    rate, gdp = row.exchange_rate, row.estimated_gdp
    return {
        "flag": flag_emoji(row.code),
        "name": row.name,
        "code": row.code,
        "capital": row.capital or _PLACEHOLDER,
        "region": row.region or _PLACEHOLDER,
        "population": f"{row.population:,}",
        "area": _PLACEHOLDER if row.area_km2 is None else f"{row.area_km2:,.0f}",
        "currency": row.currency_code or _PLACEHOLDER,
        "rate": _PLACEHOLDER if rate is None else format_rate(rate),
        "gdp": _PLACEHOLDER if gdp is None else format_usd(gdp).removeprefix("$"),
    }


def format_rate(rate: float) -> str:
    """Return an exchange rate with four digits or more, and no more than it needs."""
    if rate >= _MIN_LARGE_RATE:
        return f"{rate:,.2f}"
    return f"{rate:.4f}" if rate >= 1 else f"{rate:.4g}"
