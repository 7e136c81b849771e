"""Content negotiation: media types and encodings, compared whole and never as substrings."""

import re
from collections.abc import Sequence
from functools import lru_cache

from starlette.requests import Request

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
HTML = "text/html"

BROTLI = "br"
GZIP = "gzip"
IDENTITY = "identity"
"""No compression."""

MAX_HEADER_LENGTH = 1000
"""Characters of a header that are read here; browsers send about 150. What follows in an Accept or Accept-Encoding is
ignored, and a longer Content-Type is rejected."""

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*(?:({_NAME})[ \t]*=[ \t]*(?:({_NAME})|"((?:[^"\\]|\\.)*)"))?')
"""One parameter of a Content-Type, or an empty one: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.6"""
_UTF8_NAMES = {"utf-8", "utf8"}


@lru_cache(maxsize=64)
def find_content_type_problem(header: str) -> str | None:
    """Return what to send instead of a Content-Type that is not JSON in UTF-8, or None if it is.

    Two headers, joined by a comma, are not accepted: a proxy may read the other one.
    """
    media_type = header.partition(";")[0]
    charsets = _find_charsets(header[len(media_type) :])
    if media_type.strip().lower() != JSON or charsets is None or len(header) > MAX_HEADER_LENGTH:
        return f"Send {JSON}."
    return None if charsets <= _UTF8_NAMES else f"Send {JSON} in UTF-8: with charset=utf-8, or without a charset."


def _find_charsets(parameters: str) -> set[str] | None:
    """Return the charsets that the parameters of a Content-Type name, or None if they are malformed."""
    charsets = set()
    position, end = 0, len(parameters.rstrip())
    while position < end:
        match = _PARAMETER.match(parameters, position)
        if match is None:
            return None
        name, token, quoted = match.groups("")
        if name.lower() == "charset":
            charsets.add((token or quoted.replace("\\", "")).lower())
        position = match.end()
    return charsets


def negotiate_response_type(request: Request, offered: Sequence[str]) -> str | None:
    """Return the offered type with the highest weight, the first of equals, or None."""
    return negotiate_media_type(",".join(request.headers.getlist("Accept")), offered)


def negotiate_media_type(header: str, offered: Sequence[str]) -> str | None:
    """Do the same for the value of an Accept header. An empty one accepts everything."""
    if not header.strip():
        return offered[0]
    accepted = _parse_accept_entries(header)
    weights = {media_type: _find_weight(media_type, accepted) for media_type in offered}
    best = max(offered, key=weights.__getitem__)
    return best if weights[best] > 0 else None


def negotiate_encoding(header: str) -> str:
    """Return the encoding for the value of an Accept-Encoding header: br, gzip or identity."""
    accepted = dict(_parse_accept_entries(header))
    default = accepted.get("*", 0.0)
    weights = {encoding: accepted.get(encoding, default) for encoding in (BROTLI, GZIP)}
    best = max(weights, key=weights.__getitem__)
    return best if weights[best] > 0 and weights[best] >= accepted.get(IDENTITY, 0.0) else IDENTITY


def _parse_accept_entries(header: str) -> list[tuple[str, float]]:
    return [_parse_accept_entry(entry) for entry in header[:MAX_HEADER_LENGTH].split(",") if entry.strip()]


def _parse_accept_entry(entry: str) -> tuple[str, float]:
    """Return a media range or encoding and its weight, from 0 (not acceptable) to 1."""
    weight = 1.0
    for parameter in entry.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                weight = min(1.0, max(0.0, float(value)))
            except ValueError:
                weight = 0.0
    return entry.partition(";")[0].strip().lower(), weight


def _find_weight(media_type: str, accepted: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that includes a type."""
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        weights = [weight for media_range, weight in accepted if media_range == pattern]
        if weights:
            return max(weights)
    return 0.0
