"""Names that are almost right: the nearest one that exists."""

from collections.abc import Collection, Iterator

_MAX_EDITS = 2
"""Letters that a near miss adds, drops, changes or swaps, at most."""


def find_nearest(name: str, names: Collection[str]) -> str | None:
    """Return the name that resembles `name` most; None if none does."""
    from graphql.pyutils import suggestion_list  # noqa: PLC0415 - imports graphql, which right names do not wait for

    return next(iter(suggestion_list(name, names)), None)


def find_near_misses(candidates: Collection[str], names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each candidate that is no name, but two edits from one or less, and that name.

    A name of four letters allows one edit: HOME is not a misspelt HOST.
    """
    from graphql.pyutils.suggestion_list import LexicalDistance  # noqa: PLC0415 - imports graphql, which no help waits for

    for candidate in candidates:
        distance = LexicalDistance(candidate.upper())
        edits = {name: distance.measure(name, min(_MAX_EDITS, (len(name) - 1) // 2)) for name in names}
        near = {name: count for name, count in edits.items() if count is not None}
        if near and candidate.upper() not in names:
            yield candidate, min(near, key=near.__getitem__)
