"""Apollo Client's normalised cache keeps one entry per country."""

import json
from pathlib import Path

import pytest

from graphql_api.schema.global_ids import encode_id
from tests.support.npm.install import run_program
from tests.support.processes import BUNDLED_SOURCES, running_server


@pytest.mark.slow
def test_one_entry_per_country(home: Path) -> None:
    """A list, its edges, a country by code and a node by id share one entry."""
    with running_server(home, **BUNDLED_SOURCES) as server:
        cache_entries = json.loads(run_program(home, "node", "normalised.mjs", f"{server.url}/graphql"))
        query = '{ country(code: "AF") { population } }'
        population = server.query(query)["data"]["country"]["population"]
    afghanistan, aland = encode_id("Country", "AF"), encode_id("Country", "AX")
    assert cache_entries == {
        f"Country:{afghanistan}": {
            "__typename": "Country",
            "id": afghanistan,
            "name": "Afghanistan",
            "code": "AF",
            "capital": "Kabul",
            "population": population,
        },
        f"Country:{aland}": {"__typename": "Country", "id": aland, "name": "Åland Islands", "code": "AX"},
    }
