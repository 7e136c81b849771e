"""The table of fields: it covers the row, the SQL table and the GraphQL schema, each exactly."""

from dataclasses import FrozenInstanceError
from datetime import datetime
from typing import Any, get_type_hints

import pytest
from graphql import build_schema as parse_schema
from sqlalchemy import Double, Integer, String
from strawberry.utils.str_converters import to_camel_case

from graphql_api.domain.country import FIELDS, LINKED_FIELDS, Country, CountryField, FieldKind
from graphql_api.storage.tables import UtcDateTime, countries
from tests.support.factories import make_country
from tests.support.schema_client import SCHEMA

PARSED_SCHEMA = parse_schema(str(SCHEMA))
PYTHON_TYPES = {FieldKind.TEXT: str, FieldKind.INT: int, FieldKind.FLOAT: float, FieldKind.INSTANT: datetime}
COLUMN_TYPES = {FieldKind.TEXT: String, FieldKind.INT: Integer, FieldKind.FLOAT: Double, FieldKind.INSTANT: UtcDateTime}
GRAPHQL_TYPES = {
    FieldKind.TEXT: "String",
    FieldKind.INT: "Int",
    FieldKind.FLOAT: "Float",
    FieldKind.INSTANT: "DateTime",
    FieldKind.TEXTS: "StringList",
}
QUERYABLE_FIELDS = {**FIELDS, **LINKED_FIELDS}
COMPUTED_FIELDS = {
    *("id", "figuresFrom", "rateFrom", "statisticsFrom", "nativeNames", "emoji", "currency", "postalCode"),
    *map(to_camel_case, LINKED_FIELDS),
}


def graphql_fields(type_name: str) -> dict[str, str]:
    """Return the fields of a type in the schema, with their types."""
    graphql_type: Any = PARSED_SCHEMA.type_map[type_name]
    return {name: str(field.type) for name, field in graphql_type.fields.items()}


def test_fields_cover_the_row() -> None:
    """The row has the fields of the table in the same order, with their types."""
    expected = {
        name: PYTHON_TYPES[field.kind] | None if field.nullable else PYTHON_TYPES[field.kind]
        for name, field in FIELDS.items()
    }
    hints = get_type_hints(Country)
    assert list(hints.items()) == list(expected.items())


def test_fields_cover_the_sql_table() -> None:
    """The SQL table has the fields as columns in the same order, keyed by code alone."""
    assert [
        (column.name, type(column.type), column.nullable, getattr(column.type, "length", None))
        for column in countries.columns
    ] == [(name, COLUMN_TYPES[field.kind], field.nullable, field.max_length) for name, field in FIELDS.items()]
    assert [column.name for column in countries.primary_key] == ["code"]


def test_fields_cover_the_graphql_type() -> None:
    """The GraphQL type has exactly the described fields, apart from the computed ones."""
    shown = {name: field for name, field in FIELDS.items() if field.description is not None}
    expected = {
        to_camel_case(name): GRAPHQL_TYPES[field.kind] + "!" * (not field.nullable) for name, field in shown.items()
    }
    graphql_types = graphql_fields("Country")
    assert set(graphql_types) - set(expected) == COMPUTED_FIELDS
    assert {name: graphql_types[name] for name in expected} == expected


def test_fields_cover_the_filter() -> None:
    """The filter has exactly the filterable fields, each with the operators of its kind."""
    operators = {"and": "[CountryFilter!]", "or": "[CountryFilter!]", "not": "CountryFilter"}
    assert graphql_fields("CountryFilter") == operators | {
        to_camel_case(name): f"{GRAPHQL_TYPES[field.kind]}Filter"
        for name, field in QUERYABLE_FIELDS.items()
        if field.filterable
    }


def test_fields_cover_the_sort_keys() -> None:
    """The sort keys of the schema are exactly the sortable fields."""
    sort_field: Any = PARSED_SCHEMA.type_map["CountrySortField"]
    assert set(sort_field.values) == {name.upper() for name, field in QUERYABLE_FIELDS.items() if field.sortable}


def test_country_field() -> None:
    """The enumeration has exactly the filterable and sortable fields, in their order."""
    queryable = {name: field for name, field in QUERYABLE_FIELDS.items() if field.filterable or field.sortable}
    assert [(field.name, field.value) for field in CountryField] == [(name.upper(), name) for name in queryable]
    assert [field.info for field in CountryField] == list(queryable.values())


def test_hidden_fields_cannot_be_queried() -> None:
    """A field that clients cannot see is neither filterable nor sortable."""
    hidden = {name: field for name, field in FIELDS.items() if field.description is None}
    assert list(hidden) == [
        *("revision", "countries_provider", "countries_as_of", "rates_provider", "rates_as_of"),
        *("statistics_population", "statistics_provider", "statistics_as_of"),
    ]
    assert [name for name, field in hidden.items() if field.filterable or field.sortable] == []


def test_rows_do_not_change() -> None:
    """A row is immutable, as many readers share it."""
    row = make_country("FR")
    with pytest.raises(FrozenInstanceError):
        row.population = 2  # type: ignore[misc]  # the refusal is what is tested
    assert row.population == 1000
