"""The order that clients ask for: total, stable, nulls last in both directions."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphql_api.domain.country import CountryField
from graphql_api.domain.snapshot import Key, Snapshot


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field to sort by."""

    field: CountryField
    descending: bool = False


TIE_BREAKERS = (SortKey(CountryField.NAME), SortKey(CountryField.CODE))
"""What decides among rows that the client's keys leave equal; the code is unique."""


def arrange(keys: Sequence[SortKey], snapshot: Snapshot, places: Sequence[int]) -> list[int]:
    """Return `places` in the order of `keys`, then of name and code.

    `places` must be ascending, as `filters.select` gives them: a snapshot's rows already stand in
    the order of the tie-breakers, and every sort here is stable.
    """
    arranged = list(places)
    for key in reversed(keys):
        column = snapshot.columns[key.field]
        present = [place for place in arranged if column[place] is not None]
        absent = [place for place in arranged if column[place] is None]
        present.sort(key=lambda place: column[place], reverse=key.descending)  # type: ignore[arg-type, return-value] # the None are gone, and one column holds one type
        arranged = present + absent
    return arranged


def position_of(place: int, keys: Sequence[SortKey], snapshot: Snapshot) -> tuple[Key, ...]:
    """Return the values that give a row its position: one per key, then name and code."""
    return tuple(snapshot.columns[key.field][place] for key in (*keys, *TIE_BREAKERS))


def compare(left: Sequence[Key], right: Sequence[Key], keys: Sequence[SortKey]) -> int:
    """Return -1, 0 or 1 as position `left` comes before, at or after position `right`."""
    for one, other, key in zip(left, right, (*keys, *TIE_BREAKERS), strict=True):
        if one == other:
            continue
        if one is None or other is None:
            return 1 if one is None else -1
        before = one < other  # type: ignore[operator] # one column holds one type
        return -1 if before is not key.descending else 1
    return 0
