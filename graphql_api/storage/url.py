"""Where the database is: DATABASE_URL as providers hand it out, read into what a driver needs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from graphql_api.errors import InvalidSetting

EXAMPLES = "for example sqlite:///var/countries.db or mysql://user:password@host:3306/database"


class DatabaseKind(Enum):
    """The kinds of database that the project speaks to."""

    SQLITE = "sqlite"
    MYSQL = "mysql"
    """MariaDB too: the server tells which of the two it is."""
    POSTGRESQL = "postgresql"


class TLSMode(Enum):
    """How a connection is protected."""

    DISABLED = auto()
    VERIFY_CA = auto()
    """The server's certificate must be of a trusted authority; its name does not matter."""
    VERIFY_FULL = auto()
    """The certificate must be of a trusted authority, and for this host."""


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """One database."""

    kind: DatabaseKind
    url: URL
    """Without options; the password is in it."""
    tls_mode: TLSMode

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


_KINDS_BY_SCHEME = {
    "sqlite": DatabaseKind.SQLITE,
    "sqlite+aiosqlite": DatabaseKind.SQLITE,
    "mysql": DatabaseKind.MYSQL,
    "mysql+asyncmy": DatabaseKind.MYSQL,
    "mariadb": DatabaseKind.MYSQL,
    "mariadb+asyncmy": DatabaseKind.MYSQL,
    "postgres": DatabaseKind.POSTGRESQL,
    "postgresql": DatabaseKind.POSTGRESQL,
    "postgresql+asyncpg": DatabaseKind.POSTGRESQL,
}

_TLS_MODES = {
    "disabled": TLSMode.DISABLED,
    "disable": TLSMode.DISABLED,
    "required": TLSMode.VERIFY_FULL,
    "require": TLSMode.VERIFY_FULL,
    "verify_ca": TLSMode.VERIFY_CA,
    "verify-ca": TLSMode.VERIFY_CA,
    "verify_identity": TLSMode.VERIFY_FULL,
    "verify-full": TLSMode.VERIFY_FULL,
    "strict": TLSMode.VERIFY_FULL,
    "true": TLSMode.VERIFY_FULL,
    '{"rejectunauthorized":true}': TLSMode.VERIFY_FULL,
}
"""What the options below may say; to require TLS is to verify whom it is with."""

_TLS_OPTIONS = ("ssl-mode", "ssl_mode", "sslmode", "sslaccept", "ssl", "tls")
"""What clients of MySQL and PostgreSQL call the same thing; sslaccept is Prisma's, and PlanetScale
shows it, or `ssl` with the JSON of Node's mysql2."""

_NOT_A_URL = f"DATABASE_URL is not a URL; give one, {EXAMPLES}."
_MAX_PORT = 65_535
_HOST_PATTERN = re.compile(r"[\w.:%-]+")

_IGNORED_OPTIONS = ("channel_binding", "reconnect")
"""What providers add and nothing is missed without: Neon's protects against a false server, as
verified TLS does, and ClearDB's is what a pool does anyway."""


def parse_database_url(text: str, *, has_ca: bool) -> DatabaseURL:
    """Read DATABASE_URL; `ca_given` tells whether DATABASE_SSL_CA names an authority.

    Raises:
        InvalidSetting: it is not the address of a database that the project speaks to; the message
            says what to write, and repeats nothing that may be secret.
    """
    text = text.strip()
    try:
        url = make_url(text, keep_blank_values=True)
    except (ArgumentError, ValueError):  # the latter for a port that is not a number
        raise InvalidSetting(_NOT_A_URL) from None
    # Neither can be sent; an environment may hold bytes that are not text.
    if "\0" in unquote(text) or text.encode(errors="ignore").decode() != text:
        raise InvalidSetting(_NOT_A_URL)
    kind = _KINDS_BY_SCHEME.get(url.drivername)
    if kind is None:
        raise InvalidSetting(
            f"DATABASE_URL names {url.drivername!r}; give sqlite, mysql, mariadb or postgresql, "
            f"{EXAMPLES}."
        )
    if kind is DatabaseKind.SQLITE:
        return _parse_sqlite_url(url, has_ca=has_ca)
    _validate_server(text, url)
    tls_mode = _parse_tls_mode(url.normalized_query, has_ca=has_ca)
    return DatabaseURL(kind, url.set(drivername=kind.value, query={}), tls_mode)


def _validate_server(text: str, url: URL) -> None:
    # What follows an '@' of the password is taken for host, database or options, and shown.
    if text.count("@") > (url.username is not None):
        raise InvalidSetting(
            "DATABASE_URL has an '@' that is no separator, or one of '/', ':' and '?' before it; "
            "in a user's name and a password write %40 for '@', %2F, %3A and %3F."
        )
    if not url.host or not url.database:
        raise InvalidSetting(f"DATABASE_URL must name a host and a database, {EXAMPLES}.")
    port = 1 if url.port is None else url.port
    if not _is_valid_host(url.host) or not 1 <= port <= _MAX_PORT:
        raise InvalidSetting(
            f"DATABASE_URL names a host or a port that cannot be; give one, {EXAMPLES}."
        )


def _is_valid_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:  # a part of it is empty or too long
        return False
    return _HOST_PATTERN.fullmatch(name) is not None


def _parse_sqlite_url(url: URL, *, has_ca: bool) -> DatabaseURL:
    if any((url.host, url.port, url.username, url.password)):
        raise InvalidSetting(
            "DATABASE_URL names a host or a user, and SQLite has neither; "
            "the path follows three slashes, for example sqlite:///var/countries.db."
        )
    if url.database in (None, "", ":memory:"):
        raise InvalidSetting(
            "DATABASE_URL names no file; give one, for example sqlite:///var/countries.db."
        )
    if url.query:
        raise InvalidSetting(
            "DATABASE_URL has options after '?', and SQLite takes none here; "
            "in a file's name write %3F for '?'."
        )
    if has_ca:
        raise InvalidSetting("DATABASE_SSL_CA is set, and DATABASE_URL names a file: unset it.")
    return DatabaseURL(DatabaseKind.SQLITE, url.set(drivername="sqlite"), TLSMode.DISABLED)


def _parse_tls_mode(options: Mapping[str, Sequence[str]], *, has_ca: bool) -> TLSMode:
    known_options = (*_TLS_OPTIONS, *_IGNORED_OPTIONS)
    unknown_options = sorted(set(options) - set(known_options))
    if unknown_options:
        raise InvalidSetting(
            f"DATABASE_URL has the option {unknown_options[0]!r}, which is not known here; only "
            "ssl-mode or sslmode is, and a CA certificate goes into DATABASE_SSL_CA."
        )
    values = [value for name in _TLS_OPTIONS for value in options.get(name, ())]
    if not values:
        return TLSMode.VERIFY_FULL if has_ca else TLSMode.DISABLED
    if len(values) > 1:
        raise InvalidSetting("DATABASE_URL says more than once whether to use TLS; say it once.")
    tls_mode = _TLS_MODES.get("".join(values[0].split()).lower())
    if tls_mode is None:
        # "prefer" would go without TLS when somebody in between says that the server has none.
        raise InvalidSetting(
            "DATABASE_URL must say ssl-mode=REQUIRED (or VERIFY_CA, VERIFY_IDENTITY) or "
            "ssl-mode=DISABLED; TLS that is not verified, or may silently be off, is not offered."
        )
    if tls_mode is TLSMode.DISABLED and has_ca:
        raise InvalidSetting(
            "DATABASE_SSL_CA is set, and DATABASE_URL turns TLS off: leave one of them out."
        )
    return tls_mode
