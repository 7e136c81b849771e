"""`graphql-api migrate` creates the tables of this version, and stores no data."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.processes import CommandResult, list_paths, run_command

NEAR_MISS = "DATABSE_URL is set, but is not a setting. Did you mean DATABASE_URL?\n"


def count_rows(path: Path) -> dict[str, int]:
    """Return the number of rows of each table of a database."""
    with closing(sqlite3.connect(path)) as connection:
        table_rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - names of tables
            for (name,) in table_rows
        }


@pytest.mark.slow
def test_migrate(tmp_path: Path) -> None:
    """The first run creates empty tables; a second one has nothing to do."""
    assert run_command(tmp_path, "migrate") == CommandResult(0, "Migrated.\n", "")
    assert list_paths(tmp_path) == ["var", "var/countries.db"]
    row_counts = count_rows(tmp_path / "var" / "countries.db")
    assert row_counts == {"alembic_version": 1, "answers": 0, "countries": 0, "leases": 1, "refreshes": 0}
    assert run_command(tmp_path, "migrate") == CommandResult(0, "Nothing to do: the database is up to date.\n", "")
    assert count_rows(tmp_path / "var" / "countries.db") == row_counts


def test_malformed_setting(tmp_path: Path) -> None:
    """A wrong setting ends the command with one line that names it, and creates nothing."""
    assert run_command(tmp_path, "migrate", API_TIMEOUT="10s") == CommandResult(
        2, "", "graphql-api: API_TIMEOUT: Input should be a valid number, unable to parse string as a number\n"
    )
    assert list_paths(tmp_path) == []


def test_production_names_its_database(tmp_path: Path) -> None:
    """A variable that is almost DATABASE_URL is named, and in production nothing falls back to a SQLite file."""
    near_miss = {"DATABSE_URL": "mysql://db/countries"}
    result = run_command(tmp_path, "migrate", ENVIRONMENT="production", **near_miss)
    assert (result.exit_code, result.stdout, list_paths(tmp_path)) == (2, "", [])
    assert result.stderr.startswith(f"{NEAR_MISS}graphql-api: DATABASE_URL is required in production. Set it, ")
    assert run_command(tmp_path, "migrate", **near_miss) == CommandResult(0, "Migrated.\n", NEAR_MISS)
