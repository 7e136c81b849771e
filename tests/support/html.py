"""HTML pages parsed as browsers parse them."""

from collections.abc import Mapping
from html.parser import HTMLParser

VOID_ELEMENTS = {"meta", "img", "link", "input", "source", "col", "wbr"}


class HTMLPage(HTMLParser):
    """A parsed page; elements must be closed in order."""

    def __init__(self, text: str) -> None:
        """Parse a page."""
        super().__init__()
        self.declaration = ""
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.text = ""
        self._open_tags: list[str] = []
        self.feed(text)
        self.close()
        assert self._open_tags == []

    def handle_decl(self, decl: str) -> None:
        """Record the declaration."""
        self.declaration = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID_ELEMENTS:
            self._open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element."""
        assert self._open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record visible text."""
        if "style" not in self._open_tags:
            self.text += data

    def find_all(self, tag: str) -> list[Mapping[str, str | None]]:
        """Return the attributes of each element with this name."""
        return [attributes for name, attributes in self.tags if name == tag]
