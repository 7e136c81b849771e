"""Measuring a document in one pass, each fragment once, however often it is used.

What does not depend on variables is checked at once. What does is kept as a sum of products, which
`Measures.check` works out for the variables of a request, so that a document is measured once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)

from graphql_api.schema.limits import Limits

_CHARACTERS = 10
"""So many characters of a text cost as much as one field of one row."""
_DIGITS = 10
"""No number of rows has more."""


class Page(NamedTuple):
    """How many rows a field has: as many as are asked for, but no more than there are."""

    most: int | None
    """None for as many as there are countries."""
    asked: int | str | None = None
    """A number, the name of a variable, or None where the client does not say."""

    def rows(self, countries: int, variables: Mapping[str, Any]) -> int:
        """Return the number, for so many countries and these variables."""
        most = countries if self.most is None else self.most
        asked = variables.get(self.asked) if isinstance(self.asked, str) else self.asked
        return min(max(asked, 0), most) if isinstance(asked, int) else most


_ONE, _ALL = Page(1), Page(None)
_PAGED = {
    "countries": _ALL,
    "refreshes": Page(1000, 10),
    "failedRefreshes": Page(1000, 10),
    # An introspection's rows are a rough guess.
    "__schema": Page(50),
    "__type": Page(50),
}
"""Fields whose selections are made for many rows, and for how many without first and last."""


class _Use(NamedTuple):
    """A variable in an argument."""

    name: str


@dataclass(slots=True)
class _Size:
    """What an argument or a variable asks to be worked through."""

    operands: int = 0
    """Fields of objects, each of which is compared with every country."""
    parts: int = 0
    """Items of lists, and texts by their length."""
    uses: Counter[str] = field(default_factory=Counter)
    """How often it holds each variable."""


@dataclass(slots=True)
class _Tally:
    """What a selection holds, its fragments included."""

    depth: int = 1
    fields: int = 0
    aliases: int = 0
    roots: int = 0
    directives: int = 0
    pages: Counter[Page] = field(default_factory=Counter)
    """How many fields are made for each row of a page."""
    uses: Counter[str] = field(default_factory=Counter)

    def add(self, part: "_Tally") -> None:
        """Take in a fragment."""
        self.roots += part.roots
        self.pages.update(part.pages)
        self.add_below(part)

    def add_below(self, part: "_Tally") -> None:
        """Take in what a field selects, but for its rows."""
        self.depth = max(self.depth, part.depth + 1)
        self.fields += part.fields
        self.aliases += part.aliases
        self.directives += part.directives
        self.uses.update(part.uses)

    def add_size(self, size: _Size) -> None:
        """Take in an argument."""
        self.pages[_ALL] += size.operands
        self.pages[_ONE] += size.parts
        self.uses.update(size.uses)


class Operation(NamedTuple):
    """What an operation costs."""

    pages: Mapping[Page, int]
    """How many fields are made for each row of a page."""
    uses: Mapping[str, int]
    """How often each variable is used."""
    defaults: Mapping[str, object]
    """The values of variables that are not given."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What is left to check of a document that is within the limits whatever its variables."""

    operations: Sequence[Operation]
    limits: Limits

    def check(self, variables: Mapping[str, Any], *, countries: int) -> int:
        """Return the cost for so many countries, of the dearest operation.

        Raises:
            QueryTooComplex: a list, the nesting or the cost is beyond its limit.
        """
        sizes = {
            name: _measure_value(value, self.limits)
            for name, value in variables.items()
            if isinstance(value, str | dict | list)
        }
        costs = (self._cost(one, variables, sizes, countries) for one in self.operations)
        cost = max(costs, default=0)
        self.limits.check("cost", cost)
        return cost

    def _cost(
        self,
        operation: Operation,
        variables: Mapping[str, Any],
        sizes: Mapping[str, _Size],
        countries: int,
    ) -> int:
        values = {**operation.defaults, **variables}
        cost = sum(count * page.rows(countries, values) for page, count in operation.pages.items())
        for name, count in operation.uses.items():
            if name in values:
                size = sizes.get(name) or _measure_value(values[name], self.limits)
                cost += count * (size.operands * countries + size.parts)
        return cost


def measure(document: DocumentNode, limits: Limits) -> Measures:
    """Return the measures of a document; fragments that use one another in a circle count once.

    Raises:
        QueryTooComplex: it is beyond a limit whatever its variables.
    """
    limits.check("definitions", len(document.definitions))
    return _Measuring(document, limits).measures()


class _Measuring:
    """One document being measured; nothing in it is looked at twice."""

    def __init__(self, document: DocumentNode, limits: Limits) -> None:
        self._document = document
        self._limits = limits
        self._fragments = {
            one.name.value: one
            for one in document.definitions
            if isinstance(one, FragmentDefinitionNode)
        }
        self._tallies: dict[str, _Tally | None] = {}
        """Of each fragment; None while it is being measured."""
        self._written = _Tally()
        """Of the document as it is written, with every fragment once."""

    def measures(self) -> Measures:
        operations = [
            self._operation(one)
            for one in self._document.definitions
            if isinstance(one, OperationDefinitionNode)
        ]
        for name in self._fragments:
            self._fragment(name, 1)
        self._check(self._written)
        return Measures(operations, self._limits)

    def _operation(self, operation: OperationDefinitionNode) -> Operation:
        tally = self._selections(operation.selection_set, 1)
        self._directives(operation.directives, tally)
        defaults = {}
        for one in operation.variable_definitions or ():
            self._directives(one.directives, tally)
            if one.default_value is not None:
                defaults[one.variable.name.value] = _plain(one.default_value)
        self._check(tally)
        self._limits.check("roots", tally.roots)
        return Operation(tally.pages, tally.uses, defaults)

    def _selections(self, selection_set: SelectionSetNode, level: int) -> _Tally:
        self._limits.check("depth", level)
        tally = _Tally()
        for one in selection_set.selections:
            self._directives(one.directives, tally)
            if isinstance(one, FieldNode):
                self._field(one, level, tally)
            elif isinstance(one, FragmentSpreadNode):
                if part := self._fragment(one.name.value, level + 1):
                    tally.add(part)
            elif isinstance(one, InlineFragmentNode):
                tally.add(self._selections(one.selection_set, level + 1))
        return tally

    def _field(self, node: FieldNode, level: int, tally: _Tally) -> None:
        below = self._selections(node.selection_set, level + 1) if node.selection_set else None
        for one in (tally, self._written):
            one.fields += 1
            one.aliases += node.alias is not None
        tally.roots += 1
        for argument in node.arguments or ():
            tally.add_size(_measure_value(_plain(argument.value), self._limits))
        page = _page(node)
        if page is not None:
            tally.pages[page] += 1 + (below.fields if below else 0)
        else:
            tally.pages[_ONE] += 1
        if below is not None:
            tally.add_below(below)
            if page is None:
                tally.pages.update(below.pages)

    def _fragment(self, name: str, level: int) -> _Tally | None:
        """Return what a fragment holds; None if there is none, or it is being measured."""
        if name in self._tallies or name not in self._fragments:
            tally = self._tallies.get(name)
            self._limits.check("depth", level + tally.depth - 1 if tally else level)
            return tally
        self._tallies[name] = None
        tally = self._selections(self._fragments[name].selection_set, level)
        self._directives(self._fragments[name].directives, tally)
        self._check(tally)
        self._tallies[name] = tally
        return tally

    def _directives(self, directives: Sequence[DirectiveNode] | None, tally: _Tally) -> None:
        for directive in directives or ():
            tally.directives += 1
            self._written.directives += 1
            for argument in directive.arguments or ():
                tally.add_size(_measure_value(_plain(argument.value), self._limits))

    def _check(self, tally: _Tally) -> None:
        for name in ("fields", "aliases", "directives"):
            self._limits.check(name, getattr(tally, name))


def _page(node: FieldNode) -> Page | None:
    """Return how many rows a field has; None if it is one."""
    page = _PAGED.get(node.name.value)
    if page is None:
        return None
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            asked = _plain(argument.value)
            if isinstance(asked, _Use):
                return Page(page.most, asked.name)
            if isinstance(asked, int):
                return Page(page.most, asked)
    return page


def _plain(node: ValueNode) -> object:
    """Return a value as JSON would have it, as far as its size depends on it."""
    match node:
        case ObjectValueNode():
            return {one.name.value: _plain(one.value) for one in node.fields}
        case ListValueNode():
            return [_plain(one) for one in node.values]
        case VariableNode():
            return _Use(node.name.value)
        case StringValueNode():
            return node.value
        case IntValueNode() if len(node.value) <= _DIGITS:
            return int(node.value)
    return None


def _measure_value(value: object, limits: Limits) -> _Size:
    """Return the size of a value.

    Raises:
        QueryTooComplex: a list in it is too long, or it is nested too deeply.
    """
    size = _Size()
    _add_value(value, size, limits, 0)
    return size


def _add_value(value: object, size: _Size, limits: Limits, level: int) -> None:
    if isinstance(value, _Use):
        size.uses[value.name] += 1
    elif isinstance(value, str):
        size.parts += len(value) // _CHARACTERS
    elif isinstance(value, dict | list):
        limits.check("nesting", level + 1)
        if isinstance(value, dict):
            size.operands += len(value)
        else:
            limits.check("items", len(value))
            size.parts += len(value)
        for one in value.values() if isinstance(value, dict) else value:
            _add_value(one, size, limits, level + 1)
