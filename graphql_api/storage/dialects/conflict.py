"""The upsert that SQLite and PostgreSQL have in common: INSERT … ON CONFLICT … WHERE."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

I = TypeVar("I", sqlite.Insert, postgresql.Insert)  # noqa: E741 - an Insert


def overwrite(statement: I, table: Table, columns: Sequence[str], *, key: str, fence: str) -> I:
    """Return an INSERT that overwrites the row of the same key, unless its fence is higher."""
    return statement.on_conflict_do_update(
        index_elements=[table.c[key]],
        set_={name: statement.excluded[name] for name in columns if name != key},
        where=statement.excluded[fence] >= table.c[fence],
    )
