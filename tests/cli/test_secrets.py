"""No command shows the database's password, whatever happens to it, however much is logged."""

import base64
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.cli.running import BUNDLED, Ended, Process, run, serving, started
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import PASSWORD
from tests.servers.relay import Relay
from tests.servers.tls import Certificates

Server = MariaDB | PostgreSQL

COMMANDS = ("migrate", "refresh", "serve")
LOUD = {
    **BUNDLED,
    "PORT": "0",
    "LOG_LEVEL": "debug",
    "LOG_FORMAT": "json",
    "LOG_SQL": "true",
    "ACCESS_LOG": "true",
}
REFRESH = "mutation { refreshCountries { totalCountries } }"
WRONG = "w(r)ong@: hunter2"
"""A password that the server does not know."""


PARTS = ("p@ss", "hunter2")
"""What nothing but the passwords of this module has in it."""


def assert_secret(*texts: str) -> None:
    """Assert that no text has a part of a password in it, plain or encoded for a URL."""
    assert all(part in PASSWORD + WRONG for part in PARTS)
    for text in texts:
        for part in PARTS:
            assert part not in text
            assert part not in unquote(text)


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Server]:
    """Lend a server of each kind in turn that speaks TLS."""
    new: Callable[..., Server] = request.getfixturevalue(f"new_{request.param}")
    with new(tls=certificates.good) as server:
        yield server


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """Lend a relay before the server."""
    with Relay(server.port) as relay:
        yield relay


def refused(folder: Path, command: str, **variables: str) -> str:
    """Run a command that cannot use its database, and return the line that it ends with."""
    ended = run(folder, command, **LOUD, **variables)
    assert_secret(ended.stdout, ended.stderr)
    assert (ended.code == 0, ended.stdout, ended.stderr.count("\n")) == (False, "", 1)
    return ended.stderr


def waiting(folder: Path, command: str, **variables: str) -> str:
    """Run a command that waits for its database, and return the line that says so."""
    with started(folder, command, **LOUD, **variables) as process:
        said = process.wait_until_said(".*Trying again until it answers.*")[0]
        ended = process.end(signal.SIGTERM)
    assert ended.code == 0
    assert_secret(ended.stdout, ended.stderr)
    return said


def denial(server: Server) -> str:
    """Return a part of what a server says to a wrong password."""
    return "Access denied" if isinstance(server, MariaDB) else "password authentication failed"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_servers_that_fail(server: Server, relay: Relay, tmp_path: Path, command: str) -> None:
    """Each command says in one line why the database cannot be used, and not with what password."""
    database = server.create_database()
    url, behind = server.url(database), server.url(database, port=relay.port)
    wrong = url.replace(quote(PASSWORD, safe=""), quote(WRONG, safe=""))
    assert denial(server) in refused(tmp_path, command, DATABASE_URL=wrong)
    assert "set DATABASE_SSL_CA" in refused(
        tmp_path, command, DATABASE_URL=f"{url}?ssl-mode=REQUIRED"
    )
    complain = waiting if command == "serve" else refused
    relay.hang = True
    assert "did not answer within 0.5 s" in complain(
        tmp_path, command, DATABASE_URL=behind, DATABASE_TIMEOUT="0.5"
    )
    relay.refuse()
    assert "check host and port" in complain(tmp_path, command, DATABASE_URL=behind)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://root:hunter2@host:port/db", "is not a URL"),
        ("mysql://root:hunt@er@host/hunter2?hunter2", "write %40 for '@'"),
        ("mysql://root:hunter2@host/db?ssl-mode=PREFERRED", "must say ssl-mode=REQUIRED"),
        ("oracle://root:hunter2@host/db", "DATABASE_URL names 'oracle'"),
        ("sqlite://root:hunter2@host/db", "SQLite has neither"),
    ],
)
def test_bad_urls(tmp_path: Path, url: str, words: str) -> None:
    """A server says in one line what is wrong with a URL, without repeating it."""
    assert words in refused(tmp_path, "serve", DATABASE_URL=url)


def ask_all(process: Process) -> str:
    """Return everything that a server answers of its database."""
    pages = [process.get(path).text for path in ("/readyz", "/healthz", "/metrics", "/")]
    return "\n".join([*pages, str(process.query(REFRESH))])


@pytest.mark.slow
def test_server_that_works_and_then_does_not(
    server: Server, relay: Relay, certificates: Certificates, tmp_path: Path
) -> None:
    """Neither what works over TLS nor what fails in the middle shows the password to anybody."""
    variables = {
        **LOUD,
        "DATABASE_URL": server.url(server.create_database(), port=relay.port),
        "DATABASE_SSL_CA": base64.b64encode(certificates.authority.read_bytes()).decode(),
        "SNAPSHOT_POLL": "0.1",
    }
    migrated = run(tmp_path, "migrate", **variables)
    refreshed = run(tmp_path, "refresh", **variables)
    assert [migrated.code, refreshed.code] == [0, 0]
    with serving(tmp_path, **variables) as process:
        well = ask_all(process)
        relay.refuse()
        relay.cut()
        process.wait_until_said("error.*The database does not answer")
        ill = ask_all(process)
        ended = process.end(signal.SIGTERM)
    # In single quotes: the metrics name every code, in double ones.
    assert ("'DATABASE_UNAVAILABLE'" in well, "'DATABASE_UNAVAILABLE'" in ill) == (False, True)
    assert_secret(well, ill, *texts(migrated), *texts(refreshed), *texts(ended))


def texts(ended: Ended) -> tuple[str, str]:
    """Return what a command has printed."""
    return ended.stdout, ended.stderr
