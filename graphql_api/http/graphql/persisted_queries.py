"""Automatic persisted queries: documents that clients sent once, and name by their hash since.

As Apollo's clients do it: https://www.apollographql.com/docs/apollo-server/performance/apq
"""

import hashlib
import re
import sys
from collections import OrderedDict
from collections.abc import Mapping

from graphql_api.errors import PersistedQueryNotFound
from graphql_api.http.errors import HTTPRejection

_MAX_BYTES = 8_000_000
"""Bytes of the documents that a process keeps."""
_ENTRY_OVERHEAD_BYTES = 300
"""Bytes that a document takes besides its text: its hash, and its place."""
_NOT_FOUND_MESSAGE = "PersistedQueryNotFound"
"""The message by which urql's client knows the error; Apollo's knows it by the code, too."""
_HASH_PATTERN = re.compile(r"[0-9a-f]{64}")


class PersistedQueries:
    """Keeps documents by their hash, the least recently used out."""

    def __init__(self, *, max_bytes: int = _MAX_BYTES) -> None:
        """Keep `limit` bytes of documents."""
        self._max_bytes = max_bytes
        self._documents: OrderedDict[str, str] = OrderedDict()
        self._total_bytes = 0

    def find(self, digest: str) -> str:
        """Return the document of a hash.

        Raises:
            PersistedQueryNotFound: it is not kept; the client sends it then.
        """
        text = self._documents.get(digest)
        if text is None:
            raise PersistedQueryNotFound(_NOT_FOUND_MESSAGE)
        self._documents.move_to_end(digest)
        return text

    def add(self, digest: str, text: str) -> None:
        """Keep a document by its hash."""
        if digest in self._documents:
            self._documents.move_to_end(digest)
            return
        self._documents[digest] = text
        self._total_bytes += _measure_entry(text)
        while self._total_bytes > self._max_bytes:
            self._total_bytes -= _measure_entry(self._documents.popitem(last=False)[1])


def read_hash(extensions: Mapping[str, object] | None, query: object) -> str | None:
    """Return the hash by which a request names its document, if it does; it is that of `query`.

    Raises:
        Refused: it is malformed, or the query's hash is another one.
    """
    persisted_query = (extensions or {}).get("persistedQuery")
    if persisted_query is None:
        return None
    if not isinstance(persisted_query, Mapping):
        raise HTTPRejection(400, "extensions.persistedQuery must be an object or null.")
    version, digest = persisted_query.get("version"), persisted_query.get("sha256Hash")
    if version != 1 or isinstance(version, bool):
        raise HTTPRejection(400, "extensions.persistedQuery.version must be 1.")
    if not isinstance(digest, str) or not _HASH_PATTERN.fullmatch(digest):
        raise HTTPRejection(
            400, "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits."
        )
    if isinstance(query, str) and _hash_query(query) != digest:
        raise HTTPRejection(400, "extensions.persistedQuery.sha256Hash is not the hash of query.")
    return digest


def _hash_query(text: str) -> str:
    # No two texts have the same bytes, not even those with lone surrogates.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _measure_entry(text: str) -> int:
    return sys.getsizeof(text) + _ENTRY_OVERHEAD_BYTES
