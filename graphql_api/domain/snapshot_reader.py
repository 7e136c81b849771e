"""A snapshot as one request reads it: with its clock, and with what it has folded."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from graphql_api.domain.country import Country, CountryField
from graphql_api.domain.folding import Folder, fold_name
from graphql_api.domain.search import Match
from graphql_api.domain.snapshot import Snapshot
from graphql_api.errors import InvalidInput

MAX_SEARCH_LENGTH = 100
"""Characters of a text to search for. No name is longer."""
MAX_MATCHES = 100
"""Countries that a search returns."""
_MAX_NOTED = 5
"""Unknown values of one request that are noted."""
_MAX_NOTED_LENGTH = 60
"""Characters of an unknown value that are kept."""


def _no_limit() -> None:
    pass


@dataclass(slots=True, eq=False)
class SnapshotReader:
    """Reads a snapshot for one request. It is the root object of queries."""

    identity: ClassVar[Hashable] = ()
    """Equal for all readers of a snapshot, as that of a page for equal pages."""

    snapshot: Snapshot
    check_time: Callable[[], None] = _no_limit
    """Called before each piece of work. Raises once the request has taken too long."""
    unknown_values: list[tuple[CountryField, str]] = field(default_factory=list)
    """The first values that no row has, of fields that are closed."""
    _folded: dict[tuple[Folder, str], str] = field(default_factory=dict)

    def fold(self, folder: Folder, text: str) -> str:
        """Fold a text once. One that is longer than every text of the snapshot is cut off, but still longer."""
        if text.isascii():  # faster than a look at what is folded
            return folder(text, self.snapshot.longest_text + 1)
        key = (folder, text)
        folded = self._folded.get(key)
        if folded is None:
            folded = self._folded[key] = folder(text, self.snapshot.longest_text + 1)
        return folded

    def note_unknown_values(self, column: CountryField, operand: Iterable[str]) -> None:
        """Note which of these texts no row has, if there are any rows."""
        known_values = self.snapshot.known_values[column]
        for text in operand if self.snapshot.rows else ():
            unknown_value = (column, text[:_MAX_NOTED_LENGTH])
            if len(self.unknown_values) == _MAX_NOTED:
                break
            if self.fold(column.info.fold, text) not in known_values and unknown_value not in self.unknown_values:
                self.unknown_values.append(unknown_value)

    def find(self, *, code: str | None, name: str | None) -> Country | None:
        """Return the country with a code of any kind, or with a name or alias.

        Raises:
            InvalidInput: neither or both of `code` and `name` are set.
        """
        self.check_time()
        if code is not None and name is None:
            return self.find_by_code(code)
        if name is not None and code is None:
            country = self.find_by_name(name)
            if country is None:
                self.note_unknown_values(CountryField.NAME, (name,))
            return country
        raise InvalidInput("Give either code or name: exactly one of them.")

    def search(self, text: str, first: int) -> list[Match]:
        """Return the `first` countries that a text most likely stands for, the likeliest first.

        Raises:
            InvalidInput: `text` is too long, or `first` too large or negative.
        """
        self.check_time()
        if len(text) > MAX_SEARCH_LENGTH:
            raise InvalidInput(f"text has {len(text)} characters, at most {MAX_SEARCH_LENGTH}.")
        if not 0 <= first <= MAX_MATCHES:
            raise InvalidInput(f"first must be from 0 to {MAX_MATCHES}, not {first}.")
        return self.snapshot.search_index.find(text, first, self.find_by_code(text))

    def find_by_code(self, code: str) -> Country | None:
        """Return the country with a code of any kind."""
        # Upper case of other letters may be ASCII: that of ß is SS, South Sudan.
        return self.snapshot.by_code.get(code.strip().upper()) if code.isascii() else None

    def find_by_name(self, name: str) -> Country | None:
        """Return the country with a name or alias."""
        return self.snapshot.by_name.get(self.fold(fold_name, name))
