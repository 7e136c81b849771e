"""Strategies of hostile bodies, for the parsers of every provider."""

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
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2), max_leaves=4
)


def objects(*names: str) -> st.SearchStrategy[dict[str, object]]:
    """Return objects with some of these keys, and any values."""
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=len(names))


def bodies(*values: st.SearchStrategy[object]) -> st.SearchStrategy[bytes]:
    """Return any bytes, any text, any JSON, and these values as JSON."""
    written = st.one_of(VALUES, *values).map(lambda value: json.dumps(value).encode())
    return st.binary() | st.text().map(str.encode) | written
