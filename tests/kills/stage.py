"""What a kill happens to: a database, the sources, and processes of the program between them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from graphql_api.storage.tables import countries
from tests.kills import data
from tests.kills.spawner import Child, Spawner
from tests.kills.trap import Trap
from tests.servers.process import Server
from tests.upstream.server import Upstream

TIMEOUT = 5.0
"""Seconds that fetching may take; the lease lasts a minute longer."""
_STAMPS = ("last_refreshed_at", "revision")
_COLUMNS = [name for name in countries.columns.keys() if name not in _STAMPS]  # noqa: SIM118 - not of a dict
_ROWS = f"SELECT {', '.join(_COLUMNS)}, {', '.join(_STAMPS)} FROM countries ORDER BY code"  # noqa: S608 - no input

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What the database holds, read without the program's help."""

    rows: list[Row]
    history: dict[str, str]
    """The outcome of each refresh in the history, by its id."""
    lease: tuple[str, float, int]
    """For which refresh the lease was taken last, for how long, and its revision."""
    held: bool
    """Whether the lease has not been given back."""

    @property
    def data(self) -> list[Row]:
        """Return the rows without what is another with each refresh."""
        return [row[: -len(_STAMPS)] for row in self.rows]

    @property
    def stamps(self) -> set[Row]:
        """Return when the rows were refreshed, and their revisions; a whole set has one of each."""
        return {row[-len(_STAMPS) :] for row in self.rows}


class Stage:
    """A database of one kind, with the sources and the program; a server stands behind a trap."""

    system: str

    def __init__(self, spawner: Spawner, upstream: Upstream) -> None:
        """Take what makes processes, and what plays the sources."""
        self.spawner = spawner
        self.upstream = upstream
        self.url = ""
        self.sets: dict[str, list[Row]] = {}
        """What the table holds after a refresh with each set of data."""

    def settings(self, name: str) -> dict[str, str]:
        """Return the settings with which a process refreshes with one of the sets."""
        return {
            "DATABASE_URL": self.url,
            "DATABASE_TIMEOUT": "5",
            "REFRESH_TIMEOUT": f"{TIMEOUT:g}",
            "SNAPSHOT_POLL": "3600",
            "STALE_AFTER": "1000000000",
            **data.sources(self.upstream, name),
        }

    def refresh(self, name: str) -> Child:
        """Start a refresh with one of the sets."""
        return self.spawner.start("refresh", "--force", **self.settings(name))

    def refreshed(self, name: str) -> State:
        """Refresh with one of the sets, which must succeed, and return what there is then."""
        before = self.state()
        code, child = self.spawner.run("refresh", "--force", **self.settings(name))
        assert (code, child.stderr) == (0, "")
        after = self.state()
        assert after.data == self.sets.setdefault(name, after.data)
        assert len(after.stamps) == 1
        assert list(after.history.values()) == [*before.history.values(), "SUCCEEDED"]
        assert not after.held
        return after

    def prepare(self) -> State:
        """Make the tables, and learn what they hold after a refresh with each of the sets."""
        assert self.spawner.run("migrate", **self.settings("a"))[0] == 0
        for name in data.SETS:
            state = self.refreshed(name)
        assert not any(one == other for one, other in zip(*self.sets.values(), strict=True))
        return state

    def state(self) -> State:
        """Read what there is."""
        ((lease, lasts, revision, expires),) = self.ask(
            "SELECT coalesce(refresh_id, ''), expires_at - coalesce(taken_at, 0), revision, "
            "expires_at FROM leases"
        )
        history = self.ask("SELECT id, outcome FROM refreshes ORDER BY sequence")
        return State(
            rows=self.ask(_ROWS),
            history={row[0]: row[1] for row in history},
            lease=(lease, float(lasts), int(revision)),
            held=float(expires) > 0,
        )

    def run_out(self) -> None:
        """Let the lease run out."""
        self.ask("UPDATE leases SET expires_at = 0")

    def ask(self, sql: str) -> list[Row]:
        """Ask the database directly."""
        raise NotImplementedError


class FileStage(Stage):
    """SQLite: nothing stands between the program and the file."""

    system = "SQLite"

    def __init__(self, spawner: Spawner, upstream: Upstream, folder: Path) -> None:
        """Take the folder of the file."""
        super().__init__(spawner, upstream)
        self._path = folder / "countries.db"
        self.url = f"sqlite:///{self._path}"

    def ask(self, sql: str) -> list[Row]:
        """Ask over a connection of its own."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            return [tuple(map(str, row)) for row in connection.execute(sql)]


class ServerStage(Stage):
    """A database server behind a trap."""

    def __init__(self, spawner: Spawner, upstream: Upstream, server: Server, trap: Trap) -> None:
        """Take the server, and the trap before it."""
        super().__init__(spawner, upstream)
        self.system = type(server).__name__
        self.server = server
        self.trap = trap
        self._name = server.create_database()
        self.url = server.url(self._name, port=trap.port)

    def ask(self, sql: str) -> list[Row]:
        """Ask as the server's master, past the trap."""
        printed = self.server.execute(sql, self._name)
        return [tuple(line.split("\t")) for line in printed.splitlines()]


@contextmanager
def spawning(folder: Path) -> Iterator[tuple[Spawner, Upstream]]:
    """Lend what makes processes in a folder, and what plays the sources."""
    with Upstream() as upstream, Spawner(folder) as spawner:
        data.play(upstream)
        yield spawner, upstream
