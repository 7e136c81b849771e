"""Entries of a server's log file, where an entry may have many lines."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a log."""

    groups: dict[str, str]
    """Named groups of the match that begins the entry; empty where a group did not match."""
    text: str
    """Everything up to the next entry."""


class LogFile:
    """A growing log file, of which each entry is read once."""

    def __init__(self, path: Path, entry_pattern: re.Pattern[bytes]) -> None:
        """Read `path`; `entry_pattern` matches the beginning of an entry and nothing else."""
        self.path = path
        self._entry_pattern = entry_pattern
        self._entries: list[LogEntry] = []
        self._last_offset = 0
        """Offset of the last entry, which is read again: it may have been incomplete."""

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
