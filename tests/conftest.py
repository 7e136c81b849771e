"""Fixtures for every test, and what a skip means."""

import gc
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from graphql_api.sources import transport
from graphql_api.sources.certificates import create_ssl_context
from tests.support.certificates import Certificates
from tests.support.database import MYSQL_FAMILY, wait_for_connection_threads
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.mysql import MySQL
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import ServiceInstance, make_source_config, running_instance

# A busy machine is no fault of the code under test.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


_SLOW_TIMEOUT = 900
"""Seconds for a slow test with its fixtures; pyproject.toml has the limit of the others."""


def pytest_xdist_auto_num_workers() -> int:
    """Start one worker more than there are processors: they wait for servers, but some have short timeouts."""
    return 1 + (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time, except those with a time limit of their own."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SLOW_TIMEOUT))


def pytest_collection_finish() -> None:
    """Spare the collector what stays: it would visit thousands of tests for half a second, within any of them."""
    gc.collect()
    gc.freeze()


def pytest_configure() -> None:
    """Restore Ctrl-C: a shell that starts tests in the background makes them ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _remembered_authorities() -> Iterator[None]:
    """Read the trusted authorities once, not for each application that runs in this process: it takes 50 ms."""
    contexts: dict[tuple[str | None, ...], ssl.SSLContext] = {}

    def create_once(environ: Mapping[str, str]) -> ssl.SSLContext:
        key = tuple(environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"))
        if key not in contexts:
            contexts[key] = create_ssl_context(environ)
        return contexts[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "create_ssl_context", create_once)
        yield


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Return a running server that plays the sources, on a port of its own."""
    with Upstream() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a SQLite database that does not exist yet."""
    return tmp_path / "countries.db"


@pytest.fixture
async def instance(path: Path, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Return a refresh service over SQLite that fetches from the fake providers alone."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        yield instance
    await wait_for_connection_threads()


@pytest.fixture
async def fallback_instance(path: Path, upstream: Upstream) -> AsyncIterator[ServiceInstance]:
    """Return a refresh service that falls back to the bundled data."""
    async with running_instance(path, make_source_config(upstream, bundled=True)) as instance:
        yield instance
    await wait_for_connection_threads()


@pytest.fixture(scope="session")
def new_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., MariaDB]:
    """Return the factory of MariaDB servers, which are not started yet."""
    if MariaDB.find_program() is None:
        pytest.skip(MariaDB.install_hint)
    return partial(MariaDB, template=tmp_path_factory.mktemp("mariadb") / "data")


@pytest.fixture(scope="session")
def mariadb(new_mariadb: Callable[..., MariaDB]) -> Iterator[MariaDB]:
    """Return the running MariaDB that tests share; each test creates its own database."""
    with new_mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def new_mysql(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., MySQL]:
    """Return the factory of MySQL servers, which are not started yet."""
    if MySQL.find_program() is None:
        pytest.skip(MySQL.install_hint)
    return partial(MySQL, template=tmp_path_factory.mktemp("mysql") / "data")


@pytest.fixture(scope="session")
def mysql(new_mysql: Callable[..., MySQL]) -> Iterator[MySQL]:
    """Return the running MySQL that tests share; each test creates its own database."""
    with new_mysql() as server:
        yield server


@pytest.fixture(scope="session", params=MYSQL_FAMILY)
def new_mysql_family(request: pytest.FixtureRequest) -> Callable[..., MySQLFamilyServer]:
    """Return the factory of MariaDB servers, then that of MySQL servers."""
    factory: Callable[..., MySQLFamilyServer] = request.getfixturevalue(f"new_{request.param}")
    return factory


@pytest.fixture(scope="session", params=MYSQL_FAMILY)
def mysql_family(request: pytest.FixtureRequest) -> MySQLFamilyServer:
    """Return the shared MariaDB, then the shared MySQL."""
    server: MySQLFamilyServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture(scope="session")
def new_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., PostgreSQL]:
    """Return the factory of PostgreSQL servers, which are not started yet."""
    if PostgreSQL.find_program() is None:
        pytest.skip(PostgreSQL.install_hint)
    return partial(PostgreSQL, template=tmp_path_factory.mktemp("postgresql") / "data")


@pytest.fixture(scope="session")
def postgresql(new_postgresql: Callable[..., PostgreSQL]) -> Iterator[PostgreSQL]:
    """Return the running PostgreSQL that tests share; each test creates its own database."""
    with new_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates for servers, good and bad, and the authority to trust."""
    return Certificates.generate(tmp_path_factory.mktemp("certificates"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test in CI, which installs everything that a test may need."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each table whose rows tests recorded with `record_property`."""
    tables: dict[str, list[list[object]]] = {}
    for report in chain(*terminalreporter.stats.values()):
        for name, rows in getattr(report, "user_properties", ()):
            if getattr(report, "when", "") == "teardown":
                tables.setdefault(name, []).extend(rows)
    for name, rows in tables.items():
        terminalreporter.section(name)
        for row in sorted(rows, key=str):
            terminalreporter.write_line(" | ".join(map(str, row)))
