"""Every error that the project raises on purpose. A message says in one sentence what to do."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

INTERNAL_ERROR_CODE = "INTERNAL_SERVER_ERROR"
"""The code of defects."""


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
    """A provider's data must not be stored, e.g. as it lacks most countries."""

    code = "SOURCE_INVALID"


class QueryTooComplex(CountriesError):
    """A query exceeds a limit. The message names the limit, the value and the maximum."""

    code = "QUERY_TOO_COMPLEX"


class PersistedQueryNotFound(CountriesError):
    """No document with that hash is stored. Clients then send the document."""

    code = "PERSISTED_QUERY_NOT_FOUND"


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
    """The database failed or did not respond. `permanent` errors stay until an operator acts."""

    code = "DATABASE_UNAVAILABLE"

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent

    @property
    def public_message(self) -> str:
        """Return a message without the database's address. A lost connection may have hidden a success."""
        return "The database did not confirm the operation; it was done completely or not at all."


def graphql_error_body(message: str, code: str, **extensions: str) -> dict[str, Any]:
    """Return the body of a GraphQL response that consists of one error and has no data."""
    return {"errors": [{"message": message, "extensions": {"code": code, **extensions}}]}


def error_from_code(code: str, message: str) -> CountriesError:
    """Return the error that another process reported by code and public message."""
    error_types = {error_type.code: error_type for error_type in CountriesError.__subclasses__()}
    return error_types.get(code, CountriesError)(message)
