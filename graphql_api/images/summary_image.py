"""The summary image: a pure function from a summary to PNG bytes."""

from collections.abc import Iterator

from graphql_api.domain.snapshot import Summary
from graphql_api.images import Theme, summary_text
from graphql_api.images.canvas import (
    GUTTER,
    LEFT,
    RIGHT,
    Bar,
    Bounds,
    Color,
    Text,
    TextStyle,
    align_right,
    encode,
    load_font,
    measure_width,
    truncate_to_width,
)

_COUNT_BASELINE, _HEADING_BASELINE = 154, 226
_FIRST_ROW, _ROW_PITCH, _BAR_HEIGHT = 270, 47, 22
_BASELINE_OFFSET = 8  # from the middle of a row
_RULE, _FOOTER_BASELINE, _FOOTER_PITCH = 490, 523, 26

_MAX_COUNT_WIDTH, _MAX_NAME_WIDTH = 760, 440
_MIN_BAR_WIDTH = 6

_COUNT = TextStyle(118, 700)
_NOUN = TextStyle(46, 500, Color.MUTED)
_MESSAGE = TextStyle(34, 600)
_HEADING = TextStyle(22, 600)
_NAME = TextStyle(23, 500)
_HINT = TextStyle(23, 500, Color.MUTED)
_AMOUNT = TextStyle(23, 600)
_SMALL = TextStyle(18, 400, Color.MUTED)


def draw(summary: Summary, theme: Theme = Theme.LIGHT) -> bytes:
    """Return the image as PNG. Equal summaries and themes give equal bytes."""
    return encode(build_layout(summary), theme)


def build_layout(summary: Summary) -> tuple[Text | Bar, ...]:
    """Return the texts and bars of the image, positioned."""
    return (*_layout_headline(summary), *_layout_ranking(summary), *_layout_footer(summary))


def _layout_headline(summary: Summary) -> Iterator[Text]:
    count = truncate_to_width(f"{summary.total_countries:,}", _COUNT, _MAX_COUNT_WIDTH)
    # Removes the bearing left of large digits, which would break the alignment with the text below.
    left = LEFT - load_font(_COUNT).getbbox(count, anchor="ls")[0]
    yield Text(count, _COUNT, _COUNT_BASELINE, left)
    noun_left = left + measure_width(count, _COUNT) + GUTTER // 2
    yield Text(summary_text.country_noun(summary), _NOUN, _COUNT_BASELINE, noun_left)


def _layout_ranking(summary: Summary) -> Iterator[Text | Bar]:
    top = summary.top
    if not top:
        yield Text(summary_text.EMPTY_TITLE, _MESSAGE, _FIRST_ROW + 56)
        yield Text(summary_text.EMPTY_HINT, _HINT, _FIRST_ROW + 94)
        return
    yield Text(summary_text.TITLES[summary.ranking], _HEADING, _HEADING_BASELINE)
    yield align_right(summary_text.DISCLAIMERS[summary.ranking], _SMALL, _HEADING_BASELINE)
    names = [truncate_to_width(country.name, _NAME, _MAX_NAME_WIDTH) for country in top]
    amounts = [summary_text.format_amount(country) for country in top]
    left = LEFT + max(measure_width(name, _NAME) for name in names) + GUTTER
    right = RIGHT - max(measure_width(amount, _AMOUNT) for amount in amounts) - GUTTER
    max_amount = max(country.amount for country in top) or 1
    for index, country in enumerate(top):
        middle = _FIRST_ROW + index * _ROW_PITCH
        bar_top, bar_bottom = middle - _BAR_HEIGHT // 2, middle + _BAR_HEIGHT // 2
        length = max(round((right - left) * (country.amount / max_amount)), _MIN_BAR_WIDTH)
        yield Text(names[index], _NAME, middle + _BASELINE_OFFSET)
        yield Bar(Bounds(left, bar_top, right, bar_bottom), Color.TRACK)
        yield Bar(Bounds(left, bar_top, left + length, bar_bottom), Color.ACCENT)
        yield align_right(amounts[index], _AMOUNT, middle + _BASELINE_OFFSET)


def _layout_footer(summary: Summary) -> Iterator[Text | Bar]:
    yield Bar(Bounds(LEFT, _RULE, RIGHT, _RULE + 2), Color.TRACK)
    refreshed_at = summary_text.format_refreshed_at(summary.refreshed_at)
    refreshed_line = align_right(refreshed_at, _SMALL, _FOOTER_BASELINE)
    yield refreshed_line
    width = refreshed_line.left - GUTTER - LEFT
    for index, (attribution, as_of) in enumerate(summary_text.format_attributions(summary)):
        line = truncate_to_width(attribution, _SMALL, width - measure_width(as_of, _SMALL)) + as_of
        yield Text(line, _SMALL, _FOOTER_BASELINE + index * _FOOTER_PITCH)
