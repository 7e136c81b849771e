"""The history: in order of time, with what the database has and what it does not have yet."""

from collections.abc import Sequence
from datetime import timedelta

from graphql_api.domain.history import MAX_STORED_REFRESHES, History, StoredAttempt
from graphql_api.domain.report import Attempt, RefreshFailure
from tests.support.attempts import STARTED_AT, make_failure


def make_attempt(number: int) -> RefreshFailure:
    """Return the attempt of a minute; the number is its id."""
    return make_failure(str(number), at=STARTED_AT + timedelta(minutes=number))


def make_row(sequence: int, number: int) -> StoredAttempt:
    """Return the row of an attempt."""
    return StoredAttempt(sequence, str(number), make_attempt(number))


def list_ids(attempts: Sequence[Attempt]) -> list[str]:
    """Return the ids of attempts."""
    return [attempt.id for attempt in attempts]


def test_empty() -> None:
    """A new history has no attempt."""
    assert (History().list_attempts(), History().last_sequence, History().last_id) == ((), 0, None)


def test_order_of_time() -> None:
    """The latest attempt comes first, whatever the order of recording."""
    history = History().add(make_attempt(5)).add(make_attempt(2)).extend([make_row(2, 1), make_row(1, 4)])
    assert list_ids(history.list_attempts()) == ["5", "4", "2", "1"]
    assert (history.last_sequence, history.last_id) == (2, "1")


def test_same_time() -> None:
    """Attempts of the same time are in the order of their commits."""
    rows = [StoredAttempt(number, str(number), make_failure(str(number))) for number in (3, 2, 1)]
    assert list_ids(History().extend(rows).list_attempts()) == ["3", "2", "1"]
    assert list_ids(History().extend(rows[1:]).extend(rows[:1]).list_attempts()) == ["3", "2", "1"]


def test_recorded() -> None:
    """An attempt is in the history once, before and after the database has it."""
    history = History().add(make_attempt(1))
    assert history.is_unrecorded("1") is True
    recorded = history.extend([make_row(1, 1)])
    assert (list_ids(recorded.list_attempts()), recorded.is_unrecorded("1")) == (["1"], False)


def test_lost() -> None:
    """A lost attempt stays until it is dropped, and one that is recorded nevertheless stays."""
    history = History().add(make_attempt(1)).add(make_attempt(2)).add(make_attempt(3))
    history = history.mark_lost("2").mark_lost("1").extend([make_row(1, 1)])
    assert list_ids(history.list_attempts()) == ["3", "2", "1"]
    dropped = history.drop(history.lost_ids)
    assert (list_ids(dropped.list_attempts()), dropped.lost_ids) == (["3", "1"], frozenset())


def test_foreign_attempt() -> None:
    """A row that cannot be parsed counts as read, and is in no list."""
    history = History().extend([StoredAttempt(2, "foreign", None), make_row(1, 1)])
    assert list_ids(history.list_attempts()) == ["1"]
    assert (history.last_sequence, history.last_id) == (2, "foreign")


def test_bounds() -> None:
    """The history drops the rows that the database has deleted, which are not always the oldest."""
    rows = [make_row(sequence, sequence) for sequence in range(MAX_STORED_REFRESHES, 0, -1)]
    late_row = make_row(MAX_STORED_REFRESHES + 1, 0)
    history = History().extend(rows).extend([late_row])
    assert history.stored == (late_row, *rows[:-1])
    assert list_ids(history.list_attempts())[-2:] == ["2", "0"]
    assert len(history.add(make_attempt(5000)).list_attempts()) == MAX_STORED_REFRESHES
