"""Data of which every refresh has its own: a mixture of two is seen in any answer."""

import json
from itertools import count

from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream

QUERY = "{ countries { nodes { code population } } }"
"""What tells of which refresh the served data is."""
_ROWS = [line.split("\t") for line in COUNTRIES.decode().splitlines() if not line.startswith("#")]
CODES = [line[0] for line in _ROWS]
"""Of the countries, two of which exist no more."""
_POPULATION_COLUMN = 7
"""The column."""
_FIRST_POPULATION = 1_000_000


class GenerationData:
    """Sources that answer each time with other populations, the same for all countries."""

    def __init__(self, upstream: Upstream) -> None:
        """Begin with the first generation."""
        self.upstream = upstream
        self._numbers = count(1)

    def activate(self) -> None:
        """Let the sources answer so, from now on; generations go on where they were."""
        # Without its next update a provider is asked each time, whatever today's date is.
        rates = {**json.loads(RATES), "time_next_update_unix": 0}
        self.upstream.set_responses("rates", FakeResponse(body=json.dumps(rates).encode()))
        self.upstream.set_responses(
            "countries", lambda _: FakeResponse(body=self._next_countries())
        )

    def _next_countries(self) -> bytes:
        population = str(_FIRST_POPULATION + next(self._numbers))
        lines = (
            "\t".join([*line[:_POPULATION_COLUMN], population, *line[_POPULATION_COLUMN + 1 :]])
            for line in _ROWS
        )
        return "\n".join(lines).encode()


def parse_generation(body: bytes) -> int:
    """Return the generation that an answer to `QUERY` is of; 0 for data from before.

    Raises:
        AssertionError: it is none, or not all countries are of the same.
    """
    nodes = json.loads(body)["data"]["countries"]["nodes"]
    populations = {node["population"] for node in nodes}
    assert len(nodes) == 250, f"{len(nodes)} countries"
    if len(populations) > 1:
        assert min(populations) < _FIRST_POPULATION / 2, f"a mixture of {sorted(populations)}"
        return 0
    return int(populations.pop()) - _FIRST_POPULATION
