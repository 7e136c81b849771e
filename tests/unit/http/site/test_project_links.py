"""The landing page links to the documentation and the source that the package's metadata names."""

import pytest

from graphql_api.http.site.project_links import list_links


@pytest.mark.parametrize(
    ("project_urls", "links"),
    [
        ((), []),
        (("Changelog, https://a.example/log", "Source, javascript:alert(1)", "Docs"), []),
        (
            ("Source Code, https://a.example/code", "documentation, https://a.example/?a=1, 2"),
            [("https://a.example/?a=1, 2", "Documentation"), ("https://a.example/code", "Source")],
        ),
    ],
)
def test_links(project_urls: tuple[str, ...], links: list[tuple[str, str]]) -> None:
    """Well-known labels count in any spelling, and only with a web address."""
    assert [link[:2] for link in list_links(project_urls)] == links
