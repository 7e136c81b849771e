"""Documents that were sent before: kept by their text, the least recently used out."""

from collections import OrderedDict

from graphql import GraphQLSchema

from graphql_api.schema.plans import Document
from graphql_api.schema.preparing import Preparation

_LONGEST = 8_000
"""Characters of a document that is kept; a longer one costs more memory than it saves time."""
_MOST = 500
"""Documents kept."""
_MOST_CHARACTERS = 100_000
"""Characters of the documents kept, all together; each takes some 300 bytes when parsed."""


class Documents:
    """Parses, measures and validates each text once, while it is remembered."""

    def __init__(self, schema: GraphQLSchema, preparation: Preparation) -> None:
        """Begin without any."""
        self._schema = schema
        self._preparation = preparation
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0

    def __contains__(self, text: object) -> bool:
        """Tell whether a text is remembered."""
        return text in self._kept

    def read(self, text: str) -> Document:
        """Return the document of a text.

        Raises:
            QueryTooComplex: it is beyond a limit.
            GraphQLSyntaxError: it is not one.
        """
        document = self._kept.get(text)
        if document is not None:
            self._kept.move_to_end(text)
            return document
        document = Document(self._schema, self._preparation, text)
        if len(text) <= _LONGEST:
            self._keep(text, document)
        return document

    def _keep(self, text: str, document: Document) -> None:
        self._kept[text] = document
        self._characters += len(text)
        while len(self._kept) > _MOST or self._characters > _MOST_CHARACTERS:
            oldest, _ = self._kept.popitem(last=False)
            self._characters -= len(oldest)
