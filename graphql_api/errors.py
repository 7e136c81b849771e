"""Every error that the project raises on purpose.

    CountriesError
    ├── InvalidInput          what the caller sent cannot be used; the message says what can
    │   └── InvalidSetting    the same for an environment variable, which it names
    ├── Unauthenticated       the action needs the administrator's token
    ├── CountryNotFound       no country answers to that code or name
    ├── SourceUnavailable     no provider of a kind could be used; names each one and its reason
    ├── SourceInvalid         a provider answered with data that must not be stored
    ├── QueryTooComplex       a query asks for more than one may; names the limit and the value
    ├── PersistedQueryNotFound  no document of such a hash is kept; the client sends it then
    ├── RefreshInProgress     somebody else refreshes, or took over from this process
    ├── RefreshTooSoon        the refresh before it is too recent; says when the next may be
    └── DatabaseUnavailable   the database did not do what it was asked

A message is one sentence for the person who can do something about it. Anything else that is
raised is a defect.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

INTERNAL_ERROR_CODE = "INTERNAL_SERVER_ERROR"
"""The code of a defect."""


class CountriesError(Exception):
    """The root of the tree; `code` is the name by which programs know the error."""

    code: ClassVar[str]

    @property
    def details(self) -> Mapping[str, datetime]:
        """Return what programs may want to know besides the code."""
        return {}

    @property
    def public_message(self) -> str:
        """Return the message that strangers may read; the whole one is for the log."""
        return str(self)


class InvalidInput(CountriesError):
    """What the caller sent cannot be used; the message says what can."""

    code = "BAD_USER_INPUT"


class InvalidSetting(InvalidInput):
    """An environment variable is missing or malformed; the message names it."""


class Unauthenticated(CountriesError):
    """The action needs the administrator's token."""

    code = "UNAUTHENTICATED"


class CountryNotFound(CountriesError):
    """No country answers to that code or name."""

    code = "COUNTRY_NOT_FOUND"


class SourceUnavailable(CountriesError):
    """No provider of a kind could be used; names each one and its reason."""

    code = "SOURCE_UNAVAILABLE"


class SourceInvalid(CountriesError):
    """A provider answered with data that must not be stored."""

    code = "SOURCE_INVALID"


class QueryTooComplex(CountriesError):
    """A query asks for more than one may; names the limit, the value and the maximum."""

    code = "QUERY_TOO_COMPLEX"


class PersistedQueryNotFound(CountriesError):
    """No document of such a hash is kept; the client sends it then."""

    code = "PERSISTED_QUERY_NOT_FOUND"


class RefreshInProgress(CountriesError):
    """Somebody else refreshes, or took over from this process."""

    code = "REFRESH_IN_PROGRESS"

    def __init__(self, message: str, *, started_at: datetime | None = None) -> None:
        """Say since when, if it is known."""
        super().__init__(message)
        self.started_at = started_at

    @property
    def details(self) -> Mapping[str, datetime]:
        """Return when the refresh began that is in progress."""
        return {} if self.started_at is None else {"started_at": self.started_at}


class RefreshTooSoon(CountriesError):
    """The refresh before it is too recent; says when the next may be."""

    code = "REFRESH_TOO_SOON"

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        """Say from when on it may be tried again."""
        super().__init__(message)
        self.retry_at = retry_at

    @property
    def details(self) -> Mapping[str, datetime]:
        """Return from when on it may be tried again."""
        return {} if self.retry_at is None else {"retry_at": self.retry_at}


class DatabaseUnavailable(CountriesError):
    """The database did not do what it was asked."""

    code = "DATABASE_UNAVAILABLE"

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        """Say whether it lasts until a person does something about it."""
        super().__init__(message)
        self.permanent = permanent

    @property
    def public_message(self) -> str:
        """Return a message without the database's address and its own words.

        What was under way when it broke off may have been done after all.
        """
        return "The database did not confirm what it was asked; all of it was done, or nothing."


def graphql_error_body(message: str, code: str, **extensions: str) -> dict[str, Any]:
    """Return the body of a GraphQL response that consists of one error and has no data."""
    return {"errors": [{"message": message, "extensions": {"code": code, **extensions}}]}


def error_from_code(code: str, message: str) -> CountriesError:
    """Return the error that another process told of by its code and its public message."""
    error_types = {error_type.code: error_type for error_type in CountriesError.__subclasses__()}
    return error_types.get(code, CountriesError)(message)
