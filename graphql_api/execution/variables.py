"""Variables of an operation: coerced by GraphQL's rules, with what is constant worked out once."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import graphql
from graphql import Undefined
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import input_is_nested_too_deeply
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_value

from graphql_api.execution.exact_scalars import get_exact_check


class _Variable(NamedTuple):
    name: str
    type: graphql.GraphQLInputType
    default: Any
    """Coerced; Undefined if there is none."""
    is_exact: Callable[[Any], bool]
    """Returns whether a value needs no coercion."""


class VariableCoercer:
    """Coerces the variables of one validated operation."""

    def __init__(self, schema: graphql.GraphQLSchema, definitions: Collection[graphql.VariableDefinitionNode]) -> None:
        """Work out types and defaults."""
        self._variables: list[_Variable] = []
        for definition in definitions:
            signature = get_variable_signature(schema, definition)
            if isinstance(signature, graphql.GraphQLError):
                raise signature
            default = coerce_default_value(signature)
            is_exact = get_exact_check(graphql.get_nullable_type(signature.type))
            self._variables.append(_Variable(signature.name, signature.type, default, is_exact))

    def coerce(self, raw_variables: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the coerced variables, or None if one is invalid. A missing one has no entry."""
        coerced = {}
        for name, variable_type, default, is_exact in self._variables:
            value = raw_variables.get(name, Undefined)
            if is_exact(value):
                coerced[name] = value
                continue
            if value is Undefined:
                if default is not Undefined:
                    coerced[name] = default
                elif graphql.is_non_null_type(variable_type):
                    return None
                continue
            is_nested = isinstance(value, dict | list)
            if is_nested and input_is_nested_too_deeply(value, variable_type):
                return None
            coerced[name] = coerce_input_value(value, variable_type)
            if coerced[name] is Undefined:
                return None
        return coerced
