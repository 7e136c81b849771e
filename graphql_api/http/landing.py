"""The landing page: from a snapshot to HTML that says what is served, how fresh, and from where."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from graphql_api.domain.country import TEXT_FIELDS, Country, CountryField
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.sorting import SortKey, arrange
from graphql_api.domain.summary import SourceLine
from graphql_api.http.assets import Asset
from graphql_api.http.templating import fill
from graphql_api.picture import SIZE, abbreviate, describe, tell_date, tell_moment
from graphql_api.sources.attributions import attribution_of

ASSETS = (Asset.ours("landing.css"), Asset.ours("landing.js"), Asset.ours("icon.svg"))
BY_NAME = SortKey(CountryField.NAME)

_TAGLINE = (
    "The world’s countries with population, capital, currency, exchange rate and an estimated GDP: "
    "filtered, sorted and paged as you ask."
)
_ABSENT = "–"
_UNITS = ((1440, "day"), (60, "hour"), (1, "minute"))
"""Minutes that each lasts."""
_REGIONAL_A = 0x1F1E6
"""Where Unicode has the letters that flags are spelled with."""
_LARGE = 100
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
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the page says of time; it changes while the data do not."""

    age: str
    """Time since the last refresh, in words."""
    stale: str
    """Why the data are not up to date; empty if they are."""

    @classmethod
    def of(cls, snapshot: Snapshot, *, now: datetime, stale_after: timedelta) -> "Moment":
        """Return what there is to say of a snapshot."""
        refreshed = snapshot.last_refreshed_at
        if refreshed is None:
            return cls(age="", stale="")
        return cls(
            age=tell_age(now - refreshed),
            stale=_tell_stale(snapshot, now=now, stale_after=stale_after),
        )


def read_order(given: Mapping[str, str]) -> SortKey:
    """Return the order that an address asks for; what it cannot mean is by name."""
    try:
        field = CountryField(given.get("sort", ""))
    except ValueError:
        return BY_NAME
    direction = given.get("direction", "desc" if _descends_first(field) else "asc")
    return SortKey(field, descending=direction == "desc")


def render(snapshot: Snapshot, order: SortKey, moment: Moment, links: Iterable[Link]) -> str:
    """Return the page."""
    refreshed = snapshot.last_refreshed_at
    places = arrange([order], snapshot, range(len(snapshot.rows)))
    width, height = SIZE
    return fill(
        "landing.html",
        tagline=_TAGLINE,
        assets={asset.name: asset.address for asset in ASSETS},
        links=links,
        refreshed_at=refreshed,
        moment=refreshed and tell_moment(refreshed),
        age=moment.age,
        stale=moment.stale,
        sources=[pair for pair in _sources(snapshot) if pair[1]],
        picture=f"images/summary-{snapshot.version}.png",
        width=width,
        height=height,
        alt=describe(snapshot.summary()),
        order=_tell_order(order),
        columns=[_heading(column, order) for column in _COLUMNS],
        rows=[_cells(snapshot.rows[place]) for place in places],
    )


def tell_age(age: timedelta) -> str:
    """Return a time that has passed, in words: in whole minutes, hours or days."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return "just now"
    length, unit = next(one for one in _UNITS if minutes >= one[0])
    count = minutes // length
    return f"{count:,} {unit}{'' if count == 1 else 's'} ago"


def flag_of(code: str) -> str:
    """Return the flag of an alpha-2 code as an emoji."""
    return "".join(chr(_REGIONAL_A + ord(letter) - ord("A")) for letter in code)


def _tell_stale(snapshot: Snapshot, *, now: datetime, stale_after: timedelta) -> str:
    if not snapshot.is_stale(now=now, after=stale_after):
        return ""
    bundled = [
        kind
        for kind, live in (
            ("figures", snapshot.has_live_figures),
            ("rates", snapshot.has_live_rates),
        )
        if not live
    ]
    if bundled:
        return f"the {' and '.join(bundled)} are those that came with the server."
    return "the last refresh was too long ago."


class Credit(NamedTuple):
    """Where some of the data are from."""

    attribution: str
    as_of: str
    rows: str


def _sources(snapshot: Snapshot) -> Iterator[tuple[str, list[Credit]]]:
    yield "Figures", _credits(SourceKind.COUNTRIES, snapshot.sources_of_figures())
    yield "Exchange rates", _credits(SourceKind.RATES, snapshot.sources_of_rates())


def _credits(kind: SourceKind, sources: Mapping[SourceLine, int]) -> list[Credit]:
    return [
        Credit(
            attribution=attribution_of(kind, source.provider) or source.provider,
            as_of=tell_date(source.as_of) if source.as_of else "",
            rows=f"{count} {'country' if count == 1 else 'countries'}",
        )
        for source, count in sources.items()
    ]


def _descends_first(field: CountryField) -> bool:
    return field not in TEXT_FIELDS


def _tell_order(order: SortKey) -> str:
    texts = {column.field: column.text for column in _COLUMNS}
    text = texts.get(order.field, order.field.replace("_", " "))
    if order == BY_NAME:
        return "name"
    return f"{text}, {'descending' if order.descending else 'ascending'}"


def _heading(column: Column, order: SortKey) -> dict[str, object]:
    """Return a heading, which sorts, and if it does so already, turns the order around."""
    sorted_by = column.field is order.field
    descending = not order.descending if sorted_by else _descends_first(column.field)
    asked = {"sort": column.field.value, "direction": "desc" if descending else "asc"}
    now = "descending" if order.descending else "ascending"
    return {
        **column._asdict(),
        "number": column.field not in TEXT_FIELDS,
        "href": f"?{urlencode(asked)}",
        "sorted": now if sorted_by else "",
    }


def _cells(row: Country) -> dict[str, str]:
    rate, gdp = row.exchange_rate, row.estimated_gdp
    return {
        "flag": flag_of(row.code),
        "name": row.name,
        "code": row.code,
        "capital": row.capital or _ABSENT,
        "region": row.region or _ABSENT,
        "population": f"{row.population:,}",
        "area": _ABSENT if row.area_km2 is None else f"{row.area_km2:,.0f}",
        "currency": row.currency_code or _ABSENT,
        "rate": _ABSENT if rate is None else tell_rate(rate),
        "gdp": _ABSENT if gdp is None else abbreviate(gdp).removeprefix("$"),
    }


def tell_rate(rate: float) -> str:
    """Return an exchange rate with four digits or more, and no more than it needs."""
    if rate >= _LARGE:
        return f"{rate:,.2f}"
    return f"{rate:.4f}" if rate >= 1 else f"{rate:.4g}"
