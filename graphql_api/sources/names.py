"""Names in other languages, from the bundled archive of Unicode CLDR's. Each of its files is read on first use."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import resources
from zipfile import ZipFile

import orjson

from graphql_api.domain.nodes import OtherNames
from graphql_api.errors import InvalidInput

_IRREGULAR = (
    "en-GB-oed|i-ami|i-bnn|i-default|i-enochian|i-hak|i-klingon|i-lux|i-mingo|i-navajo|i-pwn|i-tao|i-tay|i-tsu"
    "|sgn-BE-FR|sgn-BE-NL|sgn-CH-DE"
)
_PRIVATE_USE = r"x(?:-[a-z0-9]{1,8})+"
_TAG_PATTERN = re.compile(
    rf"(?:(?:[a-z]{{2,3}}(?:-[a-z]{{3}}){{0,3}}|[a-z]{{4,8}})"
    r"(?:-[a-z]{4})?"  # script
    r"(?:-(?:[a-z]{2}|[0-9]{3}))?"  # region
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"  # variants
    rf"(?:-[0-9a-wy-z](?:-[a-z0-9]{{2,8}})+)*(?:-{_PRIVATE_USE})?|{_PRIVATE_USE}|{_IRREGULAR})",
    re.IGNORECASE | re.ASCII,
)
"""A well-formed tag, RFC 5646."""
_MAX_TAG_LENGTH = 100
"""Characters. Each object that is named looks at the tag."""
_MAX_SUBTAGS = 2
"""Subtags of the longest locale."""
LocaleNames = Mapping[str, Mapping[str, str]]
"""Names by kind of object, then by code."""


def find_name(kind: str, code: str, lang: str) -> str | None:
    """Return the name of an object in a language; None if only its English name is known.

    Falls back along the tag: pt-AO to pt. Kinds are countries, continents, currencies and languages.

    Raises:
        InvalidInput: `lang` is no well-formed tag of BCP 47.
    """
    if len(lang) > _MAX_TAG_LENGTH or _TAG_PATTERN.fullmatch(lang) is None:
        raise InvalidInput(f"lang must be a BCP 47 tag such as de or pt-BR, not {lang[:_MAX_TAG_LENGTH]!r}.")
    locales = _select_locales(tuple(lang.split("-", _MAX_SUBTAGS)[:_MAX_SUBTAGS]))
    return next((name for locale in locales if (name := _load_locale(locale)[kind].get(code))), None)


def load_other_names(code: str) -> OtherNames:
    """Return the names of a country of the reference, and of its capital, in other languages."""
    return OtherNames(*orjson.loads(_read_search_names()[code]))


@lru_cache(maxsize=512)
def _select_locales(subtags: Sequence[str]) -> Sequence[str]:
    """Return the locales of a tag that begins with these subtags, the most specific one first."""
    language, *rest = subtags
    aliases = _load_aliases()
    candidates = (
        *("-".join((language.lower(), spelling(subtag))) for subtag in rest for spelling in (str.title, str.upper)),
        language.lower(),
    )
    locales = (aliases.get(candidate, candidate) for candidate in candidates)
    return [locale for locale in locales if f"{locale}.json" in _list_files()]


@contextmanager
def _open_archive() -> Iterator[ZipFile]:
    """Open the archive. It is closed again after each locale: one file less for as long as the process lives."""
    with (
        resources.files("graphql_api.sources.bundled").joinpath("names.zip").open("rb") as file,
        ZipFile(file) as archive,
    ):
        yield archive


@cache
def _list_files() -> frozenset[str]:
    with _open_archive() as archive:
        return frozenset(archive.namelist())


@cache
def _load_aliases() -> Mapping[str, str]:
    """Return the locales of tags that mean them but do not begin with them, such as zh-TW and iw."""
    with _open_archive() as archive:
        aliases: Mapping[str, str] = orjson.loads(archive.read("_aliases.json"))  # no tag begins with an underscore
    return aliases


@cache
def _read_search_names() -> Mapping[str, bytes]:
    """Read the names that countries are searched by, as JSON by code: 1 MB in memory, and 4 MB parsed."""
    with _open_archive() as archive:
        lines = archive.read("_search.tsv").splitlines()
    return {code.decode(): names for code, names in (line.split(b"\t") for line in lines)}


@cache
def _load_locale(locale: str) -> LocaleNames:
    """Read a locale: 90 KB in memory, and 10 MB for all of them."""
    with _open_archive() as archive:
        names: LocaleNames = orjson.loads(archive.read(f"{locale}.json"))
    return names
