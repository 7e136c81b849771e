"""The upsert that SQLite and PostgreSQL have in common: INSERT … ON CONFLICT."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Table, case

if TYPE_CHECKING:  # a process needs one of them
    from sqlalchemy.dialects import postgresql, sqlite

I = TypeVar("I", "sqlite.Insert", "postgresql.Insert")  # noqa: E741 - an Insert


def overwrite(statement: I, table: Table, columns: Sequence[str], *, key: str, fence: str) -> I:
    """Return an INSERT that overwrites the row of the same key; it fails where that is fenced."""
    new = statement.excluded
    overwritten = {name: new[name] for name in columns if name not in (key, fence)}
    fenced = case((new[fence] >= table.c[fence], new[fence]))
    return statement.on_conflict_do_update(
        index_elements=[table.c[key]], set_={**overwritten, fence: fenced}
    )
