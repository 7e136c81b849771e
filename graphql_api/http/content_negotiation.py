"""Content negotiation: media types and encodings, compared whole and never as substrings."""

from collections.abc import Sequence

from starlette.requests import Request

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"

BROTLI = "br"
GZIP = "gzip"
IDENTITY = "identity"
"""No compression."""


def get_content_type(request: Request) -> str:
    """Return the body's media type without parameters, or "" unless there is exactly one header."""
    values = request.headers.getlist("Content-Type")
    return _strip_parameters(values[0]) if len(values) == 1 else ""


def negotiate_response_type(request: Request, offered: Sequence[str]) -> str | None:
    """Return the offered type with the highest weight, the first of equals, or None."""
    return negotiate_media_type(",".join(request.headers.getlist("Accept")), offered)


def negotiate_media_type(header: str, offered: Sequence[str]) -> str | None:
    """Do the same for the value of an Accept header. An empty one accepts everything."""
    if not header.strip():
        return offered[0]
    accepted = [_parse_accept_entry(entry) for entry in header.split(",") if entry.strip()]
    weights = {media_type: _find_weight(media_type, accepted) for media_type in offered}
    best = max(offered, key=weights.__getitem__)
    return best if weights[best] > 0 else None


def negotiate_encoding(header: str) -> str:
    """Return the encoding for the value of an Accept-Encoding header: br, gzip or identity."""
    accepted = dict(_parse_accept_entry(entry) for entry in header.split(",") if entry.strip())
    default = accepted.get("*", 0.0)
    weights = {encoding: accepted.get(encoding, default) for encoding in (BROTLI, GZIP)}
    best = max(weights, key=weights.__getitem__)
    return best if weights[best] > 0 and weights[best] >= accepted.get(IDENTITY, 0.0) else IDENTITY


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
    return _strip_parameters(entry), weight


def _find_weight(media_type: str, accepted: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that includes a type."""
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        weights = [weight for media_range, weight in accepted if media_range == pattern]
        if weights:
            return max(weights)
    return 0.0


def _strip_parameters(text: str) -> str:
    return text.partition(";")[0].strip().lower()
