"""Query parameters of the table of countries: text, region and order. The landing page and the exports share them."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.folding import fold
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import MAX_SEARCH_LENGTH, SnapshotReader
from graphql_api.domain.sorting import SortKey, sort_rows
from graphql_api.http.site.parameters import Parameters

BY_NAME = SortKey(CountryField.NAME)
SORT_FIELDS = tuple(field for field in CountryField if field.info.sortable)
"""The fields that `sort` may name."""

_DIRECTIONS = ("asc", "desc")
_SHOWN_FIELDS = (CountryField.NAME, CountryField.CAPITAL, CountryField.REGION, CountryField.CURRENCY_CODE)
"""Fields of the table in which a text may be anywhere. Aliases are another one, which the table does not show."""


@dataclass(frozen=True, slots=True)
class TableQuery:
    """The rows of the table and their order."""

    text: str = ""
    """Text to search for. Empty: all countries."""
    region: str = ""
    """Name of a region. Empty: all regions."""
    sort_key: SortKey | None = None
    """None: the best match first, or by name without a text."""

    @property
    def params(self) -> dict[str, str]:
        """Return the query parameters that mean this; none for the whole table by name."""
        params = {"q": self.text, "region": self.region}
        if self.sort_key:
            direction = "desc" if self.sort_key.descending else "asc"
            params |= {"sort": self.sort_key.field.value, "direction": direction}
        return {name: value for name, value in params.items() if value}

    def encode(self) -> str:
        """Return the query string of `params`."""
        return urlencode(self.params)


def parse_table_query(params: Parameters, snapshot: Snapshot) -> TableQuery:
    """Return what the query parameters choose, without the wrong ones, whose problems they get."""
    text = params.get("q")
    if len(text) > MAX_SEARCH_LENGTH:
        params.problems.append(f"q has {len(text)} characters, at most {MAX_SEARCH_LENGTH}.")
        text = ""
    return TableQuery(text, params.choose("region", list_regions(snapshot)), _parse_sort_key(params))


def list_regions(snapshot: Snapshot) -> list[str]:
    """Return the names that `region` may have."""
    return sorted(region.name for region in snapshot.graph.get_subregions(None))


def select_rows(query: TableQuery, snapshot: Snapshot) -> list[Country]:
    """Return the rows of a query in its order. The first search of a snapshot takes some 50 ms."""
    reader = SnapshotReader(snapshot)
    rows = snapshot.rows
    indexes: Sequence[int] = _search(query.text, reader) if query.text else range(len(rows))
    if query.region:
        indexes = [index for index in indexes if rows[index].region == query.region]
    if query.sort_key:
        indexes = sort_rows([query.sort_key], reader, indexes)
    return [rows[index] for index in indexes]


def _search(text: str, reader: SnapshotReader) -> list[int]:
    """Return the rows that match a text: names and codes first, then those that have each word anywhere."""
    snapshot = reader.snapshot
    positions = {row.code: index for index, row in enumerate(snapshot.rows)}
    matches = snapshot.search_index.find_literal(text, reader.find_by_code(text))
    found = dict.fromkeys(positions[match.country.code] for match in matches)
    words = fold(text).split()
    columns = [snapshot.columns[field] for field in _SHOWN_FIELDS]
    for index, (aliases, *cells) in enumerate(zip(snapshot.columns[CountryField.ALIASES], *columns, strict=True)):
        line = "\n".join(str(cell) for cell in (*cells, *aliases) if cell)
        if words and all(word in line for word in words):
            found.setdefault(index)
    return list(found)


def _parse_sort_key(params: Parameters) -> SortKey | None:
    direction = params.choose("direction", _DIRECTIONS)
    name = params.choose("sort", SORT_FIELDS)
    if not name:
        return None
    field = CountryField(name)
    return SortKey(field, descending=direction == "desc" if direction else not field.is_text)
