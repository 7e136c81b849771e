"""Data of which every refresh has its own: a mixture of two is seen in any answer."""

import json
from itertools import count

from tests.upstream.server import COUNTRIES, RATES, Answer, Upstream

QUERY = "{ countries { nodes { code population } } }"
"""What tells of which refresh the served data is."""
_LINES = [line.split("\t") for line in COUNTRIES.decode().splitlines() if not line.startswith("#")]
CODES = [line[0] for line in _LINES]
"""Of the countries, two of which exist no more."""
_POPULATION = 7
"""The column."""
_FIRST = 1_000_000


class Generations:
    """Sources that answer each time with other populations, the same for all countries."""

    def __init__(self, upstream: Upstream) -> None:
        """Begin with the first generation."""
        self.upstream = upstream
        self._numbers = count(1)

    def play(self) -> None:
        """Let the sources answer so, from now on; generations go on where they were."""
        # Without its next update a provider is asked each time, whatever today's date is.
        rates = {**json.loads(RATES), "time_next_update_unix": 0}
        self.upstream.answer("rates", Answer(body=json.dumps(rates).encode()))
        self.upstream.answer("countries", lambda _: Answer(body=self._next()))

    def _next(self) -> bytes:
        population = str(_FIRST + next(self._numbers))
        lines = (
            "\t".join([*line[:_POPULATION], population, *line[_POPULATION + 1 :]])
            for line in _LINES
        )
        return "\n".join(lines).encode()


def of(answer: bytes) -> int:
    """Return the generation that an answer to `QUERY` is of; 0 for data from before.

    Raises:
        AssertionError: it is none, or not all countries are of the same.
    """
    nodes = json.loads(answer)["data"]["countries"]["nodes"]
    populations = {node["population"] for node in nodes}
    assert len(nodes) == 250, f"{len(nodes)} countries"
    if len(populations) > 1:
        assert min(populations) < _FIRST / 2, f"a mixture of {sorted(populations)}"
        return 0
    return int(populations.pop()) - _FIRST
