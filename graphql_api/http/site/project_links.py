"""Links to the documentation and the source of the installed package."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

_LABELS = {
    "Documentation": ({"documentation", "docs"}, "guides and reference"),
    "Source": ({"source", "sourcecode", "repository", "github"}, "the code of this server"),
}
"""Well-known labels of project URLs without case and punctuation, by text of the link, with its description."""


def list_links(project_urls: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield URL, text and description of each link that entries such as "Source, https://…" name."""
    urls = {}
    for entry in project_urls:
        label, _, url = entry.partition(", ")
        urls["".join(filter(str.isalnum, label)).lower()] = url
    for text, (labels, description) in _LABELS.items():
        url = next((urls[label] for label in urls if label in labels), "")
        if url.startswith(("https://", "http://")):
            yield url, text, description


@cache
def read_project_urls() -> tuple[str, ...]:
    """Return `[project.urls]` of the pyproject.toml that this package was built from."""
    with suppress(PackageNotFoundError):
        return tuple(metadata("graphql-api").get_all("Project-URL") or ())
    return ()
