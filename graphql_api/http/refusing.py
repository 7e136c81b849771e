"""Refusing a request before GraphQL has anything to do with it."""

from collections.abc import Mapping


class Refused(Exception):
    """The request is answered with an HTTP status of its own; the message says what would do."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Refuse with a status from 400 to 499, and these headers."""
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
