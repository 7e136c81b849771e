"""Cache of documents by their text, least recently used first out."""

from graphql_api.execution.document import Document, DocumentParser
from graphql_api.utils.lru import LRUCache

_MAX_BYTES = 30_000_000
_BYTES_PER_DOCUMENT = 10_000
"""Estimate for what every document has, its first plan included, measured with tracemalloc."""
_BYTES_PER_CHARACTER = 350
"""Estimate for the nodes: 80 for a formatted query, 350 for one without spaces."""


class DocumentCache:
    """Parses a text once while it is cached, and keeps what is known of its operations."""

    def __init__(self, parser: DocumentParser) -> None:
        self._parser = parser
        self._documents: LRUCache[str, Document] = LRUCache(
            _MAX_BYTES, size_of=lambda text, _: _BYTES_PER_DOCUMENT + _BYTES_PER_CHARACTER * len(text)
        )

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
