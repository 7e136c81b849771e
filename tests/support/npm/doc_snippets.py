"""The snippets of docs/clients.md, found in its text."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT

SNIPPET_HOST = "127.0.0.1:8000"
"""Where the snippets believe the server to be."""
CLIENTS_DOC = (ROOT / "docs" / "clients.md").read_text()


class Snippet(NamedTuple):
    """A block of code."""

    language: str
    name: str
    """Of the file that it is; empty if it is none."""
    text: str


SNIPPETS = [
    Snippet(*match)
    for match in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", CLIENTS_DOC, re.MULTILINE | re.DOTALL)
]


def expected_output(text: str) -> str:
    """Return what the page shows as the output of a snippet: the block that follows it."""
    indexes = [index for index, snippet in enumerate(SNIPPETS) if snippet.text == text]
    assert len(indexes) == 1
    return SNIPPETS[indexes[0] + 1].text


def replace_host(url: str, text: str) -> str:
    """Return a snippet that asks the server at a URL."""
    return text.replace(SNIPPET_HOST, url.removeprefix("http://"))


def write_snippets(folder: Path, url: str) -> None:
    """Write all files of the page, pointed at the server at a URL."""
    for snippet in SNIPPETS:
        if snippet.name:
            (folder / snippet.name).write_text(replace_host(url, snippet.text))
