"""The table of countries on the landing page: its columns, headings and rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.sorting import SortKey
from graphql_api.http.site.flags import Flags
from graphql_api.http.site.map_measures import DEFAULT_MEASURE, Measure
from graphql_api.http.site.table_query import BY_NAME, TableQuery
from graphql_api.utils import formatting


class Column(NamedTuple):
    """A column of the table."""

    field: CountryField
    label: str
    unit: str = ""
    format: Callable[[Any], str] = str
    """Formats a value that is not null."""
    get_note: Callable[[Country], object] = lambda _: None
    """Returns what stands small beside the value."""


COLUMNS = (
    Column(CountryField.NAME, "Country", get_note=lambda row: row.code),
    Column(CountryField.POPULATION, "Population", format="{:,}".format),
    Column(CountryField.CAPITAL, "Capital"),
    Column(CountryField.REGION, "Region"),
    Column(CountryField.AREA_KM2, "Area", "km²", formatting.format_area),
    Column(CountryField.CURRENCY_CODE, "Currency"),
    Column(CountryField.EXCHANGE_RATE, "Rate", "per US$", formatting.format_rate),
    Column(CountryField.GDP, "GDP", "US$, year", formatting.format_compact, lambda row: row.gdp_year),
    Column(CountryField.ESTIMATED_GDP, "Demo GDP", "US$", formatting.format_compact),
)
"""The columns in their order. The first one heads the rows; the second one is in sight on a phone."""


class View(NamedTuple):
    """The rows, their order and the map that the URL of the page chooses."""

    query: TableQuery
    measure: Measure

    @property
    def params(self) -> dict[str, str]:
        """Return the query parameters that choose this."""
        return (
            self.query.params
            if self.measure is DEFAULT_MEASURE
            else {**self.query.params, "map": self.measure.field.value}
        )


def describe_order(query: TableQuery) -> str:
    """Return the order of the rows in words."""
    if query.sort_key is None and query.text:
        return "the best match first"
    sort_key = query.sort_key or BY_NAME
    if sort_key == BY_NAME:
        return "by name"
    labels = {column.field: column.label for column in COLUMNS}
    return f"by {labels.get(sort_key.field, sort_key.field.replace('_', ' '))}, {_direction(sort_key)}"


def build_heading(column: Column, view: View) -> dict[str, object]:
    """Return a heading. Its link sorts by the column, and reverses the order if it is sorted."""
    sort_key = view.query.sort_key or (None if view.query.text else BY_NAME)
    is_sorted = sort_key is not None and column.field is sort_key.field
    descending = not sort_key.descending if sort_key and is_sorted else not column.field.is_text
    query = replace(view.query, sort_key=SortKey(column.field, descending=descending))
    return {
        **column._asdict(),
        "is_number": not column.field.is_text,
        "href": f"?{urlencode(view._replace(query=query).params)}",
        "aria_sort": _direction(sort_key) if sort_key and is_sorted else "",
    }


def build_row(row: Country, flags: Flags) -> dict[str, object]:
    """Return a row: its flag, and the text and the note of each cell."""
    return {
        "flag_url": flags.get_url(row.code),
        "flag_emoji": formatting.flag_emoji(row.code),
        "code": row.code,
        "cells": [
            ("–", None)
            if (value := getattr(row, column.field)) in {None, ""}
            else (column.format(value), column.get_note(row))
            for column in COLUMNS
        ],
    }


def _direction(sort_key: SortKey) -> str:
    return "descending" if sort_key.descending else "ascending"
