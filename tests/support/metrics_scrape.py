"""Scrapes of a server's metrics, and what changed between two."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.processes import Process

Samples = Mapping[str, float]
"""Every sample of a scrape by its name and labels, as written."""

_OWN_SAMPLES = (
    'graphql_api_requests_total{kind="none",status="200"}',
    'graphql_api_request_duration_seconds_count{kind="none"}',
)
"""Counters that a scrape itself raises; the next scrape shows it."""


def parse_samples(text: str) -> Samples:
    """Return the samples of a metrics text."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@dataclass(frozen=True)
class Scraper:
    """Scrapes one server with its token."""

    server: Process
    token: str | None = None

    def fetch_text(self) -> str:
        """Return the response of a scrape."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        response = self.server.get("/metrics", **headers)
        assert response.status_code == 200, response.text
        return response.text

    def scrape(self) -> Samples:
        """Return the samples of a scrape."""
        return parse_samples(self.fetch_text())


def counter_increases(before: Samples, after: Samples) -> dict[str, float]:
    """Return by how much each counter rose, without what the earlier scrape itself counted.

    Of a histogram only the count is compared; durations differ.
    """
    assert list(before) == list(after)
    own_samples = dict.fromkeys(_OWN_SAMPLES, 1)
    increases = {
        name: after[name] - before[name] - own_samples.get(name, 0)
        for name in after
        if name.startswith("graphql_api_") and _is_counter(name)
    }
    return {name: increase for name, increase in increases.items() if increase}


def _is_counter(name: str) -> bool:
    return name.partition("{")[0].endswith(("_total", "_count"))
