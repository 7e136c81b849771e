"""Apollo Client's normalised cache keeps one entry per object."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from graphql_api.schema.global_ids import encode_id
from tests.support.npm.install import run_program
from tests.support.processes import BUNDLED_SOURCES, running_server

_LANGUAGES = ("de", "gsw", "wae")
"""Of Liechtenstein."""


@pytest.mark.slow
def test_one_entry_per_object(home: Path) -> None:
    """Objects reached through a list, an edge, another object, their code or their id share one entry."""
    with running_server(home, **BUNDLED_SOURCES) as server:
        cache_entries = json.loads(run_program(home, "node", "normalised.mjs", f"{server.url}/graphql"))
        query = '{ country(code: "AF") { population } }'
        population = server.query(query)["data"]["country"]["population"]
    assert cache_entries.pop(_key("Country", "AF")) == {
        **_entry("Country", "AF"),
        "name": "Afghanistan",
        "code": "AF",
        "capital": "Kabul",
        "population": population,
    }
    assert cache_entries.pop(_key("Country", "AX")) == {
        **_entry("Country", "AX"),
        "name": "Åland Islands",
        "code": "AX",
    }
    liechtenstein = cache_entries.pop(_key("Country", "LI"))
    languages = [{"__typename": "CountryLanguage", "language": _reference("Language", code)} for code in _LANGUAGES]
    assert liechtenstein == {
        **_entry("Country", "LI"),
        "alpha3": "LIE",
        "continent": _reference("Continent", "EU"),
        "currency": _reference("Currency", "CHF"),
        "languages": languages,
        "neighbours": [_reference("Country", "AT"), _reference("Country", "CH")],
    }
    assert cache_entries.pop(_key("Continent", "EU")) == {**_entry("Continent", "EU"), "code": "EU", "name": "Europe"}
    assert cache_entries.pop(_key("Currency", "CHF")) == {
        **_entry("Currency", "CHF"),
        "code": "CHF",
        "name": "Swiss Franc",
        "digits": 2,
    }
    assert cache_entries.pop(_key("Language", "de")) == {**_entry("Language", "de"), "code": "de", "name": "German"}
    europe = cache_entries.pop(_key("Region", "150"))
    assert europe["subregions"] == [_reference("Region", code) for code in ("039", "151", "154", "155")]
    assert cache_entries.pop(_key("Region", "154")) == {
        **_entry("Region", "154"),
        "parent": _reference("Region", "150"),
    }
    assert Counter(key.partition(":")[0] for key in cache_entries) == {"Country": 2, "Language": 2, "Region": 26}


def _key(type_name: str, code: str) -> str:
    return f"{type_name}:{encode_id(type_name, code)}"


def _entry(type_name: str, code: str) -> dict[str, Any]:
    return {"__typename": type_name, "id": encode_id(type_name, code)}


def _reference(type_name: str, code: str) -> dict[str, str]:
    return {"__ref": _key(type_name, code)}
