"""Conditional requests: the 304 for a client that already holds what it requests."""

import hashlib
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from graphql_api.http.compression import compress
from graphql_api.http.content_negotiation import IDENTITY, negotiate_encoding

_ENTITY_TAG = re.compile(r'(?:^|,)[ \t]*(?:W/)?("[^"]*")')
"""One item of the list. `W/` marks a weak tag, which weak comparison ignores."""


def get_if_none_match(request: Request) -> str:
    """Return the If-None-Match header, its repetitions joined; empty if there is none."""
    return ",".join(request.headers.getlist("If-None-Match"))


def build_not_modified(if_none_match: str, headers: Mapping[str, str], *, exists: bool = True) -> Response | None:
    """Return a 304 with `headers` if the client holds the response that their ETag names, by weak comparison.

    `headers` are those of a 200 that concern caches: ETag, Cache-Control and Vary. `*` stands for every response that
    `exists`. https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
    """
    etag = headers["ETag"]
    # Most lists do not contain the tag at all; to find that out takes a hundredth of the time of parsing one.
    is_held = (
        exists if if_none_match.strip() == "*" else etag in if_none_match and etag in _ENTITY_TAG.findall(if_none_match)
    )
    return Response(status_code=304, headers=dict(headers)) if is_held else None


class EncodedText:
    """A text with its body and ETag in each encoding, each computed when a client first accepts it."""

    def __init__(self, text: str) -> None:
        self._body = text.encode()
        self._representations: dict[str, tuple[str, bytes]] = {}

    def has(self, encoding: str) -> bool:
        """Return whether `represent` has the result for an encoding, without computing it."""
        return encoding in self._representations

    def represent(self, encoding: str) -> tuple[str, bytes]:
        """Return ETag and body in an encoding that `negotiate_encoding` returns."""
        if encoding not in self._representations:
            digest = hashlib.sha256(f"{encoding} ".encode() + self._body).hexdigest()[:32]
            self._representations[encoding] = f'"{digest}"', compress(self._body, encoding)
        return self._representations[encoding]


def get_encoding(request: Request) -> str:
    """Return the encoding that the client prefers, its headers joined."""
    return negotiate_encoding(",".join(request.headers.getlist("Accept-Encoding")))


def build_text_response(request: Request, text: EncodedText, headers: Mapping[str, str], media_type: str) -> Response:
    """Return a text with an ETag, in the encoding that the client prefers; a 304 if the client holds it."""
    encoding = get_encoding(request)
    etag, body = text.represent(encoding)
    all_headers = {**headers, "ETag": etag, "Vary": "Accept-Encoding"}
    if not_modified := build_not_modified(get_if_none_match(request), all_headers):
        return not_modified
    if encoding != IDENTITY:
        all_headers["Content-Encoding"] = encoding
    return Response(body, headers=all_headers, media_type=media_type)
