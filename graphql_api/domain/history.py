"""The history: attempts to refresh in order of time, the same on every replica that has read the same rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from graphql_api.domain.report import Attempt

MAX_STORED_REFRESHES = 1000
"""Older attempts are deleted, by sequence number."""


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """A row of the history in the database."""

    sequence: int
    """Numbers the rows in the order of their commits."""
    id: str
    attempt: Attempt | None
    """None if another version wrote it and this one cannot parse it."""


@dataclass(frozen=True, slots=True)
class History:
    """Attempts read from the database, and those of this process that the database does not have yet."""

    stored: tuple[StoredAttempt, ...] = ()
    """Highest sequence number first."""
    unrecorded: tuple[Attempt, ...] = ()
    """Newest first."""
    lost_ids: frozenset[str] = frozenset()
    """Ids of unrecorded attempts that could not be recorded. They stay until the database responds again."""

    @property
    def last_sequence(self) -> int:
        """Return the highest sequence number that was read; 0 without any."""
        return self.stored[0].sequence if self.stored else 0

    @property
    def last_id(self) -> str | None:
        """Return the id of the row with the highest sequence number; None without any."""
        return self.stored[0].id if self.stored else None

    def list_attempts(self) -> tuple[Attempt, ...]:
        """Return the attempts, the latest first. Attempts of the same time are in the order of their commits."""
        stored = (row.attempt for row in self.stored if row.attempt is not None)
        latest_first = sorted((*self.unrecorded, *stored), key=lambda attempt: attempt.at, reverse=True)
        return tuple(latest_first[:MAX_STORED_REFRESHES])

    def is_unrecorded(self, attempt_id: str) -> bool:
        """Return whether this process made an attempt and has not yet read it from the database."""
        return any(attempt.id == attempt_id for attempt in self.unrecorded)

    def extend(self, new_rows: Sequence[StoredAttempt]) -> Self:
        """Add rows with higher sequence numbers, and drop the rows that the database has deleted."""
        rows = (*new_rows, *self.stored)
        new_ids = {row.id for row in new_rows}
        return replace(
            self,
            stored=tuple(row for row in rows if row.sequence > rows[0].sequence - MAX_STORED_REFRESHES),
            unrecorded=tuple(attempt for attempt in self.unrecorded if attempt.id not in new_ids),
        )

    def add(self, attempt: Attempt) -> Self:
        """Add an attempt of this process, which the database does not have yet."""
        return replace(self, unrecorded=(attempt, *self.unrecorded))

    def mark_lost(self, attempt_id: str) -> Self:
        """Mark an attempt that the database will not get."""
        return replace(self, lost_ids=self.lost_ids | {attempt_id})

    def drop(self, lost_ids: frozenset[str]) -> Self:
        """Drop lost attempts."""
        remaining = tuple(attempt for attempt in self.unrecorded if attempt.id not in lost_ids)
        return replace(self, unrecorded=remaining, lost_ids=self.lost_ids - lost_ids)
