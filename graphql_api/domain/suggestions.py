"""Suggestions: the values that unknown ones, in filters or of a country's name, may stand for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance.Indel import normalized_similarity
from rapidfuzz.process import extract

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot_reader import SnapshotReader

_MAX_VALUES = 5
_MAX_COUNTRIES = 3
_MIN_SIMILARITY = 0.6
"""From 0 to 1: twice the letters that two values have in common, of all their letters."""
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
    """Return a suggestion for each unknown value that the reader has noted.

    Raises:
        QueryTooComplex: the request has taken too long.
    """
    return [Suggestion(field, text, _find_similar(field, text, reader)) for field, text in reader.unknown_values]


def _find_similar(field: CountryField, text: str, reader: SnapshotReader) -> Sequence[str]:
    reader.check_time()
    similar = list(_iter_similar(field, text, reader))
    values = {getattr(row, field) for row in reader.snapshot.rows} - {None}
    return sorted(values) if not similar and len(values) <= _MAX_LISTED_VALUES else similar


def _iter_similar(field: CountryField, text: str, reader: SnapshotReader) -> Iterator[str]:
    if field in _OF_COUNTRIES:
        country = reader.find_by_code(text) or reader.find_by_name(text)
        countries = [match.country for match in reader.search(text, _MAX_COUNTRIES)] if country is None else [country]
        yield from (getattr(country, field) for country in countries)
    else:
        pairs = zip(reader.snapshot.columns[field], reader.snapshot.rows, strict=True)
        values = {folded: getattr(row, field) for folded, row in pairs if isinstance(folded, str)}
        folded = reader.fold(field.info.fold, text)
        found = extract(
            folded, list(values), scorer=normalized_similarity, score_cutoff=_MIN_SIMILARITY, limit=_MAX_VALUES
        )
        yield from (values[choice] for choice, *_ in found)
