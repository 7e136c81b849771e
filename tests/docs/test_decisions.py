"""Decision records: numbered, of one form, and true to the code that they name."""

import builtins
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
HEADINGS = ["Status", "Context", "Decision", "Consequences", "Alternatives"]
MAX_LINES = 60
"""Lines of a page."""
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.splitlines()


def read_code_words() -> set[str]:
    """Return the words of the code and Python's builtins, in lower case like `settings.py`."""
    suffixes = {".py", ".graphql", ".toml", ".yaml", ".html", ".js", ".css", ".mjs", ".ts"}
    paths = [path for path in TRACKED if Path(path).suffix in suffixes or "." not in path]
    texts = ((ROOT / path).read_text("utf-8") for path in paths if (ROOT / path).is_file())
    words = {word for text in texts for word in re.findall(r"\w+", text.lower())}
    return words | {name.lower() for name in dir(builtins)}


def find_dead_references(text: str, words: set[str]) -> list[str]:
    """Return the paths and names in backticks that do not exist.

    A path begins with a folder of the project. A name is an identifier, dotted or called.
    Anything else, such as a header or a command, is not checked.
    """
    dead = []
    for quoted in re.findall(r"`([^`]+)`", text):
        if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+/?", quoted):
            is_ours = (ROOT / quoted.split("/")[0]).is_dir()
            is_dead = is_ours and not any(ROOT.glob(quoted.rstrip("/")))
        else:
            is_name = re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*(\(\))?", quoted)
            is_dead = bool(is_name) and not set(re.findall(r"\w+", quoted.lower())) <= words
        if is_dead:
            dead.append(quoted)
    return dead


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("`graphql_api/app.py` and `graphql_api/storage/dialects/`", []),
        ("`graphql_api/opening.py`", ["graphql_api/opening.py"]),
        ("`tests/*/no_such_file.py`", ["tests/*/no_such_file.py"]),
        ("`Settings.load()` and `STALE_AFTER`", []),
        ("`NoSuchClass.load`", ["NoSuchClass.load"]),
        ("`application/json`, `If-None-Match` and `make run`", []),
    ],
)
def test_find_dead_references(text: str, dead: list[str]) -> None:
    """A path or a name that does not exist is found."""
    assert find_dead_references(text, {"settings", "load", "stale_after"}) == dead


def test_numbers() -> None:
    """Records are numbered from 1 without gaps, each title with its number."""
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))
    for number, record in enumerate(RECORDS, start=1):
        assert record.read_text("utf-8").startswith(f"# {number}. ")


def test_index() -> None:
    """The index lists every record with its title, in order."""
    index = (FOLDER / "README.md").read_text("utf-8")
    listed = re.findall(r"^- \[(\d{4})\]\((\S+)\) (.*)$", index, re.MULTILINE)
    titles = [record.read_text("utf-8").splitlines()[0].split(". ", 1)[1] for record in RECORDS]
    assert listed == [(record.name[:4], record.name, title) for record, title in zip(RECORDS, titles, strict=True)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_form(record: Path) -> None:
    """A record has its five headings in order, and fits on a page."""
    text = record.read_text("utf-8")
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == HEADINGS
    assert len(text.splitlines()) <= MAX_LINES


def test_references() -> None:
    """Every path and name in backticks exists, unless the record is superseded."""
    words = read_code_words()
    texts = {record.name: record.read_text("utf-8") for record in RECORDS}
    dead = {
        name: find_dead_references(text, words) for name, text in texts.items() if "## Status\n\nSuperseded" not in text
    }
    assert {name: references for name, references in dead.items() if references} == {}
