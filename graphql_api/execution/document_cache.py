"""Cache of documents by their text, least recently used first out."""

import sys
from collections.abc import Mapping

import graphql

from graphql_api.errors import InvalidInput
from graphql_api.execution.document import Document, DocumentParser
from graphql_api.utils.lru import LRUCache
from graphql_api.utils.slices import end_slice

_MAX_BYTES = 16_000_000
_BYTES_PER_DOCUMENT = 8_000
"""Estimate for what every document has, measured with tracemalloc."""
_BYTES_PER_TOKEN = 1_000
"""Estimate for tokens, nodes and compiled forms: 340 to 770, and up to 1030 with eight forms."""


class DocumentCache:
    """Parses a text once while it is cached, and keeps what is known of its operations."""

    def __init__(self, parser: DocumentParser) -> None:
        self._parser = parser
        self.pinned: Mapping[str, Document] = {}
        """Documents by their text that stay, whatever else is cached."""
        self._documents: LRUCache[str, Document] = LRUCache(_MAX_BYTES, size_of=_measure_document)

    def __contains__(self, text: object) -> bool:
        return text in self._documents or text in self.pinned

    def parse_ahead(self, text: str) -> Document:
        """Return a document whose operations are measured, validated and compiled.

        Raises:
            QueryTooComplex: The document or one of its operations exceeds a limit.
            InvalidInput: The text is not a document, or not valid.
        """
        try:
            document = self._parser.parse(text)
        except graphql.GraphQLSyntaxError as error:
            raise InvalidInput(error.message) from None
        document.prepare()
        return document

    def find(self, text: str) -> Document | None:
        """Return the document of a text, if it is cached or pinned."""
        return self.pinned.get(text) or self._documents.get(text)

    def get_or_parse(self, text: str) -> Document:
        """Return the document of a text.

        Raises:
            QueryTooComplex: The document exceeds the limit of tokens.
            GraphQLSyntaxError: The text is not a document.
        """
        document = self.find(text)
        if document is None:
            document = self._parser.parse(text)
            end_slice()
            self._documents.put(text, document)
        return document


def _measure_document(text: str, document: Document) -> int:
    # Strings are held a second time, as values of tokens.
    return _BYTES_PER_DOCUMENT + _BYTES_PER_TOKEN * document.token_count + 2 * sys.getsizeof(text)
