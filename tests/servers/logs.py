"""Reading what a server writes down, entry by entry, where an entry may be many lines."""

import re
from collections.abc import Iterator
from pathlib import Path


class Entries:
    """The entries of a file that grows: each is read once."""

    def __init__(self, path: Path, start: re.Pattern[bytes]) -> None:
        """Take the file, and what the beginning of an entry, and nothing else, looks like."""
        self._path = path
        self._start = start
        self._read = 0

    def new(self) -> Iterator[tuple[re.Match[bytes], str]]:
        """Yield the match of each new beginning, and the text after it."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            written = file.read()
        starts = list(self._start.finditer(written))
        ends = [start.start() for start in starts[1:]] + [len(written)]
        if not written.endswith(b"\n"):  # the last one is still being written
            starts, ends = starts[:-1], ends[:-1]
        for start, end in zip(starts, ends, strict=True):
            text = written[start.end() : end].removesuffix(b"\n")
            yield start, text.decode("utf-8", "backslashreplace")
        self._read += ends[-1] if ends else 0
