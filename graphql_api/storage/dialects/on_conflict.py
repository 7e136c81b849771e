"""The upsert of SQLite and PostgreSQL: INSERT … ON CONFLICT."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Table, case

if TYPE_CHECKING:  # a process imports one of them
    from sqlalchemy.dialects import postgresql, sqlite

InsertT = TypeVar("InsertT", "sqlite.Insert", "postgresql.Insert")


def overwrite_on_conflict(statement: InsertT, table: Table, columns: Sequence[str], *, key: str, fence: str) -> InsertT:
    """Return the upsert that `Dialect.upsert` describes."""
    new = statement.excluded
    updates = {name: new[name] for name in columns if name not in (key, fence)}
    fenced_value = case((new[fence] >= table.c[fence], new[fence]))
    return statement.on_conflict_do_update(index_elements=[table.c[key]], set_={**updates, fence: fenced_value})
