"""The row and the names of its fields: they fit one another."""

from dataclasses import FrozenInstanceError, fields
from typing import get_type_hints

import pytest

from graphql_api.domain.country import TEXT_FIELDS, Country, CountryField
from tests.support.factories import make_country


def test_fields_are_attributes() -> None:
    """Every column of the row can be filtered and sorted by, but for its flag and provenance."""
    assert {field.name for field in fields(Country)} - set(CountryField) == {
        "flag_url",
        "revision",
        "countries_provider",
        "countries_as_of",
        "rates_provider",
        "rates_as_of",
    }
    assert len(CountryField) == 12


def test_text_fields() -> None:
    """The fields that are compared as text are those that hold text."""
    hints = get_type_hints(Country)
    texts = {field for field in CountryField if hints[field] in (str, str | None)}
    assert texts == TEXT_FIELDS


def test_rows_do_not_change() -> None:
    """A row refuses to be changed: many readers share it."""
    row = make_country("FR")
    with pytest.raises(FrozenInstanceError):
        row.population = 2  # type: ignore[misc]  # the refusal is what is tested
    assert row.population == 1000
