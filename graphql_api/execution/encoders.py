"""Encoders: functions from a column of values to the JSON of each.

They work on columns, so that the work of a field is done once for all objects of a list. They raise
for every value that is not what its type says; the stock executor then reports the error.
"""

from __future__ import annotations  # else each closure holds objects for its annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import chain, islice
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

import graphql
import orjson

from graphql_api.domain.snapshot import DerivedCache
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.execution.exact_scalars import get_exact_check
from graphql_api.execution.limits import Budget
from graphql_api.execution.prepared_json import prepare_json

Column: TypeAlias = Sequence[Any]
"""Values of one field, one for each object."""


class ExecutionState(NamedTuple):
    """The values that one execution depends on. It is the `info` of resolvers, as `SnapshotInfo` describes it."""

    root_value: SnapshotReader

    variables: Mapping[str, Any]
    """Coerced."""
    derived: DerivedCache
    """Of the snapshot."""
    budget: Budget
    """Raises QueryTooComplex once the execution has taken too long, or makes too many bytes."""


Encoder: TypeAlias = Callable[[Column, ExecutionState], list[bytes]]


def encode_leaves(leaf_type: graphql.GraphQLLeafType) -> Encoder:
    """Return the encoder of a scalar or an enum."""
    is_exact = get_exact_check(leaf_type)
    coerce = leaf_type.coerce_output_value

    def encode(value: Any) -> bytes:  # noqa: ANN401 - any value that a resolver returns
        if is_exact(value):
            return orjson.dumps(value)
        coerced = None if value is None else coerce(value)
        if coerced is None or coerced is graphql.Undefined:
            raise ValueError("not a value of the type")
        return orjson.dumps(coerced)

    def encode_numbers(values: Column, _: ExecutionState) -> list[bytes]:
        # One call for all of them: each takes a buffer of its own.
        if values and all(map(is_exact, values)):
            return orjson.dumps(list(values))[1:-1].split(b",")
        return list(map(encode, values))

    return encode_numbers if leaf_type.name in ("Int", "Float") else lambda values, _: list(map(encode, values))


def encode_constant(json: bytes) -> Encoder:
    """Return the encoder of a field that has one value in every object."""
    return lambda values, _: [json] * len(values)


def encode_nullable(encode: Encoder) -> Encoder:
    """Return an encoder that accepts None."""

    def encode_all(values: Column, state: ExecutionState) -> list[bytes]:
        encoded = encode([value for value in values if value is not None], state)
        if len(encoded) == len(values):
            return encoded
        remaining = iter(encoded)
        return [b"null" if value is None else next(remaining) for value in values]

    return encode_all


def encode_lists(encode: Encoder) -> Encoder:
    """Return the encoder of lists, all of whose items are encoded together."""

    def encode_all(lists: Column, state: ExecutionState) -> list[bytes]:
        for values in lists:
            if not isinstance(values, list | tuple):
                raise TypeError("not a list")
        if len(lists) == 1:
            encoded = [b"[%b]" % b",".join(encode(lists[0], state))]
        else:
            items = iter(encode(list(chain.from_iterable(lists)), state))
            encoded = [b"[%b]" % b",".join(islice(items, len(values))) for values in lists]
        state.budget.limits.check("bytes", sum(map(len, encoded)))
        return encoded

    return encode_all


def encode_objects(columns: Mapping[str, Encoder]) -> Encoder:
    """Return the encoder of objects with these fields."""
    if not columns:
        return encode_constant(b"{}")
    template = "{{{}}}".format(",".join(f'"{key}":%b' for key in columns)).encode()
    encoders = tuple(columns.values())

    def encode(objects: Column, state: ExecutionState) -> list[bytes]:
        # The keys may be as long as the document.
        state.budget.limits.check("bytes", len(template) * len(objects))
        for value_type in set(map(type, objects)):
            if issubclass(value_type, NoneType | Exception):
                raise TypeError("not an object")
        if len(objects) == 1:
            state.budget.check_time()
            return [template % tuple([encode_column(objects, state)[0] for encode_column in encoders])]
        encoded = []
        for encode_column in encoders:
            state.budget.check_time()
            encoded.append(encode_column(objects, state))
        return [template % row for row in zip(*encoded, strict=True)]

    return encode


def encode_by_type(resolve_type: Callable[[Any], str], encoders: Mapping[str, Encoder]) -> Encoder:
    """Return the encoder of objects of an interface or a union, given the encoders by type name."""

    def encode(objects: Column, state: ExecutionState) -> list[bytes]:
        return [encoders[resolve_type(source)]((source,), state)[0] for source in objects]

    return encode


def encode_once(encode: Encoder, selection: Hashable) -> Encoder:
    """Return an encoder that prepares the JSON of each object once per snapshot, memory permitting.

    The objects must not change, and `encode` may depend on nothing else. Encoders of one `selection`
    share what they prepared.
    """
    return lambda objects, state: prepare_json(
        state.derived, selection, objects, lambda missing: encode(missing, state)
    )
