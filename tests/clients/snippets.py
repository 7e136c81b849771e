"""The snippets of docs/clients.md, found in its text."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.cli.running import ROOT

ADDRESS = "127.0.0.1:8000"
"""Where the snippets believe the server to be."""
PAGE = (ROOT / "docs" / "clients.md").read_text()


class Snippet(NamedTuple):
    """A block of code."""

    language: str
    name: str
    """Of the file that it is; empty if it is none."""
    text: str


SNIPPETS = [
    Snippet(*found)
    for found in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
]


def shown_after(text: str) -> str:
    """Return what the page shows as the output of a snippet: the block that follows it."""
    places = [place for place, one in enumerate(SNIPPETS) if one.text == text]
    assert len(places) == 1
    return SNIPPETS[places[0] + 1].text


def pointed_at(url: str, text: str) -> str:
    """Return a snippet that asks the server at a URL."""
    return text.replace(ADDRESS, url.removeprefix("http://"))


def write(folder: Path, url: str) -> None:
    """Write all files of the page, pointed at the server at a URL."""
    for one in SNIPPETS:
        if one.name:
            (folder / one.name).write_text(pointed_at(url, one.text))
