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


def content_type(request: Request) -> str:
    """Return the media type of the body, without parameters; empty if there is not one of them."""
    given = request.headers.getlist("Content-Type")
    return _media_type(given[0]) if len(given) == 1 else ""


def preferred(request: Request, offered: Sequence[str]) -> str | None:
    """Return the type to answer with, the first of `offered` if all are as welcome, or None."""
    return preferred_of(",".join(request.headers.getlist("Accept")), offered)


def preferred_of(header: str, offered: Sequence[str]) -> str | None:
    """Return the same for the text of an Accept header, empty if there is none."""
    if not header.strip():
        return offered[0]
    wanted = [_range(entry) for entry in header.split(",") if entry.strip()]
    weights = {one: _weight(one, wanted) for one in offered}
    best = max(offered, key=lambda one: weights[one])
    return best if weights[best] > 0 else None


def preferred_coding(header: str) -> str:
    """Return how to compress for the text of an Accept-Encoding header: br, gzip or identity."""
    wanted = dict(_range(entry) for entry in header.split(",") if entry.strip())
    weights = {one: wanted.get(one, wanted.get("*", 0.0)) for one in (BROTLI, GZIP)}
    best = max(weights, key=lambda one: weights[one])
    return best if weights[best] > 0 and weights[best] >= wanted.get(IDENTITY, 0.0) else IDENTITY


def _range(entry: str) -> tuple[str, float]:
    """Read one media range and its weight, from 0 (unwelcome) to 1."""
    weight = 1.0
    for parameter in entry.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                weight = min(1.0, max(0.0, float(value)))
            except ValueError:
                weight = 0.0
    return _media_type(entry), weight


def _weight(offered: str, wanted: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that covers a type."""
    for cover in (offered, f"{offered.partition('/')[0]}/*", "*/*"):
        weights = [weight for media_range, weight in wanted if media_range == cover]
        if weights:
            return max(weights)
    return 0.0


def _media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()
