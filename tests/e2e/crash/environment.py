"""What a kill happens to: a database, the sources, and processes of the program between them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from graphql_api.storage.tables import countries
from tests.e2e.crash import datasets
from tests.e2e.crash.byte_limit_proxy import ByteLimitProxy
from tests.e2e.crash.fork_server import ForkedProcess, ForkServer
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import Upstream

REFRESH_TIMEOUT = 5.0
"""Seconds that fetching may take; the lease lasts a minute longer."""
_REVISION_COLUMNS = ("last_refreshed_at", "revision")
_DATA_COLUMNS = [name for name in countries.columns.keys() if name not in _REVISION_COLUMNS]  # noqa: SIM118 - not of a dict
_SELECT_ROWS = (
    f"SELECT {', '.join((*_DATA_COLUMNS, *_REVISION_COLUMNS))} "  # noqa: S608 - no input
    "FROM countries ORDER BY code"
)

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What the database holds, read without the program's help."""

    rows: list[Row]
    history: dict[str, str]
    """The outcome of each refresh in the history, by its id."""
    lease: tuple[str, float, int]
    """For which refresh the lease was taken last, for how long, and its revision."""
    is_lease_held: bool
    """Whether the lease has not been given back."""

    @property
    def data(self) -> list[Row]:
        """Return the rows without what is another with each refresh."""
        return [row[: -len(_REVISION_COLUMNS)] for row in self.rows]

    @property
    def revision_stamps(self) -> set[Row]:
        """Return when the rows were refreshed, and their revisions; a whole set has one of each."""
        return {row[-len(_REVISION_COLUMNS) :] for row in self.rows}


class CrashEnvironment:
    """A database of one kind, with the sources and the program; a server stands behind a trap."""

    database_kind: str

    def __init__(self, fork_server: ForkServer, upstream: Upstream) -> None:
        """Take what makes processes, and what plays the sources."""
        self.fork_server = fork_server
        self.upstream = upstream
        self.url = ""
        self.datasets: dict[str, list[Row]] = {}
        """What the table holds after a refresh with each set of data."""

    def settings(self, name: str) -> dict[str, str]:
        """Return the settings with which a process refreshes with one of the sets."""
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
        """Refresh with one of the sets, which must succeed, and return what there is then."""
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
        """Make the tables, and learn what they hold after a refresh with each of the sets."""
        assert self.fork_server.run("migrate", **self.settings("a"))[0] == 0
        for name in datasets.DATASETS:
            state = self.run_refresh(name)
        assert not any(
            first == second for first, second in zip(*self.datasets.values(), strict=True)
        )
        return state

    def read_state(self) -> DatabaseState:
        """Read what there is."""
        ((lease, duration, revision, expires_at),) = self.query(
            "SELECT coalesce(refresh_id, ''), expires_at - coalesce(taken_at, 0), revision, "
            "expires_at FROM leases"
        )
        history = self.query("SELECT id, outcome FROM refreshes ORDER BY sequence")
        return DatabaseState(
            rows=self.query(_SELECT_ROWS),
            history={row[0]: row[1] for row in history},
            lease=(lease, float(duration), int(revision)),
            is_lease_held=float(expires_at) > 0,
        )

    def expire_lease(self) -> None:
        """Let the lease run out."""
        self.query("UPDATE leases SET expires_at = 0")

    def query(self, sql: str) -> list[Row]:
        """Ask the database directly."""
        raise NotImplementedError


class SQLiteEnvironment(CrashEnvironment):
    """SQLite: nothing stands between the program and the file."""

    database_kind = "SQLite"

    def __init__(self, fork_server: ForkServer, upstream: Upstream, folder: Path) -> None:
        """Take the folder of the file."""
        super().__init__(fork_server, upstream)
        self._path = folder / "countries.db"
        self.url = f"sqlite:///{self._path}"

    def query(self, sql: str) -> list[Row]:
        """Ask over a connection of its own."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            return [tuple(map(str, row)) for row in connection.execute(sql)]


class ServerEnvironment(CrashEnvironment):
    """A database server behind a trap."""

    def __init__(
        self,
        fork_server: ForkServer,
        upstream: Upstream,
        server: DatabaseServer,
        proxy: ByteLimitProxy,
    ) -> None:
        """Take the server, and the trap before it."""
        super().__init__(fork_server, upstream)
        self.database_kind = type(server).__name__
        self.server = server
        self.proxy = proxy
        self._database = server.create_database()
        self.url = server.url(self._database, port=proxy.port)

    def query(self, sql: str) -> list[Row]:
        """Ask as the server's master, past the trap."""
        output = self.server.execute(sql, self._database)
        return [tuple(line.split("\t")) for line in output.splitlines()]


@contextmanager
def running_fork_server(folder: Path) -> Iterator[tuple[ForkServer, Upstream]]:
    """Lend what makes processes in a folder, and what plays the sources."""
    with Upstream() as upstream, ForkServer(folder) as fork_server:
        datasets.serve_datasets(upstream)
        yield fork_server, upstream
