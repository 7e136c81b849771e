"""The card of one country, which previews of links show: a pure function from a country to PNG bytes."""

from collections.abc import Iterator

from graphql_api.domain.country import Country
from graphql_api.domain.nodes import Currency
from graphql_api.domain.provenance import Provenance
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import StatisticsYears
from graphql_api.images import Theme
from graphql_api.images.canvas import (
    GUTTER,
    LEFT,
    RIGHT,
    Bar,
    Bounds,
    Box,
    Color,
    Dot,
    Outlines,
    Text,
    TextStyle,
    align_right,
    encode,
    measure_width,
    truncate_to_width,
)
from graphql_api.images.summary_text import format_attribution, format_refreshed_at
from graphql_api.sources.maps import COUNTRY_MAP_WIDTH, load_country_map, parse_path
from graphql_api.utils.formatting import format_rate, format_usd, to_plain_line

_MAP = Bounds(RIGHT - 480, 72, RIGHT, 72 + 360)
_DOT_SIZE = 18
_TEXT_WIDTH = _MAP.left - GUTTER - LEFT

_NAMES = tuple(TextStyle(size, 700) for size in (72, 58, 46))
_LINE_HEIGHT = 1.1
_PLACE = TextStyle(23, 500, Color.MUTED)
_LABEL = TextStyle(23, 500, Color.MUTED)
_VALUE = TextStyle(23, 600)
_SMALL = TextStyle(18, 400, Color.MUTED)

_NAME_BASELINE, _PLACE_BASELINE = 134, 178
_FIRST_ROW, _ROW_PITCH, _LABEL_WIDTH = 246, 46, 150
_RULE, _FOOTER_BASELINE, _FOOTER_PITCH = 490, 523, 26
_NO_DATA = "no data"


def draw_card(country: Country, currency: Currency | None, theme: Theme = Theme.LIGHT) -> bytes:
    """Return the card of a country as PNG. Equal arguments give equal bytes."""
    return encode(build_card_layout(country, currency), theme)


def build_card_layout(country: Country, currency: Currency | None) -> tuple[Box, ...]:
    """Return what is on the card, positioned."""
    return (*_layout_map(country), *_layout_title(country), *_layout_facts(country, currency), *_layout_footer(country))


def _layout_map(country: Country) -> Iterator[Box]:
    country_map = load_country_map(country.code)
    scale = (_MAP.right - _MAP.left) / COUNTRY_MAP_WIDTH

    yield Bar(_MAP, Color.SEA)
    yield Outlines(_MAP, Color.LAND, parse_path(country_map.others), scale)
    yield Outlines(_MAP, Color.ACCENT, parse_path(country_map.own), scale)
    if country_map.dot:
        x, y = (position * scale + start for position, start in zip(country_map.dot, _MAP[:2], strict=True))
        half = _DOT_SIZE / 2
        yield Dot(Bounds(x - half, y - half, x + half, y + half), Color.ACCENT)


def _layout_title(country: Country) -> Iterator[Text]:
    lines, style = _fit_name(country.name)
    for index, line in enumerate(lines):
        yield Text(line, style, _NAME_BASELINE - (len(lines) - 1 - index) * round(style.size * _LINE_HEIGHT))
    place = ", ".join(part for part in (country.subregion or country.region, country.code) if part)
    yield Text(truncate_to_width(place, _PLACE, _TEXT_WIDTH), _PLACE, _PLACE_BASELINE)


def _fit_name(name: str) -> tuple[list[str], TextStyle]:
    """Return a name on one line, as large as fits, or on two."""
    for style in _NAMES:
        if truncate_to_width(name, style, _TEXT_WIDTH) == to_plain_line(name):
            return [to_plain_line(name)], style
    words = to_plain_line(name).split()
    count = max(
        (n for n in range(1, len(words)) if measure_width(" ".join(words[:n]), style) <= _TEXT_WIDTH), default=0
    )
    lines = [" ".join(words[:count]), " ".join(words[count:])] if count else [name]
    return [truncate_to_width(line, style, _TEXT_WIDTH) for line in lines], style


def _layout_facts(country: Country, currency: Currency | None) -> Iterator[Text]:
    for index, (label, value) in enumerate(_list_facts(country, currency)):
        baseline = _FIRST_ROW + index * _ROW_PITCH
        yield Text(label, _LABEL, baseline)
        style = _LABEL if value == _NO_DATA else _VALUE
        text = truncate_to_width(value, style, _TEXT_WIDTH - _LABEL_WIDTH)
        yield Text(text, style, baseline, LEFT + _LABEL_WIDTH)


def _list_facts(country: Country, currency: Currency | None) -> Iterator[tuple[str, str]]:
    """Yield label and value of each fact. A country may have no capital and no currency."""
    if country.capital:
        yield "Capital", country.capital
    yield "Population", f"{country.population:,}{_format_year(country.population_year)}"
    gdp, code = country.gdp, country.currency_code
    yield "GDP", _NO_DATA if gdp is None else f"{format_usd(gdp)}{_format_year(country.gdp_year)}"
    if code:
        rate = country.exchange_rate
        yield "Currency", f"{currency.name} ({code})" if currency else code
        yield "Rate", _NO_DATA if rate is None else f"{format_rate(rate)} {code} per US$"


def _format_year(year: int | None) -> str:
    return f" ({year})" if year else ""


def _layout_footer(country: Country) -> Iterator[Box]:
    yield Bar(Bounds(LEFT, _RULE, RIGHT, _RULE + 2), Color.TRACK)
    refreshed_line = align_right(format_refreshed_at(country.last_refreshed_at), _SMALL, _FOOTER_BASELINE)
    yield refreshed_line
    width = refreshed_line.left - GUTTER - LEFT
    for index, (attribution, as_of) in enumerate(_list_attributions(country)):
        line = truncate_to_width(attribution, _SMALL, width - measure_width(as_of, _SMALL)) + as_of
        yield Text(line, _SMALL, _FOOTER_BASELINE + index * _FOOTER_PITCH)


def _list_attributions(country: Country) -> Iterator[tuple[str, str]]:
    for kind, provider, as_of in (
        (SourceKind.COUNTRIES, country.countries_provider, country.countries_as_of),
        (SourceKind.STATISTICS, country.statistics_provider, country.statistics_as_of),
        (SourceKind.RATES, country.rates_provider, country.rates_as_of),
    ):
        if provider is not None:
            yield format_attribution(kind, Provenance(provider=provider, as_of=as_of), StatisticsYears())
