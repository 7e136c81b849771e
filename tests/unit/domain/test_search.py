"""Search: any spelling of a name, code or capital finds the country that a person means, first."""

import gc
import weakref
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.domain.nodes import CountryLinks, OtherNames
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.errors import InvalidInput
from tests.support.factories import few_examples, make_country, make_identity, make_reference, make_snapshot
from tests.support.world import WORLD, make_world

READER = SnapshotReader(Snapshot.from_rows(make_world(), WORLD))


def find(text: str, first: int = 10) -> list[tuple[str, float, str]]:
    """Return code, score and matched text of each match."""
    return [(match.country.code, match.score, match.matched) for match in READER.search(text, first)]


@pytest.mark.parametrize(
    ("text", "code", "matched"),
    [
        ("Germany", "DE", "Germany"),
        (" GERMANY ", "DE", "Germany"),
        ("the Gambia", "GM", "Gambia"),
        ("deutschland", "DE", "Deutschland"),
        ("العراق", "IQ", "العراق"),
        ("日本", "JP", "日本"),
        ("चीन", "CN", "चीन"),
        ("espana", "ES", "España"),
        ("Österreich", "AT", "Österreich"),
        ("ivory coast", "CI", "Ivory Coast"),
        ("côte d'ivoire", "CI", "Côte d’Ivoire"),
        ("cote divoire", "CI", "Côte d’Ivoire"),
        ("cote d ivoire", "CI", "Côte d’Ivoire"),
        ("st lucia", "LC", "St. Lucia"),
        ("newzealand", "NZ", "New Zealand"),
        ("holland", "NL", "Holland"),
        ("burma", "MM", "Burma"),
        ("england", "GB", "England"),
        ("bharat", "IN", "Bharat"),
        ("US", "US", "US"),
        ("u.s.a.", "US", "USA"),
        ("uk", "GB", "UK"),
        ("fra", "FR", "FRA"),
        ("840", "US", "840"),
        ("bi", "BI", "BI"),
        ("Bỉ", "BE", "Bỉ"),  # Belgium in Vietnamese; without the accent it is Burundi's code
        ("ouagadougou", "BF", "Ouagadougou"),
        ("wien", "AT", "Wien"),
        ("北京", "CN", "北京"),
        ("Москва", "RU", "Москва"),
    ],
)
def test_exact(text: str, code: str, matched: str) -> None:
    """A whole name in any language, alias, code or capital, however it is written, has score 1 and comes first."""
    assert find(text)[0] == (code, 1.0, matched)


@pytest.mark.parametrize(
    ("text", "code", "score", "matched"),
    [
        # The start of a name: 0.9, and by its share of the name up to 0.1 more, less for a capital or another language.
        ("germ", "DE", 0.9571, "Germany"),
        ("cote d iv", "CI", 0.9636, "Côte d’Ivoire"),
        ("united", "US", 0.95, "United States"),
        ("nige", "NE", 0.98, "Niger"),
        ("ouaga", "BF", 0.9318, "Ouagadougou"),
        ("allemag", "DE", 0.9233, "Allemagne"),
        # The starts of words, in any order: 0.8 and more.
        ("herzegovina", "BA", 0.8582, "Bosnia-Herzegovina"),
        ("kinshasa congo", "CD", 0.89, "Congo - Kinshasa"),
        ("tobago trin", "TT", 0.8588, "Trinidad & Tobago"),
        # Similar letters: less than 0.8.
        ("germny", "DE", 0.6857, "Germany"),
        ("austira", "AT", 0.6857, "Austria"),
        ("south afirca", "ZA", 0.7273, "South Africa"),
        ("Phillipines", "PH", 0.6545, "Philippines"),
        ("Германя", "DE", 0.651, "Германия"),
    ],
)
def test_ranks(text: str, code: str, score: float, matched: str) -> None:
    """The score tells how a text matches, and grows with the part of the name that does."""
    assert find(text)[0] == (code, score, matched)


def test_order() -> None:
    """Exact comes before prefix, prefix before word, word before fuzzy; the larger country is first among equals."""
    assert [code for code, *_ in find("guinea", 5)] == ["GN", "GW", "GQ", "PG"]
    assert [code for code, *_ in find("korea", 2)] == ["KR", "KP"]
    assert [(code, score) for code, score, _ in find("delhi", 2)] == [("IN", 1.0), ("TL", 1.0)]


@pytest.mark.parametrize("text", ["", "  ", "\u0301", "?!", "\n", "xqzvw", "x" * 100, "\ufdfa" * 100, "\x00"])
def test_nothing(text: str) -> None:
    """Empty text, and text that is like no name, finds nothing."""
    assert find(text) == []


def test_bounds() -> None:
    """A text of more than 100 characters, and a number that is negative or above 100, are errors that name them."""
    with pytest.raises(InvalidInput, match=r"^text has 101 characters, at most 100\.$"):
        find("x" * 101)
    for first in (-1, 101):
        with pytest.raises(InvalidInput, match=rf"^first must be from 0 to 100, not {first}\.$"):
            find("france", first)
    assert find("france", 0) == []
    assert len(find("a", 100)) == 100


@few_examples
@given(
    st.text(max_size=12) | st.sampled_from([row.name for row in make_world()]),
    st.text(alphabet="aeiou nrst-'é的", max_size=3),
    st.integers(1, 30),
)
def test_any_text(text: str, more: str, first: int) -> None:
    """Any text gives different countries, ordered by score, and fewer of them are the first of more."""
    matches = find(text + more, first)
    scores = [score for _, score, _ in matches]
    assert len({code for code, *_ in matches}) == len(matches) <= first
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert find(text + more, first + 9)[:first] == matches


def test_every_country() -> None:
    """Every country is first for its name and alpha-3 code, and among the first three with a letter missing."""
    assert [row.code for row in make_world() if find(row.name, 1)[0][0] != row.code] == []
    assert [row.code for row in make_world() if find(row.alpha3, 1)[0][0] != row.code] == []
    assert [
        row.code
        for row in make_world()
        if len(row.name) > 6 and row.code not in [code for code, *_ in find(row.name[:3] + row.name[4:], 3)]
    ] == []


def test_rows_without_reference() -> None:
    """Rows that the reference lacks are found by name and capital, and only rows that there are."""
    snapshot = make_snapshot(
        [make_country("ZZ", name="Atlantis", capital="Pearl City"), make_country("FR", name="France", capital=None)],
        make_reference(make_identity("FR", aliases=("Gaul",)), make_identity("DE", name="Germany")),
    )
    expected = {"atlantis": ["ZZ"], "pearl": ["ZZ"], "gaul": ["FR"], "zz": ["ZZ"], "germany": [], "paris": []}
    found = {text: [match.country.code for match in SnapshotReader(snapshot).search(text, 5)] for text in expected}
    assert found == expected
    assert SnapshotReader(make_snapshot()).search("france", 5) == []


def test_built_once() -> None:
    """A snapshot indexes names on the first search in a script, and again only for another script."""
    loads: list[str] = []

    def load() -> OtherNames:
        loads.append("FR")
        return OtherNames(("Francia", "Франция"), ("francia", "франция"), (), ())

    reference = make_reference(make_identity("FR", links=CountryLinks(load_other_names=load)))
    reader = SnapshotReader(make_snapshot([make_country("FR")], reference))
    assert loads == []
    for text, count in (("franzia", 1), ("francia", 1), ("Франция", 2), ("франсия", 2), ("fr", 2)):
        assert [match.country.code for match in reader.search(text, 1)] == ["FR"]
        assert len(loads) == count


def test_former_index() -> None:
    """An index of the same names is used for the new rows; one of other names is built, where the former was."""
    former = make_snapshot([make_country("FR", name="France"), make_country("DE", name="Germany")], WORLD)
    indexed = list(former.search_index.names.values())
    assert indexed == []
    assert [match.country.code for match in SnapshotReader(former).search("german", 1)] == ["DE"]
    rows = [replace(row, revision=7, population=1) for row in former.rows]
    same = Snapshot.from_rows(rows, WORLD, former)
    assert same.search_index.names is former.search_index.names
    assert [match.country.revision for match in SnapshotReader(same).search("german", 1)] == [7]
    renamed = Snapshot.from_rows([replace(rows[0], name="Gaul"), rows[1]], WORLD, same)
    assert set(renamed.search_index.names) == set(same.search_index.names) == {True}
    assert [match.country.name for match in SnapshotReader(renamed).search("gaul", 1)] == ["Gaul"]
    assert SnapshotReader(same).search("gaul", 1) == []


def test_freed() -> None:
    """The index goes with its snapshot, without a cycle that waits for the collector."""
    reader = SnapshotReader(make_snapshot([make_country("FR")]))
    reader.search("land", 1)
    index = weakref.ref(reader.snapshot.search_index)
    assert index() is not None
    gc.disable()
    try:
        del reader
        assert index() is None
    finally:
        gc.enable()
