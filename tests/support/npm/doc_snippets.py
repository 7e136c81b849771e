"""The snippets of docs/clients.md."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT

SNIPPET_HOST = "127.0.0.1:8000"
"""Host and port of the server in the snippets."""
CLIENTS_DOC = (ROOT / "docs" / "clients.md").read_text()


class Snippet(NamedTuple):
    """A fenced code block."""

    language: str
    name: str
    """File name; empty if the block has none."""
    text: str


SNIPPETS = [
    Snippet(*match) for match in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", CLIENTS_DOC, re.MULTILINE | re.DOTALL)
]


def expected_output(text: str) -> str:
    """Return the output that the page shows for a snippet: the block that follows it."""
    indexes = [index for index, snippet in enumerate(SNIPPETS) if snippet.text == text]
    assert len(indexes) == 1
    return SNIPPETS[indexes[0] + 1].text


def replace_host(url: str, text: str) -> str:
    """Return a snippet that requests the server at `url`."""
    return text.replace(SNIPPET_HOST, url.removeprefix("http://"))


def write_snippets(folder: Path, url: str) -> None:
    """Write every file of the page, with the server at `url`."""
    for snippet in SNIPPETS:
        if snippet.name:
            (folder / snippet.name).write_text(replace_host(url, snippet.text))
