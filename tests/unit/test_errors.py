"""The exceptions and their codes."""

from graphql_api import errors
from graphql_api.errors import CountriesError, DatabaseUnavailable, error_from_code

ERROR_CLASSES = [
    value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__
]


def test_nothing_else_is_defined() -> None:
    """Every class of the module is an error of the project."""
    assert [cls for cls in ERROR_CLASSES if not issubclass(cls, CountriesError)] == []


def test_codes() -> None:
    """Each error has the code of the contract."""
    codes = {cls.__name__: getattr(cls, "code", None) for cls in ERROR_CLASSES}
    assert codes == {
        "CountriesError": None,
        "InvalidInput": "BAD_USER_INPUT",
        "InvalidSetting": "BAD_USER_INPUT",
        "Unauthenticated": "UNAUTHENTICATED",
        "CountryNotFound": "COUNTRY_NOT_FOUND",
        "SourceUnavailable": "SOURCE_UNAVAILABLE",
        "SourceInvalid": "SOURCE_INVALID",
        "QueryTooComplex": "QUERY_TOO_COMPLEX",
        "RateLimited": "RATE_LIMITED",
        "DocumentNotTrusted": "DOCUMENT_NOT_TRUSTED",
        "PersistedQueryNotFound": "PERSISTED_QUERY_NOT_FOUND",
        "RefreshInProgress": "REFRESH_IN_PROGRESS",
        "RefreshTooSoon": "REFRESH_TOO_SOON",
        "DatabaseUnavailable": "DATABASE_UNAVAILABLE",
        "ConnectionPoolExhausted": "DATABASE_UNAVAILABLE",
    }


def test_database_error_of_another_process() -> None:
    """The callers of another process's refresh are told the same about its outcome."""
    for error in (DatabaseUnavailable("secret"), DatabaseUnavailable("secret", unconfirmed=True)):
        copy = error_from_code(error.code, error.public_message)
        assert copy.public_message == error.public_message
    assert DatabaseUnavailable("").public_message != DatabaseUnavailable("", unconfirmed=True).public_message
