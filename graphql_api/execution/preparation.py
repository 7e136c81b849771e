"""From the text of a document to one that can be executed: parsed, measured and validated.

It depends on the text alone, so it can be kept for whoever sends the same text again.
"""

from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    parse,
    specified_rules,
    validate,
)

from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.query_cost import QueryCost, measure_cost

_MAX_VALIDATION_ERRORS = 5
"""Errors of validation, after which it is given up."""
_TOO_MANY_TOKENS = "Syntax Error: Document contains more than "


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document that is within the limits, as far as that does not depend on variables."""

    document: DocumentNode
    query_cost: QueryCost


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentParser:
    """How documents are prepared."""

    limits: QueryLimits
    introspection: bool
    """Whether the schema may be asked for; if not, no error suggests names of it either."""

    def parse(self, text: str) -> ParsedDocument:
        """Parse and measure a document.

        Raises:
            QueryTooComplex: it is beyond a limit.
            GraphQLSyntaxError: it is not one.
        """
        limits = self.limits
        limits.check("characters", len(text))
        try:
            document = parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
        except GraphQLSyntaxError as error:
            if error.message.startswith(_TOO_MANY_TOKENS):
                raise limits.build_error("tokens", f"over {limits.tokens}") from None
            raise
        return ParsedDocument(document, measure_cost(document, limits))

    def validate(self, schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
        """Return what is wrong with a document that is within the limits."""
        extra_rules = () if self.introspection else (NoSchemaIntrospectionCustomRule,)
        return validate(
            schema,
            document,
            (*specified_rules, *extra_rules),
            max_errors=_MAX_VALIDATION_ERRORS,
            hide_suggestions=not self.introspection,
        )
