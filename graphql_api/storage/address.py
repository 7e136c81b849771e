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


class System(Enum):
    """The kinds of database that the project speaks to."""

    SQLITE = "sqlite"
    MYSQL = "mysql"
    """MariaDB too: the server tells which of the two it is."""
    POSTGRESQL = "postgresql"


class Tls(Enum):
    """How a connection is protected."""

    OFF = auto()
    CHAIN = auto()
    """The server's certificate must be of a trusted authority; its name does not matter."""
    FULL = auto()
    """The certificate must be of a trusted authority, and for this host."""


@dataclass(frozen=True, slots=True)
class Address:
    """One database."""

    system: System
    url: URL
    """Without options; the password is in it."""
    tls: Tls

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


_SYSTEMS = {
    "sqlite": System.SQLITE,
    "sqlite+aiosqlite": System.SQLITE,
    "mysql": System.MYSQL,
    "mysql+asyncmy": System.MYSQL,
    "mariadb": System.MYSQL,
    "mariadb+asyncmy": System.MYSQL,
    "postgres": System.POSTGRESQL,
    "postgresql": System.POSTGRESQL,
    "postgresql+asyncpg": System.POSTGRESQL,
}

_TLS_MODES = {
    "disabled": Tls.OFF,
    "disable": Tls.OFF,
    "required": Tls.FULL,
    "require": Tls.FULL,
    "verify_ca": Tls.CHAIN,
    "verify-ca": Tls.CHAIN,
    "verify_identity": Tls.FULL,
    "verify-full": Tls.FULL,
    "strict": Tls.FULL,
    "true": Tls.FULL,
    '{"rejectunauthorized":true}': Tls.FULL,
}
"""What the options below may say; to require TLS is to verify whom it is with."""

_TLS_OPTIONS = ("ssl-mode", "ssl_mode", "sslmode", "sslaccept", "ssl", "tls")
"""What clients of MySQL and PostgreSQL call the same thing; sslaccept is Prisma's, and PlanetScale
shows it, or `ssl` with the JSON of Node's mysql2."""

_NO_URL = f"DATABASE_URL is not a URL; give one, {EXAMPLES}."
_LAST_PORT = 65_535
_HOST = re.compile(r"[\w.:%-]+")

_WITHOUT_EFFECT = ("channel_binding", "reconnect")
"""What providers add and nothing is missed without: Neon's protects against a false server, as
verified TLS does, and ClearDB's is what a pool does anyway."""


def parse(text: str, *, ca_given: bool) -> Address:
    """Read DATABASE_URL; `ca_given` tells whether DATABASE_SSL_CA names an authority.

    Raises:
        InvalidSetting: it is not the address of a database that the project speaks to; the message
            says what to write, and repeats nothing that may be secret.
    """
    text = text.strip()
    try:
        url = make_url(text, keep_blank_values=True)
    except (ArgumentError, ValueError):  # the latter for a port that is not a number
        raise InvalidSetting(_NO_URL) from None
    # Neither can be sent; an environment may hold bytes that are not text.
    if "\0" in unquote(text) or text.encode(errors="ignore").decode() != text:
        raise InvalidSetting(_NO_URL)
    system = _SYSTEMS.get(url.drivername)
    if system is None:
        raise InvalidSetting(
            f"DATABASE_URL names {url.drivername!r}; give sqlite, mysql, mariadb or postgresql, "
            f"{EXAMPLES}."
        )
    if system is System.SQLITE:
        return _parse_file(url, ca_given=ca_given)
    _check_server(text, url)
    tls = _read_tls(url.normalized_query, ca_given=ca_given)
    return Address(system, url.set(drivername=system.value, query={}), tls)


def _check_server(text: str, url: URL) -> None:
    # What follows an '@' of the password is taken for host, database or options, and shown.
    if text.count("@") > (url.username is not None):
        raise InvalidSetting(
            "DATABASE_URL has an '@' that is no separator, or one of '/', ':' and '?' before it; "
            "in a user's name and a password write %40 for '@', %2F, %3A and %3F."
        )
    if not url.host or not url.database:
        raise InvalidSetting(f"DATABASE_URL must name a host and a database, {EXAMPLES}.")
    port = 1 if url.port is None else url.port
    if not _is_host(url.host) or not 1 <= port <= _LAST_PORT:
        raise InvalidSetting(
            f"DATABASE_URL names a host or a port that cannot be; give one, {EXAMPLES}."
        )


def _is_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:  # a part of it is empty or too long
        return False
    return _HOST.fullmatch(name) is not None


def _parse_file(url: URL, *, ca_given: bool) -> Address:
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
    if ca_given:
        raise InvalidSetting("DATABASE_SSL_CA is set, and DATABASE_URL names a file: unset it.")
    return Address(System.SQLITE, url.set(drivername="sqlite"), Tls.OFF)


def _read_tls(options: Mapping[str, Sequence[str]], *, ca_given: bool) -> Tls:
    known = (*_TLS_OPTIONS, *_WITHOUT_EFFECT)
    foreign = sorted(set(options) - set(known))
    if foreign:
        raise InvalidSetting(
            f"DATABASE_URL has the option {foreign[0]!r}, which is not known here; only "
            "ssl-mode or sslmode is, and a CA certificate goes into DATABASE_SSL_CA."
        )
    values = [value for name in _TLS_OPTIONS for value in options.get(name, ())]
    if not values:
        return Tls.FULL if ca_given else Tls.OFF
    if len(values) > 1:
        raise InvalidSetting("DATABASE_URL says more than once whether to use TLS; say it once.")
    tls = _TLS_MODES.get("".join(values[0].split()).lower())
    if tls is None:
        # "prefer" would go without TLS when somebody in between says that the server has none.
        raise InvalidSetting(
            "DATABASE_URL must say ssl-mode=REQUIRED (or VERIFY_CA, VERIFY_IDENTITY) or "
            "ssl-mode=DISABLED; TLS that is not verified, or may silently be off, is not offered."
        )
    if tls is Tls.OFF and ca_given:
        raise InvalidSetting(
            "DATABASE_SSL_CA is set, and DATABASE_URL turns TLS off: leave one of them out."
        )
    return tls
