"""Encoders: from the values of a field to the JSON of each.

They work on columns, so that the work of a field is done once for all objects of a list; the JSON of a single object
is written in pieces, which are joined once. They raise for every value that is not what its type says; the stock
executor then reports the error.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from types import NoneType
from typing import Any, NamedTuple, Protocol, TypeAlias

import graphql
import orjson

from graphql_api.domain.derived_cache import DerivedCache
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.execution.exact_scalars import get_exact_check
from graphql_api.execution.limits import Budget
from graphql_api.execution.prepared_json import PreparedPiece, PreparedTable, prepare_json

Column: TypeAlias = Sequence[Any]
"""Values of one field, one for each object."""

Pieces: TypeAlias = list[bytes]
"""The JSON of one value, in parts."""


class ExecutionState(NamedTuple):
    """The values that one execution depends on. It is the `info` of resolvers, as `SnapshotInfo` describes it."""

    root_value: SnapshotReader

    variables: Mapping[str, Any]
    """Coerced."""
    derived: DerivedCache
    """Of the snapshot."""
    budget: Budget
    """Raises QueryTooComplex once the execution has taken too long, or makes too many bytes."""


class Encoder(ABC):
    """Makes JSON of the values of a field. It is an object because closures take three times the memory."""

    __slots__ = ()

    @abstractmethod
    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        """Return the JSON of each value."""

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401 - any value of the field
        """Append the JSON of a single value."""
        pieces += self.encode((value,), state)

    def join(self, value: Any, state: ExecutionState) -> bytes:  # noqa: ANN401 - any value of the field
        """Return the JSON of a single value, without spare memory."""
        pieces: Pieces = []
        self.write(value, state, pieces)
        return b"".join(pieces)


class LeafEncoder(Encoder):
    """Encodes a scalar or an enum."""

    __slots__ = ("_coerce", "_is_exact", "_is_number")

    def __init__(self, leaf_type: graphql.GraphQLLeafType) -> None:
        self._is_exact = get_exact_check(leaf_type)
        self._coerce = leaf_type.coerce_output_value
        self._is_number = leaf_type.name in ("Int", "Float")

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:  # noqa: ARG002 - of the base class
        # One call for all numbers: each takes a buffer of its own.
        if self._is_number and values and all(map(self._is_exact, values)):
            return orjson.dumps(list(values))[1:-1].split(b",")
        return list(map(self._encode_value, values))

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401, ARG002 - of the base class
        pieces.append(self._encode_value(value))

    def _encode_value(self, value: object) -> bytes:
        if self._is_exact(value):
            return orjson.dumps(value)
        coerced = None if value is None else self._coerce(value)
        if coerced is None or coerced is graphql.Undefined:
            raise ValueError("not a value of the type")
        return orjson.dumps(coerced)


@dataclass(frozen=True, slots=True, eq=False)
class ConstantEncoder(Encoder):
    """Encodes a field that has one value in every object."""

    json: bytes

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:  # noqa: ARG002 - of the base class
        return [self.json] * len(values)


@dataclass(frozen=True, slots=True, eq=False)
class NullableEncoder(Encoder):
    """Encodes values that may be None."""

    present: Encoder

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        encoded = self.present.encode([value for value in values if value is not None], state)
        if len(encoded) == len(values):
            return encoded
        remaining = iter(encoded)
        return [b"null" if value is None else next(remaining) for value in values]

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401 - of the base class
        if value is None:
            pieces.append(b"null")
        else:
            self.present.write(value, state, pieces)


@dataclass(frozen=True, slots=True, eq=False)
class ListEncoder(Encoder):
    """Encodes lists, all of whose items are encoded together."""

    item: Encoder

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        for items in values:
            _check_list(items)
        all_items = iter(self.item.encode(list(chain.from_iterable(values)), state))
        encoded = [b"[%b]" % b",".join(islice(all_items, len(items))) for items in values]
        state.budget.check_bytes(sum(map(len, encoded)))
        return encoded

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401 - of the base class
        _check_list(value)
        items = b",".join(self.item.encode(value, state))
        state.budget.check_bytes(len(items))
        pieces += (b"[", items, b"]")


def _check_list(value: object) -> None:
    if not isinstance(value, list | tuple):
        raise TypeError("not a list")


class ObjectEncoder(Encoder):
    """Encodes objects of one type."""

    __slots__ = ("_fields", "_template", "_writers")

    def __init__(self, fields: Mapping[str, Encoder]) -> None:
        """Encode objects with these fields, at least one."""
        self._template = "{{{}}}".format(",".join(f'"{key}":%b' for key in fields)).encode()
        self._fields = tuple(fields.values())
        self._writers = tuple(zip(self._template.split(b"%b"), self._fields, strict=False))

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        # The keys may be as long as the document.
        state.budget.check_bytes(len(self._template) * len(values))
        if len(values) == 1:
            state.budget.check_time()
            return [self.join(values[0], state)]
        for value_type in set(map(type, values)):
            if issubclass(value_type, NoneType | Exception):
                raise TypeError("not an object")
        encoded = []
        for field in self._fields:
            state.budget.check_time()
            encoded.append(field.encode(values, state))
        return [self._template % row for row in zip(*encoded, strict=True)]

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401 - of the base class
        if value is None or isinstance(value, Exception):
            raise TypeError("not an object")
        for head, field in self._writers:
            pieces.append(head)
            field.write(value, state, pieces)
        pieces.append(b"}")


@dataclass(frozen=True, slots=True, eq=False)
class AbstractEncoder(Encoder):
    """Encodes objects of an interface or a union."""

    resolve_type: Callable[[Any], str]
    encoders: Mapping[str, Encoder]
    """By type name."""

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        return [self.join(value, state) for value in values]

    def write(self, value: Any, state: ExecutionState, pieces: Pieces) -> None:  # noqa: ANN401 - of the base class
        self.encoders[self.resolve_type(value)].write(value, state, pieces)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedEncoder(Encoder):
    """Prepares the JSON of each object once per snapshot, memory permitting.

    The objects must not change, and the JSON may depend on nothing else.
    """

    encoder: Encoder
    selection: Hashable
    """Encoders of one selection share what they prepared."""
    is_shared: bool
    """If true, all documents share it. If not, it is prepared from its second use on."""

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        table = self._find_table(state)
        if table is None:
            return self.encoder.encode(values, state)
        found = table.find(values)
        if found is not None:
            return found
        return prepare_json(state.derived, self.selection, table, values, partial(self.encoder.encode, state=state))

    def _find_table(self, state: ExecutionState) -> PreparedTable | None:
        """Return the JSON that there is. None if it is too early to keep any."""
        table: PreparedTable | None = state.derived.get(self.selection)
        if table is None and (self.is_shared or state.derived.is_used_again(self.selection)):
            return PreparedTable()
        return table


class Identified(Protocol):
    """An object that may be equal to others of its snapshot."""

    @property
    def identity(self) -> Hashable:
        """Return what equal objects have in common; None if it is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPieceEncoder(Encoder):
    """Prepares the JSON of equal objects, from their second use in a snapshot on, on which alone it may depend.

    Where unknown values are noted, it is encoded each time: they belong to the response too.
    """

    encoder: Encoder
    selection: Hashable

    def encode(self, values: Column, state: ExecutionState) -> list[bytes]:
        return self.encoder.encode(values, state)

    def write(self, value: Identified, state: ExecutionState, pieces: Pieces) -> None:
        key = (self.selection, value.identity)
        prepared: PreparedPiece | None = state.derived.get(key)
        if prepared is not None:
            pieces.append(prepared.json)
        elif key[1] is None or not state.derived.is_used_again(key):
            self.encoder.write(value, state, pieces)
        else:
            piece = self.encoder.join(value, state)
            if not state.root_value.unknown_values:
                state.derived.put(key, PreparedPiece(piece))
            pieces.append(piece)
