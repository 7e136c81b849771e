"""Cache of documents by their text, least recently used first out."""

import sys

from graphql_api.execution.document import Document, DocumentParser
from graphql_api.utils.lru import LRUCache

_MAX_BYTES = 16_000_000
_BYTES_PER_DOCUMENT = 8_000
"""Estimate for what every document has, measured with tracemalloc."""
_BYTES_PER_TOKEN = 1_000
"""Estimate for tokens, nodes and compiled forms: 340 to 770, and up to 1030 with eight forms."""


class DocumentCache:
    """Parses a text once while it is cached, and keeps what is known of its operations."""

    def __init__(self, parser: DocumentParser) -> None:
        self._parser = parser
        self._documents: LRUCache[str, Document] = LRUCache(_MAX_BYTES, size_of=_measure_document)

    def __contains__(self, text: object) -> bool:
        return text in self._documents

    def get_or_parse(self, text: str) -> Document:
        """Return the document of a text.

        Raises:
            QueryTooComplex: The document exceeds the limit of tokens.
            GraphQLSyntaxError: The text is not a document.
        """
        document = self._documents.get(text)
        if document is None:
            document = self._parser.parse(text)
            self._documents.put(text, document)
        return document


def _measure_document(text: str, document: Document) -> int:
    # Strings are held a second time, as values of tokens.
    return _BYTES_PER_DOCUMENT + _BYTES_PER_TOKEN * document.token_count + 2 * sys.getsizeof(text)
