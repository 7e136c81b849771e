"""Conditional requests: one rule for If-None-Match, whatever is requested."""

import pytest
from starlette.requests import Request

from graphql_api.http.conditional import build_not_modified, get_if_none_match

HEADERS = {"ETag": '"a,b"', "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}


@pytest.mark.parametrize(
    ("if_none_match", "matches"),
    [
        ('"a,b"', True),
        ('W/"a,b"', True),
        ('"x", W/"y","a,b"', True),
        (' "x" ,\t"a,b" ', True),
        ("*", True),
        (" * ", True),
        ("", False),
        ('"a"', False),
        ("a,b", False),
        ('"x", *', False),
        ('"*"', False),
        ('"a,b', False),
        ('"A,B"', False),
        ('w/"a,b"', False),
        ('"x" "a,b"', False),
        ('"x"a,b"y"', False),
    ],
)
def test_matches(if_none_match: str, matches: bool) -> None:
    """A quoted tag matches whole, alone or in a list, weak or strong; `*` matches alone."""
    assert (build_not_modified(if_none_match, HEADERS) is not None) is matches


@pytest.mark.parametrize(("if_none_match", "matches"), [("*", False), ('"a,b"', True)])
def test_no_response(if_none_match: str, matches: bool) -> None:
    """Where no response exists yet, `*` matches nothing; a tag that the client holds still does."""
    assert (build_not_modified(if_none_match, HEADERS, exists=False) is not None) is matches


@pytest.mark.parametrize(("values", "header"), [((), ""), (('"x"',), '"x"'), (('"x"', '"a,b"'), '"x","a,b"')])
def test_header(values: tuple[str, ...], header: str) -> None:
    """Several headers are one list."""
    assert get_if_none_match(make_request(*values)) == header


def make_request(*if_none_match: str) -> Request:
    """Return a request with these If-None-Match headers."""
    headers = [(b"if-none-match", value.encode()) for value in if_none_match]
    return Request({"type": "http", "headers": headers})


def test_not_modified() -> None:
    """A 304 has the headers that caches need, and no body."""
    response = build_not_modified('"a,b"', HEADERS)
    assert response is not None
    assert (response.status_code, response.body) == (304, b"")
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert "Content-Length" not in response.headers
