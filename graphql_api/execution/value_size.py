"""Size of an argument or a variable, by which it costs."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from graphql.language import ast

from graphql_api.domain.folding import measure_length
from graphql_api.execution.limits import QueryLimits

_CHARACTERS_PER_FIELD = 10
"""Characters of a text that cost as much as one field of one row: each condition folds them."""
_MAX_DIGITS = 10
"""Longer integers are out of range; Python's parsing of them is quadratic."""


class VariableRef(NamedTuple):
    """A use of a variable in a literal."""

    name: str


@dataclass(slots=True)
class ValueSize:
    """Size of an argument or a variable."""

    operands: int = 0
    """Fields of objects, at least one each. Each is compared with every country."""
    elements: int = 0
    """Items of lists, and characters of expanded texts divided by `_CHARACTERS_PER_FIELD`."""
    variable_uses: Counter[str] = field(default_factory=Counter)
    max_operands: float = math.inf


def to_plain_value(node: ast.ValueNode) -> object:
    """Convert a literal as JSON has it. Scalars that have no size and no rows become None."""
    match node:
        case ast.ObjectValueNode():
            return {object_field.name.value: to_plain_value(object_field.value) for object_field in node.fields}
        case ast.ListValueNode():
            return [to_plain_value(item) for item in node.values]
        case ast.VariableNode():
            return VariableRef(node.name.value)
        case ast.StringValueNode():
            return node.value
        case ast.IntValueNode() if len(node.value) <= _MAX_DIGITS:
            return int(node.value)
    return None


def measure_value(value: object, limits: QueryLimits, *, max_operands: float = math.inf) -> ValueSize:
    """Measure a value as JSON has it. Beyond `max_operands`, the rest of it is not measured.

    Raises:
        QueryTooComplex: Its depth, or the length of a list, exceeds its limit.
    """
    size = ValueSize(max_operands=max_operands)
    _add_value(value, size, limits, 1)
    return size


def _add_value(value: object, size: ValueSize, limits: QueryLimits, level: int) -> None:
    if size.operands > size.max_operands:
        return
    if isinstance(value, VariableRef):
        size.variable_uses[value.name] += 1
    elif isinstance(value, str):
        size.elements += measure_length(value) // _CHARACTERS_PER_FIELD
    elif isinstance(value, dict | list):
        limits.check("depth", level)
        if isinstance(value, dict):
            size.operands += max(len(value), 1)
        else:
            limits.check("items", len(value))
            size.elements += len(value)
        for item in value.values() if isinstance(value, dict) else value:
            _add_value(item, size, limits, level + 1)
