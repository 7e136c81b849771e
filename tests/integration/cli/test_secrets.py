"""No command prints or logs the database's password, at any log level, whatever fails."""

import base64
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.support.certificates import Certificates
from tests.support.database import SERVERS
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.db_servers.process import PASSWORD, DatabaseServer
from tests.support.processes import BUNDLED_SOURCES, CommandResult, Process, run_forked, running_command, running_server
from tests.support.tcp_proxy import TCPProxy

COMMANDS = ("migrate", "refresh", "serve")
VERBOSE_SETTINGS = {
    **BUNDLED_SOURCES,
    "PORT": "0",
    "LOG_LEVEL": "debug",
    "LOG_FORMAT": "json",
    "LOG_SQL": "true",
    "ACCESS_LOG": "true",
}
REFRESH = "mutation { refreshCountries { totalCountries } }"
WRONG_PASSWORD = "w(r)ong@: hunter2"
"""A password that the database server rejects."""


PASSWORD_PARTS = ("p@ss", "hunter2")
"""Text that occurs only in the passwords of this module."""


def assert_no_password(*texts: str) -> None:
    """Assert that no text has a part of a password, plain or percent-encoded."""
    assert all(part in PASSWORD + WRONG_PASSWORD for part in PASSWORD_PARTS)
    for text in texts:
        for part in PASSWORD_PARTS:
            assert part not in text
            assert part not in unquote(text)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[DatabaseServer]:
    """Return a database server of each kind with TLS."""
    new_server: Callable[..., DatabaseServer] = request.getfixturevalue(f"new_{request.param}")
    with new_server(tls=certificates.good) as server:
        yield server


@pytest.fixture
def proxy(server: DatabaseServer) -> Iterator[TCPProxy]:
    """Run a proxy in front of the database server."""
    with TCPProxy(server.port) as proxy:
        yield proxy


def run_failing(folder: Path, command: str, **variables: str) -> str:
    """Run a command that cannot use its database, and return its error line."""
    result = run_forked(folder, command, **VERBOSE_SETTINGS, **variables)
    assert_no_password(result.stdout, result.stderr)
    assert (result.exit_code == 0, result.stdout, result.stderr.count("\n")) == (False, "", 1)
    return result.stderr


def run_waiting(folder: Path, command: str, **variables: str) -> str:
    """Run a command that waits for its database, and return the log line of that."""
    with running_command(folder, command, **VERBOSE_SETTINGS, **variables) as process:
        log_line = process.wait_for_log(".*Retrying until it responds.*")[0]
        result = process.stop(signal.SIGTERM)
    assert result.exit_code == 0
    assert_no_password(result.stdout, result.stderr)
    return log_line


def denial_message(server: DatabaseServer) -> str:
    """Return a part of a database server's error for a wrong password."""
    return "Access denied" if isinstance(server, MySQLFamilyServer) else "password authentication failed"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_unusable_database(server: DatabaseServer, proxy: TCPProxy, tmp_path: Path, command: str) -> None:
    """Each command reports in one line why the database cannot be used, without the password."""
    database = server.create_database()
    url, proxied_url = server.url(database), server.url(database, port=proxy.port)
    wrong_url = url.replace(quote(PASSWORD, safe=""), quote(WRONG_PASSWORD, safe=""))
    assert denial_message(server) in run_failing(tmp_path, command, DATABASE_URL=wrong_url)
    assert "set DATABASE_SSL_CA" in run_failing(tmp_path, command, DATABASE_URL=f"{url}?ssl-mode=REQUIRED")
    run_unavailable = run_waiting if command == "serve" else run_failing
    proxy.hang = True
    assert "did not respond within 0.5 s" in run_unavailable(
        tmp_path, command, DATABASE_URL=proxied_url, DATABASE_TIMEOUT="0.5"
    )
    proxy.refuse()
    assert "check host and port" in run_unavailable(tmp_path, command, DATABASE_URL=proxied_url)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://root:hunter2@host:port/db", "is not a URL"),
        ("mysql://root:hunt@er@host/hunter2?hunter2", "write %40, %2F, %3A or %3F"),
        ("mysql://root:hunter2@host/db?ssl-mode=PREFERRED", "write ssl-mode=REQUIRED (or VERIFY_CA"),
        ("oracle://root:hunter2@host/db", "DATABASE_URL names 'oracle'"),
        ("sqlite://root:hunter2@host/db", "SQLite has neither"),
    ],
)
def test_bad_urls(tmp_path: Path, url: str, words: str) -> None:
    """A malformed URL ends `serve` with one line that does not repeat it."""
    assert words in run_failing(tmp_path, "serve", DATABASE_URL=url)


def collect_responses(process: Process) -> str:
    """Return all responses that mention the database."""
    pages = [process.get(path).text for path in ("/readyz", "/healthz", "/metrics", "/")]
    return "\n".join([*pages, str(process.query(REFRESH))])


@pytest.mark.slow
def test_outage(server: DatabaseServer, proxy: TCPProxy, certificates: Certificates, tmp_path: Path) -> None:
    """Neither a working server over TLS nor an outage shows the password to clients or the log."""
    variables = {
        **VERBOSE_SETTINGS,
        "DATABASE_URL": server.url(server.create_database(), port=proxy.port),
        "DATABASE_SSL_CA": base64.b64encode(certificates.authority.read_bytes()).decode(),
        "SNAPSHOT_POLL": "0.1",
    }
    migrated = run_forked(tmp_path, "migrate", **variables)
    refreshed = run_forked(tmp_path, "refresh", **variables)
    assert [migrated.exit_code, refreshed.exit_code] == [0, 0]
    with running_server(tmp_path, **variables) as process:
        healthy_output = collect_responses(process)
        proxy.refuse()
        proxy.cut()
        process.wait_for_log("error.*Serving the data loaded before")
        failing_output = collect_responses(process)
        result = process.stop(signal.SIGTERM)
    # In single quotes, because the metrics have every code in double quotes.
    assert ("'DATABASE_UNAVAILABLE'" in healthy_output, "'DATABASE_UNAVAILABLE'" in failing_output) == (False, True)
    assert_no_password(healthy_output, failing_output, *outputs(migrated), *outputs(refreshed), *outputs(result))


def outputs(result: CommandResult) -> tuple[str, str]:
    """Return the output of a command."""
    return result.stdout, result.stderr
