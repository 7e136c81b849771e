"""Query parameters of the table of countries: text, region and order. The landing page and the exports share them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.folding import fold
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import MAX_SEARCH_LENGTH, SnapshotReader
from graphql_api.domain.sorting import SortKey, sort_rows

BY_NAME = SortKey(CountryField.NAME)
SORT_FIELDS = tuple(field for field in CountryField if field.info.sortable)
"""The fields that `sort` may name."""

_FIELDS_BY_NAME = {field.replace("_", ""): field for field in SORT_FIELDS}
"""By name without case and underscores, so that `area_km2`, `areaKm2` and `AREA_KM2` are one."""
_DIRECTIONS = ("asc", "desc")
_SHOWN_FIELDS = (CountryField.NAME, CountryField.CAPITAL, CountryField.REGION, CountryField.CURRENCY_CODE)
"""Fields of the table in which a text may be anywhere. Aliases are another one, which the table does not show."""
_MAX_QUOTED_LENGTH = 40
"""Characters of a wrong value that a problem repeats."""


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


class ParsedTableQuery(NamedTuple):
    """A query, and the problems of the parameters that it leaves out."""

    query: TableQuery
    problems: Sequence[str]
    """One sentence for each wrong parameter, which names what is right."""


def parse_table_query(params: Mapping[str, str], snapshot: Snapshot) -> ParsedTableQuery:
    """Parse query parameters. Empty ones, which forms send, are absent, and unknown ones are ignored."""
    problems: list[str] = []
    text = params.get("q", "").strip()
    if len(text) > MAX_SEARCH_LENGTH:
        problems.append(f"q has {len(text)} characters, at most {MAX_SEARCH_LENGTH}.")
        text = ""
    region = params.get("region", "").strip()
    regions = list_regions(snapshot)
    known_regions = {fold(name): name for name in regions}
    if region and fold(region, MAX_SEARCH_LENGTH) not in known_regions:
        problems.append(_describe_problem("region", region, regions))
    sort_key = _parse_sort_key(params, problems)
    return ParsedTableQuery(
        TableQuery(text, known_regions.get(fold(region, MAX_SEARCH_LENGTH), ""), sort_key), problems
    )


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


def _parse_sort_key(params: Mapping[str, str], problems: list[str]) -> SortKey | None:
    name, direction = params.get("sort", "").strip(), params.get("direction", "").strip().lower()
    if direction and direction not in _DIRECTIONS:
        problems.append(_describe_problem("direction", direction, _DIRECTIONS))
        direction = ""
    if not name:
        return None
    field = _FIELDS_BY_NAME.get(name.replace("_", "").lower())
    if field is None:
        problems.append(_describe_problem("sort", name, SORT_FIELDS))
        return None
    direction = direction or ("asc" if field.is_text else "desc")
    return SortKey(field, descending=direction == "desc")


def _describe_problem(parameter: str, value: str, right_values: Sequence[str]) -> str:
    return f"{parameter} must be one of {', '.join(right_values)}, not {value[:_MAX_QUOTED_LENGTH]!r}."
