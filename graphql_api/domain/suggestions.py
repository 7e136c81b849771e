"""Suggestions: the values that a filter's unknown ones may stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot_reader import SnapshotReader

_MAX_VALUES = 5
_MAX_LISTED_VALUES = 30
"""A field with at most this number of values suggests all of them if none is similar."""
_OF_COUNTRIES = (CountryField.CODE, CountryField.ALPHA3, CountryField.NAME)
"""Fields that identify a country."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value that no row has, and values that rows have."""

    field: CountryField
    value: str
    known_values: Sequence[str]
    """The most similar one first."""


def suggest_values(reader: SnapshotReader) -> list[Suggestion]:
    """Return a suggestion for each unknown value that filters have noted.

    Raises:
        QueryTooComplex: the request has taken too long.
    """
    return [Suggestion(field, text, _find_similar(field, text, reader)) for field, text in reader.unknown_values]


def _find_similar(field: CountryField, text: str, reader: SnapshotReader) -> Sequence[str]:
    reader.check_time()
    country = (reader.find_by_code(text) or reader.find_by_name(text)) if field in _OF_COUNTRIES else None
    if country is not None:
        return [getattr(country, field)]
    pairs = zip(reader.snapshot.columns[field], reader.snapshot.rows, strict=True)
    values = {folded: getattr(row, field) for folded, row in pairs if isinstance(folded, str)}
    similar = get_close_matches(reader.fold(field.info.fold, text), values, n=_MAX_VALUES)
    if not similar and len(values) <= _MAX_LISTED_VALUES:
        return sorted(values.values())
    return [values[folded] for folded in similar]
