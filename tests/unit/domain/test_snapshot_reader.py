"""The reader of a request: lookups, texts folded once, and looks at the clock."""

from collections import Counter
from collections.abc import Callable

import pytest

from graphql_api.domain.country import CountryField
from graphql_api.domain.filters import AllOf, AnyOf, Condition, Filter, Not, Operator
from graphql_api.domain.folding import fold, fold_code
from graphql_api.domain.pagination import PageRequest, paginate
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.domain.sorting import SortKey
from graphql_api.errors import InvalidInput
from tests.support.factories import LOOKALIKES, make_country, make_identity, make_reference, make_snapshot

IVORY_COAST = make_country("CI", name="Côte d’Ivoire")
SNAPSHOT = make_snapshot(
    [IVORY_COAST, make_country("DE")], make_reference(make_identity("CI", aliases=("Ivory Coast",)))
)
READER = SnapshotReader(SNAPSHOT)
EXPANDING = "\ufdfa"
"""Three bytes that fold to eighteen characters."""


@pytest.mark.parametrize("code", ["CI", "ci", "CIA", " cia\n"])
def test_find_by_code(code: str) -> None:
    """A country is found by either code, in any case, with space around it."""
    assert READER.find(code=code, name=None) == IVORY_COAST


@pytest.mark.parametrize("lookalike", LOOKALIKES)
def test_find_by_lookalike(lookalike: str) -> None:
    """A text whose folded, upper or lower form is a code is no code if it is not ASCII."""
    rows = [make_country(code, alpha3=alpha3) for code, alpha3 in (("SS", "SSD"), ("FI", "FIN"), ("KR", "KOR"))]
    assert SnapshotReader(make_snapshot(rows)).find(code=lookalike, name=None) is None


@pytest.mark.parametrize("name", ["Côte d’Ivoire", " COTE D'IVOIRE\t", "ivory coast"])
def test_find_by_name(name: str) -> None:
    """A country is found by name or alias, in any case, without accents, with space around it."""
    assert READER.find(code=None, name=name) == IVORY_COAST


@pytest.mark.parametrize("text", ["", "C", "Ivory", "Coast Ivory", "'; --", "\ud800", "\x00"])
def test_find_nothing(text: str) -> None:
    """Other text finds nothing, and neither does a code as a name or a name as a code."""
    assert READER.find(code=text, name=None) is None
    assert READER.find(code=None, name=text) is None
    assert READER.find(code="Ivory Coast", name=None) is None
    assert READER.find(code=None, name="CI") is None


@pytest.mark.parametrize(("code", "name"), [(None, None), ("CI", "Ivory Coast"), ("", "")])
def test_find_by_one_argument(code: str | None, name: str | None) -> None:
    """Neither argument, or both, is rejected with a message."""
    message = r"^Give either code or name: exactly one of them\.$"
    with pytest.raises(InvalidInput, match=message):
        READER.find(code=code, name=name)


class Looks:
    """A clock that counts looks at it, and is up after some of them."""

    def __init__(self, up_after: int | None = None) -> None:
        self.count, self._up_after = 0, up_after

    def __call__(self) -> None:
        """Count one look.

        Raises:
            TimeoutError: The time is up.
        """
        self.count += 1
        if self._up_after is not None and self.count > self._up_after:
            raise TimeoutError


def test_longest_text() -> None:
    """The longest text of a snapshot is that of a column, or a name to find a country by."""
    assert SNAPSHOT.longest_text == len("western europe")
    assert make_snapshot([make_country(capital="x" * 90)]).longest_text == 90
    reference = make_reference(make_identity("FR", aliases=("ﬃ" * 40,)))
    assert make_snapshot([make_country("FR")], reference).longest_text == 120
    assert make_snapshot().longest_text == 0


def count_folded(text: str, folder: Callable[..., str] = fold) -> tuple[str, int]:
    """Return what a reader makes of a text, and how often it is folded in two uses."""
    calls: Counter[str] = Counter()

    def count(text: str, max_length: int) -> str:
        calls[text] += 1
        return folder(text, max_length)

    reader = SnapshotReader(SNAPSHOT)
    folded = reader.fold(count, text)
    assert reader.fold(count, text) == folded
    return folded, calls.total()


def test_folded_once() -> None:
    """A request folds a text once, whatever the number of its uses; another request folds it again."""
    assert count_folded("CÔTE") == ("cote", 1)
    assert count_folded("CÔTE") == ("cote", 1)
    assert count_folded("ÔÔ", fold_code) == ("ÔÔ", 1)


@pytest.mark.parametrize(
    "text", [EXPANDING * 33_000, "Ô" * 99_000, "x" * 99_000, "e" + "\u0301\u0327" * 40_000 + "x" * 99]
)
def test_long_text(text: str) -> None:
    """Of a text longer than all of the snapshot, one character more is folded, and it matches nothing."""
    folded = SnapshotReader(SNAPSHOT).fold(fold, text)
    assert len(folded) == SNAPSHOT.longest_text + 1
    assert fold(text).startswith(folded)
    for operator in (Operator.EQ, Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH):
        assert select_rows(Condition(CountryField.NAME, operator, text)) == []
    assert select_rows(Condition(CountryField.NAME, Operator.IN, frozenset((text,)))) == []
    assert select_rows(Condition(CountryField.NAME, Operator.NE, text)) == [0, 1]
    assert select_rows(Condition(CountryField.NAME, Operator.NOT_IN, frozenset((text,)))) == [0, 1]
    assert SnapshotReader(SNAPSHOT).find(code=None, name=text) is None


def select_rows(filter_: Filter) -> list[int]:
    """Return the indexes of the rows that match."""
    return list(paginate(SnapshotReader(SNAPSHOT), filter_, (), PageRequest()).matching)


def test_marks_are_no_length() -> None:
    """A text that folding shortens is found however long it is written."""
    name = "Co" + "\u0302\u0323" * 500 + "te d'Ivoire"
    assert READER.find(code=None, name=name) == IVORY_COAST


CONDITION = Condition(CountryField.NAME, Operator.CONTAINS, "Ô")


@pytest.mark.parametrize(
    ("filter_", "sort", "looks", "second_looks", "third_looks"),
    [
        (AllOf(()), (), 0, 0, 0),
        (CONDITION, (), 1, 1 + 1, 0),
        (AllOf((CONDITION, Not(CONDITION), AnyOf((CONDITION,) * 30))), (), *(1 + 1 + 2 + 1 + 30,) * 2, 0),
        (AllOf(()), (SortKey(CountryField.NAME), SortKey(CountryField.CODE)), 2, 0, 0),
        (AllOf(()), (SortKey(CountryField.NAME),) * 146, 1, 0, 0),
    ],
)
def test_looks_at_the_clock(
    filter_: Filter, sort: tuple[SortKey, ...], looks: int, second_looks: int, third_looks: int
) -> None:
    """Every condition, nesting and key of a new order looks at the clock, and what is kept does not."""
    clock = Looks()

    def list_rows(snapshot: Snapshot) -> object:
        return paginate(SnapshotReader(snapshot, clock), filter_, sort, PageRequest()).rows

    snapshot = make_snapshot([IVORY_COAST])
    counts = []
    for _ in range(3):
        clock.count = 0
        list_rows(snapshot)
        counts.append(clock.count)
    assert counts == [looks, second_looks, third_looks]
    for up_after in range(looks):
        clock = Looks(up_after)
        with pytest.raises(TimeoutError):
            list_rows(make_snapshot([IVORY_COAST]))
        assert clock.count == up_after + 1


def test_lookup_looks_at_the_clock() -> None:
    """Finding a country by code or name looks at the clock before it folds anything."""
    folded: list[str] = []
    reader = SnapshotReader(SNAPSHOT, Looks(0))
    with pytest.raises(TimeoutError):
        reader.find(code=None, name="Ô")
    assert folded == []
