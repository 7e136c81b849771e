"""The outcome of refreshes as a SQLite file shows it to other processes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple


class StoredState(NamedTuple):
    """Rows, outcomes of refreshes, and whether a process holds the lease."""

    countries: int
    outcomes: list[str]
    is_lease_held: bool


def read_state(path: Path) -> StoredState:
    """Return the state of a database."""
    with closing(sqlite3.connect(path)) as connection:
        ((country_count,),) = connection.execute("SELECT count(*) FROM countries")
        outcomes = [outcome for (outcome,) in connection.execute("SELECT outcome FROM refreshes ORDER BY sequence")]
        ((expires_at,),) = connection.execute("SELECT expires_at FROM leases")
    return StoredState(country_count, outcomes, expires_at > 0)
