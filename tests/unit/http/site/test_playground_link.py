"""Links to the playground carry a query in their fragment."""

from urllib.parse import parse_qs, urlsplit

import pytest

from graphql_api.http.site.playground_link import build_playground_link


@pytest.mark.parametrize("query", ["{ status { version } }", '{ country(name: "Côte d’Ivoire & #1+?=%") { name } }\n'])
def test_query(query: str) -> None:
    """The query is in the fragment, and nothing of it is in the part that browsers send to the server."""
    url = urlsplit(build_playground_link(query))
    assert (url.scheme, url.netloc, url.path, url.query) == ("", "", "graphql", "")
    assert parse_qs(url.fragment, strict_parsing=True) == {"query": [query]}


def test_variables() -> None:
    """Variables are JSON, and spaces are written as %20."""
    link = build_playground_link("query A($n: String) { a }", {"n": "Å <b>"})
    assert link == (
        "graphql#query=query%20A%28%24n%3A%20String%29%20%7B%20a%20%7D&variables=%7B%22n%22%3A%20%22%C3%85%20%3Cb%3E%22%7D"
    )
