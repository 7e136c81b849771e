"""Reading what a server writes down, entry by entry, where an entry may be many lines."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry."""

    head: dict[str, str]
    """The named groups of what it begins with; one that is not there is empty."""
    text: str
    """All that follows, to the next entry."""


class Log:
    """A file that grows; however often it is asked for its entries, each is read once."""

    def __init__(self, path: Path, start: re.Pattern[bytes]) -> None:
        """Take the file, and what the beginning of an entry, and nothing else, looks like."""
        self.path = path
        self._start = start
        self._entries: list[Entry] = []
        self._last = 0
        """Where the last entry begins, which is read again: it may still have been written."""

    def entries(self) -> list[Entry]:
        """Return all entries so far."""
        with self.path.open("rb") as file:
            file.seek(self._last)
            written = file.read()
        starts = list(self._start.finditer(written))
        if starts:
            ends = [*(start.start() for start in starts[1:]), len(written)]
            new = [_entry(*entry, written) for entry in zip(starts, ends, strict=True)]
            self._entries[-1:] = new
            self._last += starts[-1].start()
        return self._entries


def _entry(start: re.Match[bytes], end: int, written: bytes) -> Entry:
    head = {name: _text(group or b"") for name, group in start.groupdict().items()}
    return Entry(head, _text(written[start.end() : end].removesuffix(b"\n")))


def _text(written: bytes) -> str:
    return written.decode("utf-8", "backslashreplace")
