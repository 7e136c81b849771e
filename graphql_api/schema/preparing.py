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

from graphql_api.schema.limits import Limits
from graphql_api.schema.measuring import Measures, measure

_MAX_ERRORS = 5
"""Errors of validation, after which it is given up."""
_TOO_MANY = "Syntax Error: Document contains more than "


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that is within the limits, as far as that does not depend on variables."""

    document: DocumentNode
    measures: Measures


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How documents are prepared."""

    limits: Limits
    introspection: bool
    """Whether the schema may be asked for; if not, no error suggests names of it either."""

    def parse(self, text: str) -> Prepared:
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
            if error.message.startswith(_TOO_MANY):
                raise limits.refusal("tokens", f"over {limits.tokens}") from None
            raise
        return Prepared(document, measure(document, limits))

    def validate(self, schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
        """Return what is wrong with a document that is within the limits."""
        closed = () if self.introspection else (NoSchemaIntrospectionCustomRule,)
        return validate(
            schema,
            document,
            (*specified_rules, *closed),
            max_errors=_MAX_ERRORS,
            hide_suggestions=not self.introspection,
        )
