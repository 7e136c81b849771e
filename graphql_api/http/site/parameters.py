"""Query parameters of the pages, the exports and the images: one rule for all of them."""

from collections.abc import Iterable, Mapping

from starlette.exceptions import HTTPException

from graphql_api.domain.folding import fold

_MAX_QUOTED_LENGTH = 40
"""Characters of a wrong value that a problem repeats."""


class Parameters:
    """The query parameters of a request. Empty ones, which forms send, are absent, and unknown ones are ignored."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Read these parameters."""
        self._values = values
        self.problems: list[str] = []
        """A sentence for each wrong parameter, which names it and what is right."""

    def get(self, name: str) -> str:
        """Return a parameter without the spaces around it; empty without it."""
        return self._values.get(name, "").strip()

    def choose(self, name: str, choices: Iterable[str]) -> str:
        """Return the choice that a parameter names, in any case; empty without it, or if it is wrong."""
        value = self.get(name)
        by_key = {_to_key(choice): choice for choice in choices}
        choice = by_key.get(_to_key(value), "")
        if value and not choice:
            self.report(name, f"one of {', '.join(by_key.values())}")
        return choice

    def report(self, name: str, right: str) -> None:
        """Add the problem that a parameter is not what is right."""
        self.problems.append(f"{name} must be {right}, not {self.get(name)[:_MAX_QUOTED_LENGTH]!r}.")

    def reject_wrong(self) -> None:
        """Raise the problems, if there are any.

        Raises:
            HTTPException: 400.
        """
        if self.problems:
            raise HTTPException(400, " ".join(self.problems))


def _to_key(text: str) -> str:
    """Return a text without case, accents and underscores, so that `area_km2`, `areaKm2` and `AREA_KM2` are one."""
    return fold(text, 2 * _MAX_QUOTED_LENGTH).replace("_", "")
