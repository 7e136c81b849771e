"""Limits and validators of providers' HTTP responses."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_BODY_BYTES = 5_000_000
"""Decompressed bytes of all pages of a provider. The largest real response has 1.1 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """`ETag` and `Last-Modified` of a response, as received."""

    etag: str | None = None
    last_modified: str | None = None

    def __bool__(self) -> bool:
        return bool(self.headers)

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of a conditional request."""
        conditional_headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in conditional_headers.items() if value is not None}


class NotModified(Exception):
    """The provider responded 304 to a conditional request: a signal, not an error."""
