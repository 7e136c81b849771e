"""Every error that the project raises on purpose. A message says in one sentence what to do."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

INTERNAL_ERROR_CODE = "INTERNAL_SERVER_ERROR"
"""The code of defects."""

_NOT_DONE_MESSAGE = "The database did not execute the operation; nothing was changed."
_UNCONFIRMED_MESSAGE = "The database did not confirm the operation; it was done completely or not at all."


class CountriesError(Exception):
    """The base class. `code` identifies the error to programs."""

    code: ClassVar[str]

    @property
    def details(self) -> Mapping[str, datetime]:
        """Return the times of this error, which clients get besides the code."""
        return {name: value for name, value in vars(self).items() if isinstance(value, datetime)}

    @property
    def public_message(self) -> str:
        """Return the message for clients. The log has the full one."""
        return str(self)


class InvalidInput(CountriesError):
    """An argument of the caller is invalid. The message says what is valid."""

    code = "BAD_USER_INPUT"


class InvalidSetting(InvalidInput):
    """An environment variable is missing or invalid. The message names it."""


class Unauthenticated(CountriesError):
    """The action requires the administrator's token."""

    code = "UNAUTHENTICATED"


class CountryNotFound(CountriesError):
    """No country has that code or name."""

    code = "COUNTRY_NOT_FOUND"


class SourceUnavailable(CountriesError):
    """Every provider of a kind failed. The message names each one with its reason."""

    code = "SOURCE_UNAVAILABLE"


class SourceInvalid(CountriesError):
    """Every provider of a kind failed, and one of them lists less than half of what is stored."""

    code = "SOURCE_INVALID"


class QueryTooComplex(CountriesError):
    """A query exceeds a limit. The message names the limit, the value and the maximum."""

    code = "QUERY_TOO_COMPLEX"


class PersistedQueryNotFound(CountriesError):
    """No document with that hash is stored. Clients then send the document."""

    code = "PERSISTED_QUERY_NOT_FOUND"


class DocumentNotTrusted(CountriesError):
    """The server executes trusted documents only, and the document is none of them."""

    code = "DOCUMENT_NOT_TRUSTED"


class RateLimited(CountriesError):
    """The client has spent what it may. `retry_after` is the seconds after which this request may be served."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RefreshInProgress(CountriesError):
    """Another refresh is running, or replaced this one. `started_at` is its start, if known."""

    code = "REFRESH_IN_PROGRESS"

    def __init__(self, message: str, *, started_at: datetime | None = None) -> None:
        super().__init__(message)
        self.started_at = started_at


class RefreshTooSoon(CountriesError):
    """The minimum interval since the last refresh has not passed. `retry_at` is its end, if known."""

    code = "REFRESH_TOO_SOON"

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class DatabaseUnavailable(CountriesError):
    """The database failed or did not respond. `permanent` errors stay until an operator acts.

    `unconfirmed`: the operation may have been done, e.g. because a lost connection hid its success.
    """

    code = "DATABASE_UNAVAILABLE"

    def __init__(self, message: str, *, permanent: bool = False, unconfirmed: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.unconfirmed = unconfirmed

    @property
    def public_message(self) -> str:
        """Return a message without the database's address."""
        return _UNCONFIRMED_MESSAGE if self.unconfirmed else _NOT_DONE_MESSAGE


class ConnectionPoolExhausted(DatabaseUnavailable):
    """All connections of this process stayed in use. This says nothing about the database itself."""

    @property
    def public_message(self) -> str:
        """Return the message, which has no address."""
        return str(self)


def graphql_error_body(message: str, code: str, **extensions: str | int) -> dict[str, Any]:
    """Return the body of a GraphQL response that consists of one error and has no data."""
    return {"errors": [{"message": message, "extensions": {"code": code, **extensions}}]}


def error_from_code(code: str, message: str) -> CountriesError:
    """Return the error that another process reported by code and public message."""
    if code == DatabaseUnavailable.code:
        return DatabaseUnavailable(message, unconfirmed=message == _UNCONFIRMED_MESSAGE)
    error_types = {error_type.code: error_type for error_type in CountriesError.__subclasses__()}
    return error_types.get(code, CountriesError)(message)
