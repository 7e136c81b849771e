"""Validation of documents: graphql-core's rules, visited by the nodes that each of them handles.

graphql-core calls every rule for every node, and looks up its methods for every document. That was
two thirds of the time of a document that was not seen before.
"""

from __future__ import annotations  # else each closure holds objects for its annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import graphql
from graphql.language.visitor import SKIP
from graphql.pyutils import RefMap
from graphql.validation.rules.defer_stream_directive_label import DeferStreamDirectiveLabel
from graphql.validation.rules.defer_stream_directive_on_root_field import DeferStreamDirectiveOnRootField
from graphql.validation.rules.defer_stream_directive_on_valid_operations_rule import (
    DeferStreamDirectiveOnValidOperationsRule,
)
from graphql.validation.rules.overlapping_fields_can_be_merged import RuleContext
from graphql.validation.rules.stream_directive_on_list_field import StreamDirectiveOnListField
from graphql.validation.validate import FragmentNestingVisitor, ValidationAbortedError, query_document_keys_to_validate
from graphql.validation.validation_context import VariableUsage, VariableUsageVisitor

from graphql_api.utils.slices import end_slice

_Parent: TypeAlias = graphql.Node | tuple[graphql.Node, ...] | None
_Handler: TypeAlias = Callable[..., Any]

_RULES_BY_TOKEN: Mapping[graphql.TokenKind, Collection[type[graphql.ASTValidationRule]]] = {
    graphql.TokenKind.DOLLAR: (
        graphql.VariablesAreInputTypesRule,
        graphql.UniqueVariableNamesRule,
        graphql.NoUndefinedVariablesRule,
        graphql.NoUnusedVariablesRule,
        graphql.VariablesInAllowedPositionRule,
    ),
    graphql.TokenKind.SPREAD: (
        graphql.FragmentsOnCompositeTypesRule,
        graphql.UniqueFragmentNamesRule,
        graphql.KnownFragmentNamesRule,
        graphql.NoUnusedFragmentsRule,
        graphql.PossibleFragmentSpreadsRule,
        graphql.NoFragmentCyclesRule,
    ),
    graphql.TokenKind.AT: (
        graphql.KnownDirectivesRule,
        graphql.UniqueDirectivesPerLocationRule,
        DeferStreamDirectiveOnRootField,
        DeferStreamDirectiveOnValidOperationsRule,
        DeferStreamDirectiveLabel,
        StreamDirectiveOnListField,
    ),
}
"""Rules by the kind of token without which they find nothing. A fragment definition counts as a spread."""
_NAME_KEYS = frozenset({"name", "alias"})
"""Children that no rule visits."""


class _HandlerNames(NamedTuple):
    """Attributes of the visitors that handle one kind of node: index of the visitor, and name or None."""

    enter: Sequence[tuple[int, str]]
    leave: Sequence[tuple[int, str | None]]
    """Those without a name only end the skipping that they began on entering the node."""


class _Handlers(NamedTuple):
    """How to visit one kind of node."""

    child_keys: Sequence[str]
    enter_type: Callable[[graphql.Node], None] | None
    leave_type: Callable[[], None] | None
    enter: Sequence[tuple[int, _Handler]]
    leave: Sequence[tuple[int, _Handler | None]]


@cache
def select_rules(token_kinds: frozenset[graphql.TokenKind]) -> Collection[type[graphql.ASTValidationRule]]:
    """Return the rules that may find an error in a document with these kinds of tokens."""
    skipped = {rule for kind, rules in _RULES_BY_TOKEN.items() if kind not in token_kinds for rule in rules}
    return tuple(rule for rule in graphql.specified_rules if rule not in skipped)


def validate_document(
    schema: graphql.GraphQLSchema,
    document: graphql.DocumentNode,
    rules: Collection[type[graphql.ASTValidationRule]],
    *,
    max_errors: int,
    hide_suggestions: bool,
) -> list[graphql.GraphQLError]:
    """Return the errors of `graphql.validate`, in its order."""
    errors: list[graphql.GraphQLError] = []

    def add_error(error: graphql.GraphQLError) -> None:
        if len(errors) >= max_errors:
            raise ValidationAbortedError("Too many validation errors, error limit reached. Validation aborted.")
        errors.append(error)

    type_info = graphql.TypeInfo(schema)
    context = _Context(schema, document, type_info, add_error, hide_suggestions)
    visitors: list[graphql.Visitor] = [rule(context) for rule in rules]
    for visitor in visitors:
        if isinstance(visitor, graphql.OverlappingFieldsCanBeMergedRule):
            visitor.rule_context = _SlicedComparison()
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, graphql.FragmentDefinitionNode)
    }
    if fragments:
        visitors.insert(0, FragmentNestingVisitor(fragments))
    try:
        _Walk(visitors, type_info).visit(document, None, None)
    except ValidationAbortedError as error:
        error.__context__ = None  # frees the frames of the walk
        errors.append(error.with_traceback(None))
    except RecursionError:
        errors.append(ValidationAbortedError("Validation aborted."))
    return errors


class _SlicedComparison(RuleContext):
    """Counts compared fields, and may end a slice before each: there are up to a million pairs of one selection."""

    __slots__ = ("_remaining",)

    @property
    def remaining_complexity_budget(self) -> int:
        """Return how much more may be compared."""
        return self._remaining

    @remaining_complexity_budget.setter
    def remaining_complexity_budget(self, remaining: int) -> None:
        end_slice()
        self._remaining = remaining


class _Context(graphql.ValidationContext):
    """Finds variables by a walk of the same kind. Keeps what was found by identity: the hash of a node takes long."""

    _fragment_spreads: Any
    _variable_usages: Any
    _recursive_variable_usages: Any

    def __init__(self, *args: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(*args)
        self._fragment_spreads = RefMap()
        self._variable_usages = RefMap()
        self._recursive_variable_usages = RefMap()

    def get_variable_usages(self, node: Any) -> list[VariableUsage]:  # noqa: ANN401 - a type that graphql-core hides
        usages: list[VariableUsage] | None = self._variable_usages.get(node)
        if usages is None:
            fragment = node if isinstance(node, graphql.FragmentDefinitionNode) else None
            visitor = VariableUsageVisitor(self._type_info, fragment)
            _Walk([visitor], self._type_info).visit(node, None, None)
            usages = self._variable_usages[node] = visitor.usages
        return usages


class _Walk:
    """Visits nodes with several visitors, as graphql-core's `ParallelVisitor` does.

    They get no paths, and may return nothing but SKIP.
    """

    def __init__(self, visitors: Sequence[graphql.Visitor], type_info: graphql.TypeInfo) -> None:
        self._visitors = visitors
        self._names = _get_handler_table(tuple(map(type, visitors)))
        self._type_info = type_info
        self._skipping: list[Any] = [None] * len(visitors)
        """By visitor, the node below which it visits nothing."""
        self._ancestors: list[Any] = []
        self._handlers: dict[str, _Handlers] = {}

    def visit(self, node: graphql.Node, key: str | int | None, parent: _Parent) -> None:
        """Visit a node and all below it, with one frame of the stack for each level. Others get turns between nodes."""
        end_slice()
        handlers = self._handlers.get(node.kind) or self._bind(node.kind)
        ancestors = self._ancestors
        self._enter(handlers, node, key, parent)
        if parent is not None:
            ancestors.append(parent)
        for child_key in handlers.child_keys:
            child = getattr(node, child_key, None)
            if isinstance(child, tuple):
                ancestors.append(node)
                for index, item in enumerate(child):
                    self.visit(item, index, child)
                ancestors.pop()
            elif child is not None:
                self.visit(child, child_key, node)
        if parent is not None:
            ancestors.pop()
        self._leave(handlers, node, key, parent)

    def _enter(self, handlers: _Handlers, node: graphql.Node, key: str | int | None, parent: _Parent) -> None:
        skipping, ancestors = self._skipping, self._ancestors
        if handlers.enter_type:
            handlers.enter_type(node)
        for index, handle in handlers.enter:
            if skipping[index] is None and handle(node, key, parent, (), ancestors) is SKIP:
                skipping[index] = node

    def _leave(self, handlers: _Handlers, node: graphql.Node, key: str | int | None, parent: _Parent) -> None:
        skipping, ancestors = self._skipping, self._ancestors
        for index, handle in handlers.leave:
            if skipping[index] is node:
                skipping[index] = None
            elif handle and skipping[index] is None:
                handle(node, key, parent, (), ancestors)
        if handlers.leave_type:
            handlers.leave_type()

    def _bind(self, kind: str) -> _Handlers:
        names, visitors = self._names[kind], self._visitors
        self._handlers[kind] = handlers = _Handlers(
            tuple(key for key in query_document_keys_to_validate.get(kind, ()) if key not in _NAME_KEYS),
            getattr(self._type_info, f"enter_{kind}", None),
            getattr(self._type_info, f"leave_{kind}", None),
            [(index, getattr(visitors[index], name)) for index, name in names.enter],
            [(index, getattr(visitors[index], name) if name else None) for index, name in names.leave],
        )
        return handlers


class _HandlerTable(dict[str, _HandlerNames]):
    """The handlers of visitors of some types, by kind of node."""

    def __init__(self, visitor_types: Sequence[type[graphql.Visitor]]) -> None:
        super().__init__()
        self._visitor_types = visitor_types

    def __missing__(self, kind: str) -> _HandlerNames:
        found = [
            (index, _find_method(visitor_type, "enter", kind), _find_method(visitor_type, "leave", kind))
            for index, visitor_type in enumerate(self._visitor_types)
        ]
        names = self[kind] = _HandlerNames(
            [(index, enter) for index, enter, _ in found if enter],
            [(index, leave) for index, enter, leave in found if enter or leave],
        )
        return names


def _find_method(visitor_type: type[graphql.Visitor], action: str, kind: str) -> str | None:
    return next((name for name in (f"{action}_{kind}", action) if hasattr(visitor_type, name)), None)


_get_handler_table = cache(_HandlerTable)
