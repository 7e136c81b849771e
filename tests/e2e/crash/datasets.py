"""Two sets of source data that differ in every row: figures, rates and providers."""

import json
from dataclasses import replace

from tests.support.fake_providers.server import COUNTRIES, RATES, FakeResponse, Upstream, world_bank_responder

DATASETS = ("a", "b")


def serve_datasets(upstream: Upstream) -> None:
    """Serve the sources of both sets."""
    lines = [line.split("\t") for line in COUNTRIES.decode().splitlines() if line[0] != "#"]
    records = [
        {
            "cca2": line[0],
            "capital": [f"{line[5]} B"],
            "population": int(line[7]) + 1,
            "area": float(line[6]) + 1,
            "currencies": {line[10]: {}} if line[10] else {},
        }
        for line in lines
    ]
    rates = json.loads(RATES)["rates"]
    rate_records = [
        {"date": "2026-09-28", "base": "USD", "quote": code, "rate": 2 * rate}
        for code, rate in rates.items()
        if code != "USD"
    ]
    upstream.set_responses("b/countries", FakeResponse(body=json.dumps(records).encode()))
    upstream.set_responses("b/rates", FakeResponse(body=json.dumps(rate_records).encode()))
    respond = world_bank_responder()
    upstream.set_responses("b/statistics", lambda request: _increase_values(respond(request)))
    upstream.set_responses("a/statistics", respond)
    upstream.set_responses("a/countries", FakeResponse(body=COUNTRIES))
    upstream.set_responses("a/rates", FakeResponse(body=RATES))


def source_settings(upstream: Upstream, name: str) -> dict[str, str]:
    """Return the settings with which a process fetches one of the sets."""
    countries, rates = {"a": ("geonames", "er-api"), "b": ("restcountries-v3", "frankfurter")}[name]
    return {
        "COUNTRIES_SOURCES": f"{countries}={upstream.url}/{name}/countries",
        "RATES_SOURCES": f"{rates}={upstream.url}/{name}/rates",
        "STATISTICS_SOURCES": f"world-bank={upstream.url}/{name}/statistics",
    }


def _increase_values(response: FakeResponse) -> FakeResponse:
    head, rows = json.loads(response.body)
    increased = [{**row, "value": row["value"] and row["value"] + 1} for row in rows]
    return replace(response, body=json.dumps([head, increased]).encode())
