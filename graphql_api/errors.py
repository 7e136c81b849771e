"""Every error that the project raises on purpose.

    CountriesError
    ├── InvalidInput          what the caller sent cannot be used; the message says what can
    │   └── InvalidSetting    the same for an environment variable, which it names
    ├── Unauthenticated       the action needs the administrator's token
    ├── CountryNotFound       no country answers to that code or name
    ├── SourceUnavailable     no provider of a kind could be used; names each one and its reason
    ├── SourceInvalid         a provider answered with data that must not be stored
    ├── QueryTooComplex       a query asks for more than one may; names the limit and the value
    ├── RefreshInProgress     another process refreshes, or took over from this one
    └── DatabaseUnavailable   the database did not do what it was asked

A message is one sentence for the person who can do something about it. Anything else that is
raised is a defect.
"""

from typing import ClassVar


class CountriesError(Exception):
    """The root of the tree; `code` is the name by which programs know the error."""

    code: ClassVar[str]

    @property
    def public(self) -> str:
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


class RefreshInProgress(CountriesError):
    """Another process refreshes, or took over from this one."""

    code = "REFRESH_IN_PROGRESS"


class DatabaseUnavailable(CountriesError):
    """The database did not do what it was asked."""

    code = "DATABASE_UNAVAILABLE"

    @property
    def public(self) -> str:
        """Return a message without the database's address and its own words."""
        return "The database did not do what it was asked; nothing was changed."


def restored(code: str, message: str) -> CountriesError:
    """Return the error that another process told of by its code and its public message."""
    kinds = {kind.code: kind for kind in CountriesError.__subclasses__()}
    return kinds.get(code, CountriesError)(message)
