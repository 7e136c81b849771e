"""Trusted documents: those of a manifest and of the server itself, which clients request by id or by text.

The request parameters are those of Apollo, of Relay, and of the appendix on persisted documents of
https://github.com/graphql/graphql-over-http.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from graphql_api.errors import CountriesError, DocumentNotTrusted, InvalidSetting
from graphql_api.execution.document import Document
from graphql_api.execution.engine import Schema
from graphql_api.execution.errors import truncate_message
from graphql_api.http.graphql.manifest import ManifestEntry, read_manifest
from graphql_api.logging import extra_fields
from graphql_api.utils.lru import LRUCache

logger = logging.getLogger(__name__)

_MAX_REPORTED = 10
"""Invalid documents that an error names."""
_MAX_LOGGED = 1_000
"""Documents of which is known that they were logged, the most recent ones."""
_OPERATION_NAME = re.compile(r"\b(?:query|mutation|subscription)\s+([_A-Za-z][_0-9A-Za-z]{0,99})")
_NOT_TRUSTED = (
    "This server executes the documents of its manifest only (TRUSTED_DOCUMENTS_ONLY), and this is none of them. "
    "Add it to the manifest, or request one by its documentId."
)


class TrustedDocuments:
    """Finds documents by their ids, and decides whether others are executed."""

    def __init__(self, *, only: bool | Literal["log"], built_in: Iterable[str] = ()) -> None:
        """Know no document but the `built_in` ones. Others are refused if `only`, or logged."""
        self._only = only
        self._built_in = frozenset(built_in)
        self._texts_by_id = _index((), self._built_in)
        self._texts = self._built_in
        self._logged = LRUCache[str, bool](_MAX_LOGGED)

    @property
    def fingerprint(self) -> str:
        """Return a text that differs for other documents and for another decision about the rest."""
        digest = hashlib.sha256(repr((self._only, sorted(self._texts_by_id.items()))).encode(errors="surrogatepass"))
        return digest.hexdigest() if self._texts_by_id or self._only else ""

    def load(self, path: Path, schema: Schema) -> int:
        """Read a manifest, compile its documents ahead, and use them in place of the former ones. Return their number.

        Raises:
            InvalidSetting: The manifest or a document is unusable. Nothing has changed then.
        """
        entries = read_manifest(path)
        schema.document_cache.pinned = _prepare_all(entries, schema, path)
        self._texts_by_id = _index(entries, self._built_in)
        self._texts = self._built_in | {entry.text for entry in entries}
        return len(entries)

    def find(self, document_id: str) -> str | None:
        """Return the document with an id of the manifest, or with this SHA-256, with or without `sha256:`."""
        return self._texts_by_id.get(document_id)

    def check(self, text: str | None) -> None:
        """Return if a document may be executed, None for an unknown one; log it if it could not be with `only`.

        Raises:
            DocumentNotTrusted: It may not.
        """
        if not self._only or text in self._texts:
            return
        if self._only != "log":
            raise DocumentNotTrusted(_NOT_TRUSTED)
        if text is not None:
            self._log(text)

    def _log(self, text: str) -> None:
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        if digest not in self._logged:
            self._logged.put(digest, True)
            match = _OPERATION_NAME.search(text)
            operation = match[1] if match else None
            message = "TRUSTED_DOCUMENTS_ONLY=true would refuse the document with SHA-256 %s, operation %s."
            logger.warning(message, digest, operation, extra=extra_fields(sha256=digest, operation=operation))


def _index(entries: Iterable[ManifestEntry], built_in: Iterable[str]) -> dict[str, str]:
    """Return the texts by their ids, and by their SHA-256 with and without `sha256:`."""
    texts = {entry.id: entry.text for entry in entries}
    for text in (*texts.values(), *built_in):
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        texts |= {digest: text, f"sha256:{digest}": text}
    return texts


def _prepare_all(entries: Sequence[ManifestEntry], schema: Schema, path: Path) -> dict[str, Document]:
    documents: dict[str, Document] = {}
    problems: list[str] = []
    for document_id, text in entries:
        try:
            documents[text] = schema.document_cache.parse_ahead(text)
        except CountriesError as error:
            problems.append(f"{_describe(document_id, text)}: {truncate_message(error.public_message)}")
    if problems:
        more = f" And {len(problems) - _MAX_REPORTED} more." if len(problems) > _MAX_REPORTED else ""
        raise InvalidSetting(f"TRUSTED_DOCUMENTS: {path}: {' '.join(problems[:_MAX_REPORTED])}{more}")
    return documents


def _describe(document_id: str, text: str) -> str:
    match = _OPERATION_NAME.search(text)
    return f"{match[1]} ({document_id})" if match else document_id
