"""Documents: parsed once per text; their operations are measured, validated and compiled once each.

Nothing here depends on variables, except that a compiled form depends on those of @skip and @include.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import graphql
from graphql.execution import collect_fields
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.values import VariableValues, get_variable_values
from graphql.language.parser import Parser, nested_too_deeply_error
from strawberry.types.graphql import OperationType

from graphql_api.errors import InvalidInput
from graphql_api.execution.arguments import NotCovered
from graphql_api.execution.compiler import Compiler
from graphql_api.execution.encoders import Encoder
from graphql_api.execution.hints import add_hints
from graphql_api.execution.introspection_cost import INTROSPECTION_FIELDS
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.query_cost import OperationCost, is_short, measure_operation
from graphql_api.execution.source import IndexedSource
from graphql_api.execution.validation import select_rules, validate_document
from graphql_api.execution.variables import VariableCoercer
from graphql_api.utils.slices import end_slice

_MAX_COMPILED = 8
"""Compiled forms of an operation, one for each combination of its Boolean variables."""
_MAX_VALIDATION_ERRORS = 5
"""Validation stops after this number of errors."""
_MAX_VARIABLE_ERRORS = 50
"""Coercion of variables stops after this number of errors."""
_CHARACTERS_PER_TOKEN = 5
"""Bounds a document of few, long tokens. Formatted queries have about 6 characters per token."""
_NAME_RULES = (
    graphql.ExecutableDefinitionsRule,
    graphql.UniqueOperationNamesRule,
    graphql.LoneAnonymousOperationRule,
    graphql.UniqueFragmentNamesRule,
    graphql.NoUnusedFragmentsRule,
)
"""The rules that see definitions as a whole. They take time in proportion to a document's length."""
_TOO_MANY_TOKENS = "Syntax Error: Document contains more than "


class OperationInfo(NamedTuple):
    """Kind and name of an operation, for the log."""

    kind: str | None
    """`query`, `mutation` or `subscription`. None if the document has no such operation."""
    name: str | None
    """The name in the document. None for an anonymous operation."""


NO_OPERATION = OperationInfo(None, None)


class _Parser(Parser):
    """A parser in whose work others get their turns."""

    def __init__(self, source: graphql.Source, max_tokens: int) -> None:
        super().__init__(source, max_lexical_tokens=max_tokens, max_comments=max_tokens)

    def loc(self, start_token: graphql.Token) -> graphql.Location | None:
        """Return the location of a node that has just been parsed."""
        end_slice()
        return super().loc(start_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentParser:
    """Parses and validates documents."""

    schema: graphql.GraphQLSchema
    compiler: Compiler
    limits: QueryLimits
    introspection: bool
    """If false, introspection is rejected, and error messages suggest no names."""

    def parse(self, text: str) -> "Document":
        """Parse a document, without measuring and validating its operations.

        Raises:
            QueryTooComplex: The document exceeds the limit of tokens.
            GraphQLSyntaxError: The text is not a document.
        """
        limits = self.limits
        lines = text.count("\n") + text.count("\r")
        limits.check("tokens", max(-(-len(text) // _CHARACTERS_PER_TOKEN), lines))
        parser, node = _Parser(IndexedSource(text), limits.tokens), None
        try:
            node = parser.parse_document()
        except RecursionError:
            pass  # its frames would be kept as the context of an error that is raised here
        except graphql.GraphQLSyntaxError as error:
            if error.message.startswith(_TOO_MANY_TOKENS):
                raise limits.build_error("tokens", f"over {limits.tokens}") from None
            raise
        if node is None:
            raise nested_too_deeply_error(parser)
        return Document(self, node, _unlink_tokens(node))

    def validate(
        self, node: graphql.DocumentNode, rules: Collection[type[graphql.ASTValidationRule]]
    ) -> list[graphql.GraphQLError]:
        """Return the validation errors of a document whose length is limited."""
        extra_rules = () if self.introspection else (graphql.NoSchemaIntrospectionCustomRule,)
        errors = validate_document(
            self.schema,
            node,
            (*rules, *extra_rules),
            max_errors=_MAX_VALIDATION_ERRORS,
            hide_suggestions=not self.introspection,
        )
        return add_hints(errors, self.schema) if self.introspection else errors


class PreparedOperation:
    """An operation with the fragments of its document, compiled as far as that is possible."""

    def __init__(
        self,
        parser: DocumentParser,
        node: graphql.OperationDefinitionNode,
        fragments: Mapping[str, graphql.FragmentDefinitionNode],
    ) -> None:
        """Prepare the operation. It is measured, validated and compiled on first use."""
        self.schema = parser.schema
        self.node = node
        self.info = OperationInfo(node.operation.value, node.name.value if node.name else None)
        self.type = OperationType(node.operation.value)
        self.limits = parser.limits
        self.hide_suggestions = not parser.introspection
        self._parser = parser
        self._fragment_nodes = fragments
        self._fragments = {name: collect_fields.FragmentDetails(fragment) for name, fragment in fragments.items()}
        self._boolean_variables = tuple(
            definition.variable.name.value
            for definition in node.variable_definitions or ()
            if _get_type_name(definition.type) == "Boolean"
        )
        self._compiled: dict[tuple[object, ...], Encoder | None] = {}

    @cached_property
    def reads_schema_only(self) -> bool:
        """True if every field of the root object is one of introspection, without fragments."""
        selections = self.node.selection_set.selections
        return all(
            isinstance(selection, graphql.FieldNode) and selection.name.value in INTROSPECTION_FIELDS
            for selection in selections
        )

    @cached_property
    def cost(self) -> OperationCost:
        """Cost of the operation, before its variables are known.

        Raises:
            QueryTooComplex: The operation exceeds a limit.
        """
        return measure_operation(self.node, self.schema, self._fragment_nodes, self.limits)

    @cached_property
    def validation_errors(self) -> list[graphql.GraphQLError]:
        """Errors of the operation and its fragments against the schema, other operations left out."""
        document = graphql.DocumentNode(definitions=(self.node, *self.cost.fragments))
        return self._parser.validate(document, graphql.specified_rules)

    @cached_property
    def _variable_coercer(self) -> VariableCoercer:
        return VariableCoercer(self.schema, self.node.variable_definitions or ())

    def coerce_variables(self, raw_variables: Mapping[str, Any]) -> list[graphql.GraphQLError] | dict[str, Any]:
        """Return the variables as values of their types, or the errors."""
        coerced = self._variable_coercer.coerce(raw_variables)
        if coerced is not None:
            return coerced
        values = get_variable_values(
            self.schema,
            self.node.variable_definitions or (),
            dict(raw_variables),
            max_errors=_MAX_VARIABLE_ERRORS,
            hide_suggestions=self.hide_suggestions,
        )
        if isinstance(values, VariableValues):
            return values.coerced
        return values if self.hide_suggestions else add_hints(values, self.schema)

    def compile(self, variables: Mapping[str, Any]) -> Encoder | None:
        """Return the encoder of the root object, or None if the operation cannot be compiled."""
        key = tuple(map(variables.get, self._boolean_variables)) if self._boolean_variables else ()
        if key not in self._compiled:
            if len(self._compiled) >= _MAX_COMPILED:
                self._compiled.clear()
            self._compiled[key] = self._compile(variables)
        return self._compiled[key]

    def _compile(self, variables: Mapping[str, Any]) -> Encoder | None:
        root_type = self.schema.get_root_type(self.node.operation)
        if root_type is None or self.node.operation is not graphql.OperationType.QUERY:
            return None
        values = VariableValues({}, dict(variables))

        def collect(object_type: graphql.GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
            return collect_fields.collect_subfields(
                self.schema, self._fragments, values, self.node, object_type, details
            ).grouped_field_set

        try:
            fields = collect_fields.collect_fields(
                self.schema, self._fragments, values, root_type, self.node
            ).grouped_field_set
            selection = self._parser.compiler.compile_object(root_type, fields, collect)
        except (NotCovered, graphql.GraphQLError):
            return None
        return selection.encoder


class Document:
    """A parsed document."""

    def __init__(
        self, parser: DocumentParser, node: graphql.DocumentNode, token_counts: Counter[graphql.TokenKind]
    ) -> None:
        self.node = node
        self.token_count = token_counts.total()
        self._parser = parser
        fragments = {
            definition.name.value: definition
            for definition in node.definitions
            if isinstance(definition, graphql.FragmentDefinitionNode)
        }
        self.rules: Collection[type[graphql.ASTValidationRule]] = _NAME_RULES
        """The rules to validate the document by, as a whole."""
        if is_short(node, fragments, self.token_count, parser.limits):
            fragment_tokens = {graphql.TokenKind.SPREAD} if fragments else set()
            self.rules = select_rules(frozenset(token_counts.keys() | fragment_tokens))
        self._operations = [
            PreparedOperation(parser, definition, fragments)
            for definition in node.definitions
            if isinstance(definition, graphql.OperationDefinitionNode)
        ]

    def validate(self, operation: PreparedOperation) -> list[graphql.GraphQLError]:
        """Return the validation errors that keep an operation within the limits from being executed.

        The time of some rules is quadratic in fields. So if other operations make the document
        longer than one operation may be, only its definitions are validated, and the operation.
        """
        return self._errors if self.rules is not _NAME_RULES else self._errors or operation.validation_errors

    @cached_property
    def _errors(self) -> list[graphql.GraphQLError]:
        return self._parser.validate(self.node, self.rules)

    def prepare(self) -> None:
        """Measure, validate and compile every operation.

        Raises:
            QueryTooComplex: An operation exceeds a limit.
            InvalidInput: An operation is not valid, or there is none.
        """
        if not self._operations:
            raise InvalidInput("The document has no operation.")
        for operation in self._operations:
            _ = operation.cost
            if errors := self.validate(operation):
                raise InvalidInput(errors[0].message)
            operation.compile({})

    def get_operation(self, name: str | None) -> PreparedOperation:
        """Return the operation of that name; without a name, the only operation.

        Raises:
            InvalidInput: There is no such operation, or several and no name.
        """
        if name is None and len(self._operations) > 1:
            raise InvalidInput("The document has several operations: name one in operationName.")
        for operation in self._operations:
            if name is None or operation.info.name == name:
                return operation
        problem = "no operation" if name is None else f"no operation named {name!r}"
        raise InvalidInput(f"The document has {problem}.")


def _unlink_tokens(node: graphql.DocumentNode) -> Counter[graphql.TokenKind]:
    """Take the chain of tokens apart and count them by kind. Only the garbage collector could free a chain."""
    token = node.loc.start_token if node.loc else None
    kinds = []
    while token is not None:
        kinds.append(token.kind)
        following, token.prev, token.next = token.next, None, None
        token = following
    return Counter(kinds)


def _get_type_name(node: graphql.TypeNode) -> str | None:
    named_type = node.type if isinstance(node, graphql.NonNullTypeNode) else node
    return named_type.name.value if isinstance(named_type, graphql.NamedTypeNode) else None
