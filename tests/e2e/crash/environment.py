"""Environment of a crash test: a database, the sources, and processes of the program."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from graphql_api.storage.tables import countries
from tests.e2e.crash import datasets
from tests.e2e.crash.byte_limit_proxy import ByteLimitProxy
from tests.e2e.crash.fork_server import FolderForks, ForkedProcess
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import Upstream

REFRESH_TIMEOUT = 5.0
"""Seconds for fetching."""
_REVISION_COLUMNS = ("last_refreshed_at", "revision")
_DATA_COLUMNS = [name for name in countries.columns.keys() if name not in _REVISION_COLUMNS]  # noqa: SIM118 - not of a dict
_SELECT_ROWS = (
    f"SELECT {', '.join((*_DATA_COLUMNS, *_REVISION_COLUMNS))} "  # noqa: S608 - no input
    "FROM countries ORDER BY code"
)

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """State of the database, read without the program."""

    rows: list[Row]
    history: dict[str, str]
    """Outcome of each refresh in the history, by id."""
    lease: tuple[str, float, int]
    """Refresh id, end in seconds since 1970, and revision of the lease taken last."""
    is_lease_held: bool
    """True while the lease is not released."""

    @property
    def data(self) -> list[Row]:
        """Return the rows without the columns that differ with each refresh."""
        return [row[: -len(_REVISION_COLUMNS)] for row in self.rows]

    @property
    def revision_stamps(self) -> set[Row]:
        """Return time and revision of the rows' refresh; a whole set has one pair."""
        return {row[-len(_REVISION_COLUMNS) :] for row in self.rows}


class CrashEnvironment:
    """A database, the sources and the program. A database server is behind a proxy."""

    database_kind: str

    def __init__(self, fork_server: FolderForks, upstream: Upstream) -> None:
        """Use a fork server for processes, and `upstream` for sources."""
        self.fork_server = fork_server
        self.upstream = upstream
        self.url = ""
        self.datasets: dict[str, list[Row]] = {}
        """Rows in the table after a refresh with each set."""

    def settings(self, name: str) -> dict[str, str]:
        """Return the settings for a refresh with one of the sets."""
        return {
            "DATABASE_URL": self.url,
            "DATABASE_TIMEOUT": "5",
            "REFRESH_TIMEOUT": f"{REFRESH_TIMEOUT:g}",
            "SNAPSHOT_POLL": "3600",
            "STALE_AFTER": "1000000000",
            **datasets.source_settings(self.upstream, name),
        }

    def start_refresh(self, name: str) -> ForkedProcess:
        """Start a refresh with one of the sets."""
        return self.fork_server.start("refresh", "--force", **self.settings(name))

    def run_refresh(self, name: str) -> DatabaseState:
        """Run a refresh with one of the sets, and return the state; it must succeed."""
        before = self.read_state()
        code, child = self.fork_server.run("refresh", "--force", **self.settings(name))
        assert (code, child.stderr) == (0, "")
        after = self.read_state()
        assert after.data == self.datasets.setdefault(name, after.data)
        assert len(after.revision_stamps) == 1
        assert list(after.history.values()) == [*before.history.values(), "SUCCEEDED"]
        assert not after.is_lease_held
        return after

    def prepare(self) -> DatabaseState:
        """Create the tables, and learn their rows by a refresh with each set."""
        assert self.fork_server.run("migrate", **self.settings("a"))[0] == 0
        for name in datasets.DATASETS:
            state = self.run_refresh(name)
        assert not any(first == second for first, second in zip(*self.datasets.values(), strict=True))
        return state

    def read_state(self) -> DatabaseState:
        """Read the state."""
        ((lease, revision, expires_at),) = self.query(
            "SELECT coalesce(refresh_id, ''), revision, expires_at FROM leases"
        )
        history = self.query("SELECT id, outcome FROM refreshes ORDER BY sequence")
        return DatabaseState(
            rows=self.query(_SELECT_ROWS),
            history={row[0]: row[1] for row in history},
            lease=(lease, float(expires_at), int(revision)),
            is_lease_held=float(expires_at) > 0,
        )

    def expire_lease(self) -> None:
        """Expire the lease."""
        self.query("UPDATE leases SET expires_at = 0")

    def query(self, sql: str) -> list[Row]:
        """Run SQL without the program."""
        raise NotImplementedError


class SQLiteEnvironment(CrashEnvironment):
    """SQLite, without a proxy."""

    database_kind = "SQLite"

    def __init__(self, fork_server: FolderForks, upstream: Upstream, folder: Path) -> None:
        """Put the database file into `folder`."""
        super().__init__(fork_server, upstream)
        self._path = folder / "countries.db"
        self.url = f"sqlite:///{self._path}"

    def query(self, sql: str) -> list[Row]:
        """Run SQL on a new connection."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            return [tuple(map(str, row)) for row in connection.execute(sql)]


class ServerEnvironment(CrashEnvironment):
    """A database server behind a proxy."""

    def __init__(
        self, fork_server: FolderForks, upstream: Upstream, server: DatabaseServer, proxy: ByteLimitProxy
    ) -> None:
        """Create a database on `server`, which the program reaches through `proxy`."""
        super().__init__(fork_server, upstream)
        self.database_kind = type(server).__name__
        self.server = server
        self.proxy = proxy
        self._database = server.create_database()
        self.url = server.url(self._database, port=proxy.port)

    def query(self, sql: str) -> list[Row]:
        """Run SQL as superuser, past the proxy."""
        output = self.server.execute(sql, self._database)
        return [tuple(line.split("\t")) for line in output.splitlines()]


@contextmanager
def running_fork_server(folder: Path) -> Iterator[tuple[FolderForks, Upstream]]:
    """Return a fork server for a folder, and an upstream that serves both sets."""
    with Upstream() as upstream, FolderForks(folder) as fork_server:
        datasets.serve_datasets(upstream)
        yield fork_server, upstream
