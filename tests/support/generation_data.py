"""Provider data that differs with each refresh, so that a mix of two shows in any response."""

import json
from itertools import count

from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream

QUERY = "{ countries { nodes { code areaKm2 } } }"
"""Its response shows the generation of the served data."""
_ROWS = [line.split("\t") for line in COUNTRIES.decode().splitlines() if not line.startswith("#")]
CODES = [line[0] for line in _ROWS]
"""Codes of all rows, two of them dissolved countries."""
_AREA_COLUMN = 6
_FIRST_AREA = 100_000_000
"""Larger than any real area, in square kilometres."""


class GenerationData:
    """Makes the fake providers send new areas each time, the same for all countries."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._numbers = count(1)

    def activate(self) -> None:
        """Send generations from now on, after those already sent."""
        # Without an announced update, the provider is requested each time, whatever the date.
        rates = {**json.loads(RATES), "time_next_update_unix": 0}
        self.upstream.set_responses("rates", FakeResponse(body=json.dumps(rates).encode()))
        self.upstream.set_responses("countries", lambda _: FakeResponse(body=self._next_countries()))

    def _next_countries(self) -> bytes:
        area = str(_FIRST_AREA + next(self._numbers))
        lines = ("\t".join([*line[:_AREA_COLUMN], area, *line[_AREA_COLUMN + 1 :]]) for line in _ROWS)
        return "\n".join(lines).encode()


def parse_generation(body: bytes) -> int:
    """Return the generation of a response to `QUERY`; 0 for data from before.

    Raises:
        AssertionError: the response mixes generations, or lacks countries.
    """
    nodes = json.loads(body)["data"]["countries"]["nodes"]
    areas = {node["areaKm2"] or 0 for node in nodes}
    assert len(nodes) == 250, f"{len(nodes)} countries"
    if len(areas) > 1:
        assert max(areas) < _FIRST_AREA, f"a mixture of {sorted(areas)}"
        return 0
    return int(areas.pop()) - _FIRST_AREA
