"""What a URL answers: a body, and how to ask again only for something new."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from graphql_api.sources.retry import parse_http_date

MAX_BODY_BYTES = 20_000_000
"""Bytes of all that a provider answers, decompressed; the largest real one has 1.1 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What to send with the next question, for an answer only if there is something new."""

    etag: str | None
    last_modified: str | None

    def __bool__(self) -> bool:
        return self.etag is not None or self.last_modified is not None

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what asks for an answer only if there is something new."""
        conditional_headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in conditional_headers.items() if value is not None}

    @property
    def last_modified_at(self) -> datetime | None:
        """Return the instant that Last-Modified names, if it names one."""
        return None if self.last_modified is None else parse_http_date(self.last_modified)


class NotModified(Exception):
    """There is nothing new since the validators that were sent: a signal, not an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderResponse:
    """A body, and what came with it."""

    body: bytes
    validators: Validators
