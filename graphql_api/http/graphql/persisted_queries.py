"""Automatic persisted queries: clients send a document once, and then only its hash.

The protocol is Apollo's: https://www.apollographql.com/docs/apollo-server/performance/apq
"""

import hashlib
import re
import sys
from collections.abc import Mapping

from graphql_api.http.errors import HTTPRejection
from graphql_api.utils.lru import LRUCache

_MAX_BYTES = 8_000_000
"""Bytes of documents that a process holds."""
_ENTRY_OVERHEAD_BYTES = 300
"""Bytes of an entry besides its document: the hash and the place in the cache."""
PERSISTED_QUERY_NOT_FOUND = "PersistedQueryNotFound"
"""urql recognizes the error by this message, Apollo Client by its code too."""
_HASH_PATTERN = re.compile(r"[0-9a-f]{64}")


class PersistedQueries(LRUCache[str, str]):
    """Documents by the SHA-256 of their text, which the caller has verified."""

    def __init__(self, *, max_bytes: int = _MAX_BYTES) -> None:
        super().__init__(max_bytes, size_of=_measure_entry)


def read_hash(extensions: Mapping[str, object] | None, query: object) -> str | None:
    """Return the hash from a request's extensions, or None if it has none.

    Raises:
        HTTPRejection: the extension is malformed, or the hash is not that of `query`.
    """
    persisted_query = (extensions or {}).get("persistedQuery")
    if persisted_query is None:
        return None
    if not isinstance(persisted_query, Mapping):
        raise HTTPRejection(400, "extensions.persistedQuery must be an object or null.")
    version, query_hash = persisted_query.get("version"), persisted_query.get("sha256Hash")
    if version != 1 or isinstance(version, bool):
        raise HTTPRejection(400, "extensions.persistedQuery.version must be 1.")
    if not isinstance(query_hash, str) or not _HASH_PATTERN.fullmatch(query_hash):
        message = "extensions.persistedQuery.sha256Hash must be 64 hexadecimal digits."
        raise HTTPRejection(400, message)
    if isinstance(query, str):
        # JSON may contain lone surrogates. This way, different texts never share their bytes.
        digest = hashlib.sha256(query.encode(errors="surrogatepass"))
        if digest.hexdigest() != query_hash:
            message = "extensions.persistedQuery.sha256Hash is not the hash of query."
            raise HTTPRejection(400, message)
    return query_hash


def _measure_entry(_query_hash: str, document: str) -> int:
    return sys.getsizeof(document) + _ENTRY_OVERHEAD_BYTES
