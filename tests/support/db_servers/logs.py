"""Reading what a server writes down, entry by entry, where an entry may be many lines."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry."""

    groups: dict[str, str]
    """The named groups of what it begins with; one that is not there is empty."""
    text: str
    """All that follows, to the next entry."""


class LogFile:
    """A file that grows; however often it is asked for its entries, each is read once."""

    def __init__(self, path: Path, entry_pattern: re.Pattern[bytes]) -> None:
        """Take the file, and what the beginning of an entry, and nothing else, looks like."""
        self.path = path
        self._entry_pattern = entry_pattern
        self._entries: list[LogEntry] = []
        self._last_offset = 0
        """Where the last entry begins, which is read again: it may still have been written."""

    def read_entries(self) -> list[LogEntry]:
        """Return all entries so far."""
        with self.path.open("rb") as file:
            file.seek(self._last_offset)
            content = file.read()
        matches = list(self._entry_pattern.finditer(content))
        if matches:
            ends = [*(match.start() for match in matches[1:]), len(content)]
            new_entries = [_parse_entry(*span, content) for span in zip(matches, ends, strict=True)]
            self._entries[-1:] = new_entries
            self._last_offset += matches[-1].start()
        return self._entries


def _parse_entry(match: re.Match[bytes], end: int, content: bytes) -> LogEntry:
    groups = {name: _decode(group or b"") for name, group in match.groupdict().items()}
    return LogEntry(groups, _decode(content[match.end() : end].removesuffix(b"\n")))


def _decode(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
