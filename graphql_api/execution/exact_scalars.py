"""Values of GraphQL's own scalars that are the same coerced, as input and as output."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import graphql

_MAX_INT = 2**31 - 1
_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "String": lambda value: type(value) is str,
    "ID": lambda value: type(value) is str,
    "Int": lambda value: type(value) is int and -_MAX_INT - 1 <= value <= _MAX_INT,
    "Float": lambda value: type(value) is float and isfinite(value),
    "Boolean": lambda value: type(value) is bool,
}


def get_exact_check(value_type: graphql.GraphQLType) -> Callable[[Any], bool]:
    """Return the function that tells whether a value of a type needs no coercion. For other types, each does."""
    return _CHECKS.get(getattr(value_type, "name", ""), lambda _: False)
