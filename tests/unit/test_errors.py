"""The exception tree: the module's docstring draws it as it is."""

import re
from collections.abc import Iterator

from graphql_api import errors
from graphql_api.errors import CountriesError

ERROR_CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and value.__module__ == errors.__name__
]


def draw_tree(cls: type[CountriesError], indent: str = "") -> Iterator[str]:
    """Draw the subclasses of `cls`, as the docstring does."""
    for child in cls.__subclasses__():
        is_last = child is cls.__subclasses__()[-1]
        yield f"{indent}{'└' if is_last else '├'}── {child.__name__}"
        yield from draw_tree(child, f"{indent}{' ' if is_last else '│'}   ")


def test_tree() -> None:
    """The docstring draws the classes as they inherit, each with its meaning."""
    documented = re.findall(r"^ {4}(\W*\w+)  +\S", errors.__doc__ or "", re.MULTILINE)
    assert documented == list(draw_tree(CountriesError))


def test_nothing_else_is_defined() -> None:
    """Every class of the module is in the tree."""
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
        "PersistedQueryNotFound": "PERSISTED_QUERY_NOT_FOUND",
        "RefreshInProgress": "REFRESH_IN_PROGRESS",
        "RefreshTooSoon": "REFRESH_TOO_SOON",
        "DatabaseUnavailable": "DATABASE_UNAVAILABLE",
    }
