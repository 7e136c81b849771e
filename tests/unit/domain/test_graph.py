"""The graph: consistent in both directions over the whole bundled reference."""

from dataclasses import replace

import pytest

from graphql_api.domain.country import Country
from graphql_api.domain.graph import CountryGroup, Graph
from graphql_api.domain.nodes import CONTINENTS, Region
from graphql_api.domain.snapshot import Snapshot
from tests.support.factories import make_country, make_snapshot
from tests.support.world import WORLD, make_world

SNAPSHOT: Snapshot = make_snapshot(make_world(), WORLD)
GRAPH = SNAPSHOT.graph


def names(rows: list[Country]) -> list[str]:
    """Return the names of countries."""
    return [row.name for row in rows]


def test_borders_are_symmetric() -> None:
    """Of two neighbours, each lists the other, once, by name, and none lists itself."""
    borders = {(row.code, other.code) for row in SNAPSHOT.rows for other in GRAPH.get_neighbours(row)}
    assert borders == {(other, code) for code, other in borders}
    assert len(borders) == sum(len(GRAPH.get_neighbours(row)) for row in SNAPSHOT.rows) == 646
    assert [code for code, other in borders if code == other] == []
    assert names(GRAPH.get_neighbours(SNAPSHOT.by_code["PT"])) == ["Spain"]
    assert names(GRAPH.get_neighbours(SNAPSHOT.by_code["CH"])) == [
        *("Austria", "France", "Germany", "Italy", "Liechtenstein")
    ]


def test_every_node_lists_the_countries_that_name_it() -> None:
    """Currencies, languages and continents have exactly the countries that name them, and each is a node."""
    named = {("Currency", node.code, row.code) for row in SNAPSHOT.rows for node in GRAPH.get_currencies(row)}
    named |= {
        ("Language", use.language.code, row.code) for row in SNAPSHOT.rows for use in GRAPH.get_links(row).languages
    }
    named |= {("Continent", GRAPH.get_continent(row).code, row.code) for row in SNAPSHOT.rows}
    groups: list[CountryGroup] = [*GRAPH.currencies.values(), *GRAPH.languages.values(), *GRAPH.continents.values()]
    listed = {(type(node).__name__, node.code, row.code) for node in groups for row in GRAPH.get_countries(node)}
    assert named == listed


def test_region_trees_cover_every_country() -> None:
    """Each country is in one region, and in one subregion of it, named as in the row; only AQ has none."""
    tops = GRAPH.get_subregions(None)
    assert [region.name for region in tops] == ["Africa", "Oceania", "Antarctica", "Americas", "Asia", "Europe"]
    placed: list[tuple[str, str | None, str | None]] = [
        (row.code, region.name, None)
        for region in tops
        if not GRAPH.get_subregions(region)
        for row in GRAPH.get_countries(region)
    ]
    placed += [
        (row.code, region.name, below.name)
        for region in tops
        for below in GRAPH.get_subregions(region)
        for row in GRAPH.get_countries(below)
    ]
    assert sorted(placed) == sorted((row.code, row.region, row.subregion) for row in SNAPSHOT.rows)
    assert sorted(row.code for region in tops for row in GRAPH.get_countries(region)) == sorted(WORLD)
    assert GRAPH.regions["155"] == Region("155", "Western Europe", GRAPH.regions["150"])


def test_currencies() -> None:
    """The row's currency comes first; a currency that the reference does not have is a node of its own."""
    unknown = make_country("FR", currency_code="QQQ", exchange_rate=4.0)
    graph = Graph((unknown, make_country("XX", currency_code=None)), WORLD)
    assert [currency.code for currency in graph.get_currencies(unknown)] == ["QQQ", "EUR"]
    assert graph.currencies["QQQ"].digits == 2
    assert names(graph.get_countries(graph.currencies["QQQ"])) == ["Land FR"]
    assert graph.get_currencies(make_country("XX", currency_code=None)) == []
    assert [currency.code for currency in GRAPH.get_currencies(SNAPSHOT.by_code["PA"])] == ["PAB", "USD"]


def test_languages() -> None:
    """Official languages come first, then those with the larger share, each with a share within 0 and 1."""
    for identity in WORLD.values():
        uses = identity.links.languages
        assert list(uses) == sorted(uses, key=lambda use: (not use.official, -(use.share or 0), use.language.code))
        assert all(use.share is None or 0 < use.share <= 1 for use in uses)
    assert [use.language.code for use in WORLD["CH"].links.languages if use.official] == ["de", "gsw", "fr", "it"]
    assert len([use for use in WORLD["ZA"].links.languages if use.official]) == 11


@pytest.mark.parametrize(("code", "base", "rate"), [("EUR", "EUR", 1.0), ("EUR", "usd", 0.5), ("USD", "EUR", 2.0)])
def test_rates(code: str, base: str, rate: float) -> None:
    """A rate is that of the rows, for one of the base in any case."""
    graph = Graph((make_country("FR", exchange_rate=0.5),), WORLD)
    assert graph.get_rate(graph.currencies[code], base) == rate


def test_missing_rates() -> None:
    """A currency without a rate, and a base that is unknown or has none, give none."""
    graph = Graph((make_country("FR", exchange_rate=0.5),), WORLD)
    assert graph.get_rate(graph.currencies["JPY"], "USD") is None
    assert [graph.get_rate(graph.currencies["EUR"], base) for base in ("JPY", "QQQ", "", "ß", "EUR" * 99)] == [None] * 5


def test_newest_rate() -> None:
    """Of two rates of a currency, that of the later refresh counts: a row that is no longer listed keeps its own."""
    fresh, stale = make_country("FR", exchange_rate=0.5, revision=7), make_country("ZZ", exchange_rate=0.9, revision=3)
    assert [Graph(rows, WORLD).rates["EUR"] for rows in ((fresh, stale), (stale, fresh))] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("region", "subregion", "code"),
    [
        ("Europe", "Western Europe", "EU"),
        ("Americas", "South America", "SA"),
        ("Americas", "Caribbean", "NA"),
        (None, None, "AN"),
    ],
)
def test_unknown_country(region: str | None, subregion: str | None, code: str) -> None:
    """A country that the reference does not have is on the continent of its region, and has no links."""
    country = make_country("QZ", region=region, subregion=subregion)
    graph = Graph((country,), WORLD)
    assert graph.get_continent(country) is CONTINENTS[code]
    assert graph.get_countries(CONTINENTS[code]) == [country]
    assert (graph.get_neighbours(country), graph.get_aliases(country)) == ([], ())


def test_absent_neighbour() -> None:
    """A neighbour that is not stored, such as a deleted country, is left out."""
    france = SNAPSHOT.by_code["FR"]
    graph = Graph([replace(france, name="A"), SNAPSHOT.by_code["ES"]], WORLD)
    assert names(graph.get_neighbours(france)) == ["Spain"]
