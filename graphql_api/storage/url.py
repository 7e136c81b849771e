"""Parses DATABASE_URL in the forms that database providers issue."""

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
    """The supported kinds of database."""

    SQLITE = "sqlite"
    MYSQL = "mysql"
    """Also MariaDB, which SQLAlchemy detects on connecting."""
    POSTGRESQL = "postgresql"


class TLSMode(Enum):
    """How to secure a connection."""

    DISABLED = auto()
    VERIFY_CA = auto()
    """Verify the server's certificate but not its host name."""
    VERIFY_FULL = auto()
    """Verify the server's certificate and host name."""


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """A parsed DATABASE_URL. Its text form hides the password."""

    kind: DatabaseKind
    url: URL
    """Without options, with the password."""
    tls_mode: TLSMode

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


_KINDS_BY_SCHEME = {
    "sqlite": DatabaseKind.SQLITE,
    "mysql": DatabaseKind.MYSQL,
    "mariadb": DatabaseKind.MYSQL,
    "postgres": DatabaseKind.POSTGRESQL,
    "postgresql": DatabaseKind.POSTGRESQL,
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
"""Values of `_TLS_OPTIONS`. "Required" verifies certificate and host name."""

_TLS_OPTIONS = ("ssl-mode", "ssl_mode", "sslmode", "sslaccept", "ssl", "tls")
"""Names of one option in the URLs of MySQL and PostgreSQL clients. PlanetScale shows sslaccept, for
Prisma, and `ssl` with JSON, for Node's mysql2."""

_NOT_A_URL = f"DATABASE_URL is not a URL; give one, {EXAMPLES}."
_MAX_PORT = 65_535
_HOST_PATTERN = re.compile(r"[\w.:%-]+")

_IGNORED_OPTIONS = ("channel_binding", "charset", "reconnect")
"""Options that providers add and that have no use here. channel_binding (Neon) detects a false
server, as verified TLS does. charset (PyMySQL) is always utf8mb4. reconnect (ClearDB) is what the pool does."""


def parse_database_url(text: str, *, has_ca: bool) -> DatabaseURL:
    """Parse DATABASE_URL. `has_ca` is true if DATABASE_SSL_CA is set.

    Raises:
        InvalidSetting: the URL is invalid or not supported. The message shows no secret.
    """
    text = text.strip()
    try:
        url = make_url(text, keep_blank_values=True)
    except (ArgumentError, ValueError):  # ValueError for a port that is not a number
        raise InvalidSetting(_NOT_A_URL) from None
    # No driver can send NUL, or bytes of the environment that are not UTF-8.
    if "\0" in unquote(text) or text.encode(errors="ignore").decode() != text:
        raise InvalidSetting(_NOT_A_URL)
    # The drivers are this program's own, whatever one another program uses: mysql+pymysql, postgresql+psycopg2.
    kind = _KINDS_BY_SCHEME.get(url.drivername.partition("+")[0])
    if kind is None:
        raise InvalidSetting(
            f"DATABASE_URL names {url.drivername!r}; give sqlite, mysql, mariadb or postgresql, {EXAMPLES}."
        )
    if kind is DatabaseKind.SQLITE:
        return _parse_sqlite_url(url, has_ca=has_ca)
    _validate_server(text, url)
    tls_mode = _parse_tls_mode(url.normalized_query, has_ca=has_ca)
    return DatabaseURL(kind, url.set(drivername=kind.value, query={}), tls_mode)


def _validate_server(text: str, url: URL) -> None:
    # The rest of a password after an unescaped '@' would be parsed as the host, and shown.
    if text.count("@") > (url.username is not None):
        raise InvalidSetting(
            "DATABASE_URL has an unescaped '@', '/', ':' or '?' in its user name or password; "
            "write %40, %2F, %3A or %3F."
        )
    if not url.host or not url.database:
        raise InvalidSetting(f"DATABASE_URL must name a host and a database, {EXAMPLES}.")
    port = 1 if url.port is None else url.port
    if not _is_valid_host(url.host) or not 1 <= port <= _MAX_PORT:
        raise InvalidSetting(f"DATABASE_URL has an invalid host or port; give valid ones, {EXAMPLES}.")


def _is_valid_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:  # a label is empty or too long
        return False
    return _HOST_PATTERN.fullmatch(name) is not None


def _parse_sqlite_url(url: URL, *, has_ca: bool) -> DatabaseURL:
    if any((url.host, url.port, url.username, url.password)):
        raise InvalidSetting(
            "DATABASE_URL names a host or a user, but SQLite has neither; "
            "write three slashes before the path, for example sqlite:///var/countries.db."
        )
    if url.database in (None, "", ":memory:"):
        raise InvalidSetting("DATABASE_URL names no file; give one, for example sqlite:///var/countries.db.")
    if url.query:
        raise InvalidSetting(
            "DATABASE_URL has options after '?', but SQLite takes none; in a file name write %3F for '?'."
        )
    if has_ca:
        raise InvalidSetting("DATABASE_SSL_CA is set, but DATABASE_URL names a file; unset DATABASE_SSL_CA.")
    return DatabaseURL(DatabaseKind.SQLITE, url.set(drivername="sqlite"), TLSMode.DISABLED)


def _parse_tls_mode(options: Mapping[str, Sequence[str]], *, has_ca: bool) -> TLSMode:
    known_options = (*_TLS_OPTIONS, *_IGNORED_OPTIONS)
    unknown_options = sorted(set(options) - set(known_options))
    if unknown_options:
        raise InvalidSetting(
            f"DATABASE_URL has the unknown option {unknown_options[0]!r}; use only ssl-mode or "
            "sslmode, and set a CA certificate in DATABASE_SSL_CA."
        )
    values = [value for name in _TLS_OPTIONS for value in options.get(name, ())]
    if not values:
        return TLSMode.VERIFY_FULL if has_ca else TLSMode.DISABLED
    if len(values) > 1:
        raise InvalidSetting("DATABASE_URL sets the TLS mode more than once; set it once.")
    tls_mode = _TLS_MODES.get("".join(values[0].split()).lower())
    if tls_mode is None:
        # With "prefer", an attacker on the network could turn TLS off.
        raise InvalidSetting(
            "DATABASE_URL has an unsupported TLS mode; write ssl-mode=REQUIRED (or VERIFY_CA, "
            "VERIFY_IDENTITY) or ssl-mode=DISABLED. Unverified or optional TLS is not supported."
        )
    if tls_mode is TLSMode.DISABLED and has_ca:
        raise InvalidSetting("DATABASE_SSL_CA is set, but DATABASE_URL disables TLS; remove one of them.")
    return tls_mode
