"""Documents that were sent before: kept by their text, the least recently used out."""

from collections import OrderedDict

from graphql import GraphQLSchema

from graphql_api.execution.document import Document
from graphql_api.execution.preparation import DocumentParser

_MAX_DOCUMENT_LENGTH = 8_000
"""Characters of a document that is kept; a longer one costs more memory than it saves time."""
_MAX_DOCUMENTS = 500
"""Documents kept."""
_MAX_TOTAL_CHARACTERS = 100_000
"""Characters of the documents kept, all together; each takes some 300 bytes when parsed."""


class DocumentCache:
    """Parses, measures and validates each text once, while it is remembered."""

    def __init__(self, schema: GraphQLSchema, parser: DocumentParser) -> None:
        """Begin without any."""
        self._schema = schema
        self._parser = parser
        self._documents: OrderedDict[str, Document] = OrderedDict()
        self._total_characters = 0

    def __contains__(self, text: object) -> bool:
        """Tell whether a text is remembered."""
        return text in self._documents

    def get_or_parse(self, text: str) -> Document:
        """Return the document of a text.

        Raises:
            QueryTooComplex: it is beyond a limit.
            GraphQLSyntaxError: it is not one.
        """
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
            return document
        document = Document(self._schema, self._parser, text)
        if len(text) <= _MAX_DOCUMENT_LENGTH:
            self._store(text, document)
        return document

    def _store(self, text: str, document: Document) -> None:
        self._documents[text] = document
        self._total_characters += len(text)
        while (
            len(self._documents) > _MAX_DOCUMENTS or self._total_characters > _MAX_TOTAL_CHARACTERS
        ):
            oldest, _ = self._documents.popitem(last=False)
            self._total_characters -= len(oldest)
