"""JSON that nobody expects, for the parsers of every provider."""

import json

from hypothesis import strategies as st

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["FR", "fr", "USD", "EUR", "2026-09-29", "\ud800", 10**400, 1e308]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def objects(*names: str) -> st.SearchStrategy[dict[str, object]]:
    """Return objects that have some of these names, with values of any kind."""
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=len(names))


def bodies(*answers: st.SearchStrategy[object]) -> st.SearchStrategy[bytes]:
    """Return any bytes, any text, any JSON, and these answers as JSON."""
    written = st.one_of(VALUES, *answers).map(lambda value: json.dumps(value).encode())
    return st.binary() | st.text().map(str.encode) | written
