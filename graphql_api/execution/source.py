"""The text of a document, in which errors are located."""

import re
from bisect import bisect_left
from functools import cached_property

from graphql import Source, SourceLocation

_LINE_END = re.compile(r"\r\n|[\n\r]")


class IndexedSource(Source):
    """A text whose lines are found once: there may be an error for each row, which graphql-core locates by a search."""

    @cached_property
    def _line_ends(self) -> tuple[list[int], list[int]]:
        matches = list(_LINE_END.finditer(self.body))
        return [match.start() for match in matches], [match.end() for match in matches]

    def get_location(self, position: int) -> SourceLocation:
        """Return line and column of a position, both from 1."""
        starts, ends = self._line_ends
        line = bisect_left(starts, position)
        return SourceLocation(line + 1, position + 1 - (ends[line - 1] if line else 0))
