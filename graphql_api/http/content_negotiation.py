"""Which media types a request sends and accepts: compared whole, never as parts of a text."""

from collections.abc import Sequence

from starlette.requests import Request

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"

BROTLI = "br"
GZIP = "gzip"
IDENTITY = "identity"
"""Not compressed."""


def get_content_type(request: Request) -> str:
    """Return the media type of the body, without parameters; empty if there is not one of them."""
    values = request.headers.getlist("Content-Type")
    return _strip_parameters(values[0]) if len(values) == 1 else ""


def negotiate_response_type(request: Request, offered: Sequence[str]) -> str | None:
    """Return the type to answer with, the first of `offered` if all are as welcome, or None."""
    return negotiate_media_type(",".join(request.headers.getlist("Accept")), offered)


def negotiate_media_type(header: str, offered: Sequence[str]) -> str | None:
    """Return the same for the text of an Accept header, empty if there is none."""
    if not header.strip():
        return offered[0]
    accepted = [_parse_accept_entry(entry) for entry in header.split(",") if entry.strip()]
    weights = {media_type: _find_weight(media_type, accepted) for media_type in offered}
    best = max(offered, key=lambda media_type: weights[media_type])
    return best if weights[best] > 0 else None


def negotiate_encoding(header: str) -> str:
    """Return how to compress for the text of an Accept-Encoding header: br, gzip or identity."""
    accepted = dict(_parse_accept_entry(entry) for entry in header.split(",") if entry.strip())
    weights = {
        encoding: accepted.get(encoding, accepted.get("*", 0.0)) for encoding in (BROTLI, GZIP)
    }
    best = max(weights, key=lambda encoding: weights[encoding])
    return best if weights[best] > 0 and weights[best] >= accepted.get(IDENTITY, 0.0) else IDENTITY


def _parse_accept_entry(entry: str) -> tuple[str, float]:
    """Read one media range and its weight, from 0 (unwelcome) to 1."""
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
    """Return the weight of the most specific range that covers a type."""
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        weights = [weight for media_range, weight in accepted if media_range == pattern]
        if weights:
            return max(weights)
    return 0.0


def _strip_parameters(text: str) -> str:
    return text.partition(";")[0].strip().lower()
