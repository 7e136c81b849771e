"""The extensions of a response: suggestions for unknown values in filters, and the cost of the operation."""

from collections.abc import Mapping
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.suggestions import Suggestion, suggest_values


def build_extensions(reader: SnapshotReader) -> Mapping[str, Any]:
    """Return the extensions of a response, if there are any: suggestions for unknown values in filters.

    Raises:
        QueryTooComplex: The operation exceeds the limit of milliseconds.
    """
    if not reader.unknown_values:
        return {}
    suggestions = [_format_suggestion(suggestion) for suggestion in suggest_values(reader)]
    return {"extensions": {"suggestions": suggestions}}


def add_cost(body: Mapping[str, Any], cost: int, limit: int) -> Mapping[str, Any]:
    """Return the body of a response with the cost of its operation, and the limit that it has."""
    extensions = {**body.get("extensions", {}), "cost": {"requested": cost, "limit": limit}}
    return {**body, "extensions": extensions}


def _format_suggestion(suggestion: Suggestion) -> Mapping[str, Any]:
    field, known_values = to_camel_case(suggestion.field.value), suggestion.known_values
    message = f"No country has the {field} {suggestion.value!r}."
    if known_values:
        message += f" Did you mean {' or '.join(map(repr, known_values))}?"
    # A lone surrogate of the client has no UTF-8, and the compiled data beside it are bytes already.
    value = suggestion.value.encode(errors="replace").decode()
    return {"message": message, "field": field, "value": value, "didYouMean": known_values}
