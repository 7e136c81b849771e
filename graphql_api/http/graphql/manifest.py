"""Manifests of documents, as Apollo's, Relay's and GraphQL Code Generator's tools write them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graphql_api.errors import InvalidSetting
from graphql_api.http.errors import HTTPRejection
from graphql_api.http.graphql.request import parse_json

_APOLLO_FORMAT = "apollo-persisted-query-manifest"
_SHAPES = f'should be an object of texts by their ids, or have "format": "{_APOLLO_FORMAT}" and a list "operations"'


class ManifestEntry(NamedTuple):
    """A document and the id by which clients request it."""

    id: str
    text: str


def read_manifest(path: Path) -> list[ManifestEntry]:
    """Return the documents of a manifest, recognized by its shape.

    Raises:
        InvalidSetting: The file is unusable, or of another shape. The message names the document, if it is one.
    """
    try:
        manifest = parse_json(path.read_text("utf-8-sig"), "it")
        entries = list(_read_apollo(manifest) if _is_apollo(manifest) else _read_map(manifest))
        _check_ids(entries)
    except (OSError, ValueError, HTTPRejection) as error:
        reason = (
            "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or error
        )
        raise InvalidSetting(f"TRUSTED_DOCUMENTS: {path} cannot be used: {str(reason).removesuffix('.')}.") from None
    return entries


def _is_apollo(manifest: object) -> bool:
    return isinstance(manifest, Mapping) and isinstance(manifest.get("operations"), list)


def _read_apollo(manifest: Mapping[str, Any]) -> Iterator[ManifestEntry]:
    if manifest.get("format") != _APOLLO_FORMAT or manifest.get("version") != 1:
        raise ValueError(f"it {_SHAPES}, in version 1")
    for index, operation in enumerate(manifest["operations"]):
        fields = operation if isinstance(operation, Mapping) else {}
        document_id, text = fields.get("id"), fields.get("body")
        if not isinstance(document_id, str) or not document_id or not isinstance(text, str):
            raise ValueError(f"operation {index}, {fields.get('name', 'without a name')!r}, has no id or no body")
        yield ManifestEntry(document_id, text)


def _read_map(manifest: object) -> Iterator[ManifestEntry]:
    if not isinstance(manifest, Mapping):
        raise ValueError(f"it {_SHAPES}")  # noqa: TRY004 - a fault of the file, not of a caller
    for document_id, text in manifest.items():
        if not isinstance(text, str):
            raise ValueError(f"{document_id!r} is not the text of a document; the manifest {_SHAPES}")  # noqa: TRY004 - a fault of the file, not of a caller
        yield ManifestEntry(document_id, text)


def _check_ids(entries: list[ManifestEntry]) -> None:
    texts: dict[str, str] = {}
    for document_id, text in entries:
        if texts.setdefault(document_id, text) != text:
            raise ValueError(f"{document_id!r} is the id of two documents")
