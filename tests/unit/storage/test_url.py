"""DATABASE_URL: providers' URLs are parsed, and unusable ones are rejected with a fix."""

import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.engine import URL

from graphql_api.errors import InvalidSetting
from graphql_api.storage.url import DatabaseKind, DatabaseURL, TLSMode, parse_database_url

SQLITE, MYSQL, POSTGRESQL = DatabaseKind.SQLITE, DatabaseKind.MYSQL, DatabaseKind.POSTGRESQL


def make_database_url(kind: DatabaseKind, tls_mode: TLSMode, *credentials: str, port: int | None = None) -> DatabaseURL:
    """Return a URL of user, password, host and database."""
    user, password, host, database = credentials
    return DatabaseURL(kind, URL.create(kind.value, user, password, host, port, database), tls_mode)


AIVEN = ("avnadmin", "pw", "mysql-1a2b.k.aivencloud.com", "defaultdb")
DIGITALOCEAN = ("doadmin", "AVNS_pw", "db-mysql-fra1-1.b.db.ondigitalocean.com", "defaultdb")
PLANETSCALE = ("4ab", "pscale_pw_1", "aws.connect.psdb.cloud", "countries")
TIDB = ("2aBc.root", "pw", "gateway01.eu-central-1.prod.aws.tidbcloud.com", "test")
NEON = ("neondb_owner", "npg_pw", "ep-cool-1.eu-central-1.aws.neon.tech", "neondb")
RDS = ("admin", "pw", "mydb.c1.eu-central-1.rds.amazonaws.com", "countries")
HEROKU = ("u1", "p2", "ec2-1-2-3-4.compute-1.amazonaws.com", "d3")
PLAIN = ("user", "pw", "host", "db")
QUOTED = ("us:er", "pa@ss:/?#%", "host", "db")


@pytest.mark.parametrize(
    ("text", "database_url"),
    [
        (
            "mysql://avnadmin:pw@mysql-1a2b.k.aivencloud.com:12345/defaultdb?ssl-mode=REQUIRED",
            make_database_url(MYSQL, TLSMode.VERIFY_FULL, *AIVEN, port=12345),
        ),
        (
            "postgres://avnadmin:pw@mysql-1a2b.k.aivencloud.com:12345/defaultdb?sslmode=require",
            make_database_url(POSTGRESQL, TLSMode.VERIFY_FULL, *AIVEN, port=12345),
        ),
        (
            ("mysql://doadmin:AVNS_pw@db-mysql-fra1-1.b.db.ondigitalocean.com:25060/defaultdb?ssl-mode=REQUIRED"),
            make_database_url(MYSQL, TLSMode.VERIFY_FULL, *DIGITALOCEAN, port=25060),
        ),
        (
            "mysql://4ab:pscale_pw_1@aws.connect.psdb.cloud/countries?sslaccept=strict",
            make_database_url(MYSQL, TLSMode.VERIFY_FULL, *PLANETSCALE),
        ),
        (
            ('mysql://4ab:pscale_pw_1@aws.connect.psdb.cloud/countries?ssl={"rejectUnauthorized":true}'),
            make_database_url(MYSQL, TLSMode.VERIFY_FULL, *PLANETSCALE),
        ),
        (
            ("mysql://4ab:pscale_pw_1@aws.connect.psdb.cloud/countries?ssl=%7B%22rejectUnauthorized%22%3A%20true%7D"),
            make_database_url(MYSQL, TLSMode.VERIFY_FULL, *PLANETSCALE),
        ),
        (
            ("mysql://2aBc.root:pw@gateway01.eu-central-1.prod.aws.tidbcloud.com:4000/test?sslaccept=strict"),
            make_database_url(MYSQL, TLSMode.VERIFY_FULL, *TIDB, port=4000),
        ),
        (
            "mysql://2aBc.root:pw@gateway01.eu-central-1.prod.aws.tidbcloud.com:4000/test",
            make_database_url(MYSQL, TLSMode.DISABLED, *TIDB, port=4000),
        ),
        (
            "postgres://u1:p2@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d3",
            make_database_url(POSTGRESQL, TLSMode.DISABLED, *HEROKU, port=5432),
        ),
        (
            (
                "postgresql://neondb_owner:npg_pw@ep-cool-1.eu-central-1.aws.neon.tech/neondb"
                "?sslmode=require&channel_binding=require"
            ),
            make_database_url(POSTGRESQL, TLSMode.VERIFY_FULL, *NEON),
        ),
        (
            "mysql://admin:pw@mydb.c1.eu-central-1.rds.amazonaws.com:3306/countries",
            make_database_url(MYSQL, TLSMode.DISABLED, *RDS, port=3306),
        ),
        (
            "mysql://b1:2c@eu-cdbr-west-03.cleardb.net/heroku_4d?reconnect=true",
            make_database_url(MYSQL, TLSMode.DISABLED, "b1", "2c", "eu-cdbr-west-03.cleardb.net", "heroku_4d"),
        ),
        ("mysql://user:pw@host/db", make_database_url(MYSQL, TLSMode.DISABLED, *PLAIN)),
        ("mysql+asyncmy://user:pw@host/db", make_database_url(MYSQL, TLSMode.DISABLED, *PLAIN)),
        ("mariadb://user:pw@host/db", make_database_url(MYSQL, TLSMode.DISABLED, *PLAIN)),
        ("mariadb+asyncmy://user:pw@host/db", make_database_url(MYSQL, TLSMode.DISABLED, *PLAIN)),
        ("mysql+pymysql://user:pw@host/db?charset=utf8mb4", make_database_url(MYSQL, TLSMode.DISABLED, *PLAIN)),
        ("postgresql+psycopg2://user:pw@host/db", make_database_url(POSTGRESQL, TLSMode.DISABLED, *PLAIN)),
        ("postgresql+asyncpg://user:pw@host/db", make_database_url(POSTGRESQL, TLSMode.DISABLED, *PLAIN)),
        (" mysql://user:pw@host:65535/db\n", make_database_url(MYSQL, TLSMode.DISABLED, *PLAIN, port=65535)),
        ("mysql://us%3Aer:pa%40ss%3A%2F%3F%23%25@host/db", make_database_url(MYSQL, TLSMode.DISABLED, *QUOTED)),
        ("mysql://us%3Aer:pa%40ss:/?#%25@host/db", make_database_url(MYSQL, TLSMode.DISABLED, *QUOTED)),
        ("mysql://user:pw@127.0.0.1/db", make_database_url(MYSQL, TLSMode.DISABLED, "user", "pw", "127.0.0.1", "db")),
        (
            "mysql://user:pw@[fe80::1]:1/db",
            make_database_url(MYSQL, TLSMode.DISABLED, "user", "pw", "fe80::1", "db", port=1),
        ),
        (
            "mysql://user:pw@my_db-1.Zürich/db",
            make_database_url(MYSQL, TLSMode.DISABLED, "user", "pw", "my_db-1.Zürich", "db"),
        ),
        ("mysql://user:pw@host/a%3Fb%40", make_database_url(MYSQL, TLSMode.DISABLED, "user", "pw", "host", "a?b@")),
        ("mysql://host/db", DatabaseURL(MYSQL, URL.create("mysql", host="host", database="db"), TLSMode.DISABLED)),
        (
            "sqlite:///var/countries.db",
            DatabaseURL(SQLITE, URL.create("sqlite", database="var/countries.db"), TLSMode.DISABLED),
        ),
        (
            "sqlite+aiosqlite:////var/a@b:c%3Fd.db",
            DatabaseURL(SQLITE, URL.create("sqlite", database="/var/a@b:c?d.db"), TLSMode.DISABLED),
        ),
    ],
)
def test_valid_url(text: str, database_url: DatabaseURL) -> None:
    """Each provider's URL is parsed, and so are the scheme names of Python drivers."""
    assert parse_database_url(text, has_ca=False) == database_url


@pytest.mark.parametrize(
    ("option", "tls_mode"),
    [
        ("ssl-mode=REQUIRED", TLSMode.VERIFY_FULL),
        ("ssl_mode=required", TLSMode.VERIFY_FULL),
        ("ssl-mode=VERIFY_IDENTITY", TLSMode.VERIFY_FULL),
        ("ssl-mode=VERIFY_CA", TLSMode.VERIFY_CA),
        ("ssl-mode=DISABLED", TLSMode.DISABLED),
        ("sslmode=require", TLSMode.VERIFY_FULL),
        ("sslmode=verify-full", TLSMode.VERIFY_FULL),
        ("sslmode=verify-ca", TLSMode.VERIFY_CA),
        ("sslmode=disable", TLSMode.DISABLED),
        ("ssl=true", TLSMode.VERIFY_FULL),
        ("tls=true", TLSMode.VERIFY_FULL),
        ("channel_binding=require", TLSMode.DISABLED),
    ],
)
def test_tls(option: str, tls_mode: TLSMode) -> None:
    """TLS is verified if it is required, under any client's option name, and off by default."""
    assert parse_database_url(f"mysql://user:pw@host/db?{option}", has_ca=False) == make_database_url(
        MYSQL, tls_mode, *PLAIN
    )


def test_ca_requires_tls() -> None:
    """With DATABASE_SSL_CA, a URL without a TLS option requires TLS."""
    assert parse_database_url("mysql://user:pw@host/db", has_ca=True) == make_database_url(
        MYSQL, TLSMode.VERIFY_FULL, *PLAIN
    )


EXAMPLES = "for example sqlite:///var/countries.db or mysql://user:password@host:3306/database."
NOT_A_URL = f"DATABASE_URL is not a URL; give one, {EXAMPLES}"
NOWHERE = f"DATABASE_URL must name a host and a database, {EXAMPLES}"
IMPOSSIBLE = f"DATABASE_URL has an invalid host or port; give valid ones, {EXAMPLES}"
NO_FILE = "DATABASE_URL names no file; give one, for example sqlite:///var/countries.db."
NO_HOST = (
    "DATABASE_URL names a host or a user, but SQLite has neither; "
    "write three slashes before the path, for example sqlite:///var/countries.db."
)
NO_OPTIONS = "DATABASE_URL has options after '?', but SQLite takes none; in a file name write %3F for '?'."
SEPARATOR = (
    "DATABASE_URL has an unescaped '@', '/', ':' or '?' in its user name or password; write %40, %2F, %3A or %3F."
)
NO_MODE = (
    "DATABASE_URL has an unsupported TLS mode; write ssl-mode=REQUIRED (or VERIFY_CA, "
    "VERIFY_IDENTITY) or ssl-mode=DISABLED. Unverified or optional TLS is not supported."
)
TWICE = "DATABASE_URL sets the TLS mode more than once; set it once."


def unsupported_kind_message(name: str) -> str:
    """Return the error for an unsupported kind of database."""
    return f"DATABASE_URL names '{name}'; give sqlite, mysql, mariadb or postgresql, {EXAMPLES}"


def unknown_option_message(name: str) -> str:
    """Return the error for an unknown option."""
    return (
        f"DATABASE_URL has the unknown option '{name}'; use only ssl-mode or sslmode, and set a CA "
        "certificate in DATABASE_SSL_CA."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", NOT_A_URL),
        ("countries.db", NOT_A_URL),
        ("/var/countries.db", NOT_A_URL),
        ("mysql:/root:hunter2@db/x", NOT_A_URL),
        ("mysql://root:hunter2@db:port/x", NOT_A_URL),
        ("mysql://root:hunter2@db:/x", NOT_A_URL),
        ("mysql://root:hunter2@[::1/x", NOT_A_URL),
        ("mysql://root:hunter2/x", NOT_A_URL),
        (f"mysql://root:hunter2@db:{'9' * 5000}/x", NOT_A_URL),
        ("mysql://root:hunter2%00@db/x", NOT_A_URL),
        ("mysql://root:hunter2\udcff@db/x", NOT_A_URL),
        ("sqlite:///x%00.db", NOT_A_URL),
        ("oracle://root:hunter2@db/x", unsupported_kind_message("oracle")),
        ("oracle+pymysql://root:hunter2@db/x", unsupported_kind_message("oracle+pymysql")),
        ("MySQL://root:hunter2@db/x", unsupported_kind_message("MySQL")),
        ("sqlite://", NO_FILE),
        ("sqlite:///", NO_FILE),
        ("sqlite:///:memory:", NO_FILE),
        ("sqlite://var/countries.db", NO_HOST),
        ("sqlite://:1/countries.db", NO_HOST),
        ("sqlite://root@/countries.db", NO_HOST),
        ("sqlite://:hunter2@/countries.db", NO_HOST),
        ("sqlite:///x.db?timeout=soon", NO_OPTIONS),
        ("sqlite:///x.db?timeout", NO_OPTIONS),
        ("sqlite:///file::memory:?uri=true", NO_OPTIONS),
        ("mysql://root:hunter2@db", NOWHERE),
        ("mysql://root:hunter2@db/", NOWHERE),
        ("postgres://root:hunter2@/x?host=/run/postgresql", NOWHERE),
        ("mysql://root:hunter2@db:0/x", IMPOSSIBLE),
        ("mysql://root:hunter2@db:-1/x", IMPOSSIBLE),
        ("mysql://root:hunter2@db:65536/x", IMPOSSIBLE),
        ("mysql://root:hunter2@d b/x", IMPOSSIBLE),
        ("mysql://root:hunter2@db,db2/x", IMPOSSIBLE),
        ("mysql://root:hunter2@db..example/x", IMPOSSIBLE),
        (f"mysql://root:hunter2@{'d' * 64}/x", IMPOSSIBLE),
        ("mysql://root:hunt@er2@db/x", SEPARATOR),
        ("mysql://root:hunt@er2/@db/x", SEPARATOR),
        ("mysql://root:hunt@er?2=@db/x", SEPARATOR),
        ("mysql://ro/ot:hunter2@db/x", SEPARATOR),
        ("mysql://ro/ot:hunter2?a=b@db/x", SEPARATOR),
        ("mysql://root:hunter2@db/x?local_infile=1", unknown_option_message("local_infile")),
        ("mysql://root:hunter2@db/x?ssl_ca=ca.pem&charset=utf8", unknown_option_message("ssl_ca")),
        ("mysql://root:hunter2@db/x?ssl_ca", unknown_option_message("ssl_ca")),
        ("postgres://root:hunter2@db/x?sslrootcert=ca.pem", unknown_option_message("sslrootcert")),
        ("postgres://root:hunter2@db/x?SSLMODE=require", unknown_option_message("SSLMODE")),
        ("mysql://root:hunter2@db/x?ssl-mode=PREFERRED", NO_MODE),
        ("mysql://root:hunter2@db/x?ssl-mode=", NO_MODE),
        ("mysql://root:hunter2@db/x?ssl-mode", NO_MODE),
        ("mysql://root:hunter2@db/x?sslaccept=accept_invalid_certs", NO_MODE),
        ('mysql://root:hunter2@db/x?ssl={"rejectUnauthorized":false}', NO_MODE),
        ("postgres://root:hunter2@db/x?sslmode=prefer", NO_MODE),
        ("postgres://root:hunter2@db/x?sslmode=no-verify", NO_MODE),
        ("mysql://root:hunter2@db/x?ssl-mode=REQUIRED&sslmode=require", TWICE),
        ("mysql://root:hunter2@db/x?ssl-mode=REQUIRED&ssl-mode=DISABLED", TWICE),
    ],
)
def test_invalid_url(text: str, message: str) -> None:
    """An unusable URL is rejected with a fix and without secrets."""
    with pytest.raises(InvalidSetting) as exc_info:
        parse_database_url(text, has_ca=False)
    assert str(exc_info.value) == message
    assert exc_info.value.__suppress_context__ is (exc_info.value.__context__ is not None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqlite:///x.db", "DATABASE_SSL_CA is set, but DATABASE_URL names a file; unset DATABASE_SSL_CA."),
        (
            "mysql://root:hunter2@db/x?ssl-mode=DISABLED",
            "DATABASE_SSL_CA is set, but DATABASE_URL disables TLS; remove one of them.",
        ),
    ],
)
def test_ca_without_tls(text: str, message: str) -> None:
    """A certificate authority without effect is rejected, as it suggests a protection."""
    with pytest.raises(InvalidSetting) as exc_info:
        parse_database_url(text, has_ca=True)
    assert str(exc_info.value) == message


def describe_result(text: str, *, has_ca: bool) -> str:
    """Return the text forms of a URL or of the error that rejects it."""
    try:
        database_url = parse_database_url(text, has_ca=has_ca)
    except InvalidSetting as error:
        return f"{error} {error!r}"
    return f"{database_url} {database_url!r}"


PIECES = [*"@:/?#%&=[]", "mysql://", "sqlite:///", "host", "ssl-mode=REQUIRED", "%40", "\0", "\n"]


@given(text=st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join), has_ca=st.booleans())
@example(text="mysql://@[]:0/x?", has_ca=False)
def test_any_text(text: str, has_ca: bool) -> None:
    """Any text is parsed or rejected, without another exception."""
    assert describe_result(text, has_ca=has_ca)


PASSWORDS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), min_size=1).map("".join)


@given(
    scheme=st.sampled_from(["mysql", "mariadb", "postgres", "sqlite", "oracle"]),
    before=PASSWORDS,
    after=PASSWORDS,
    rest=st.sampled_from(["host/db", "host:1/db?ssl-mode=REQUIRED", "host:x/db", "/db", "h/d?a=b"]),
)
def test_password_is_not_shown(scheme: str, before: str, after: str, rest: str) -> None:
    """No part of a password is shown, however badly it is escaped."""
    shown = describe_result(f"{scheme}://user:{before}hunter2{after}@{rest}", has_ca=False)
    assert "hunter2" not in shown


def test_password_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A URL can be logged in any form without its password."""
    database_url = parse_database_url("mysql://user:hunter2@host/db", has_ca=False)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("%s %r %s", database_url, database_url, database_url.url)
    assert caplog.messages == [
        (
            "mysql://user:***@host/db DatabaseURL(kind=<DatabaseKind.MYSQL: 'mysql'>, "
            "url=mysql://user:***@host/db, tls_mode=<TLSMode.DISABLED: 1>) mysql://user:***@host/db"
        )
    ]
