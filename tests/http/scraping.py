"""What a scrape of a server tells, and what has changed since another."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.cli.running import Process

Series = Mapping[str, float]
"""Every sample of a scrape, by its name and labels as they are written."""

_OWN = (
    'graphql_api_requests_total{kind="none",status="200"}',
    'graphql_api_request_duration_seconds_count{kind="none"}',
)
"""What a scrape counts of itself, to be seen by the next one."""


def read(text: str) -> Series:
    """Return the samples of a text."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@dataclass(frozen=True)
class Scraper:
    """Scrapes one server, as whoever has its token."""

    server: Process
    token: str | None = None

    def text(self) -> str:
        """Return a scrape as it comes."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        answer = self.server.get("/metrics", **headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    def scrape(self) -> Series:
        """Return the samples of a scrape."""
        return read(self.text())


def counted(before: Series, after: Series) -> dict[str, float]:
    """Return by how much each counter has risen, but for what the scrape before counts itself.

    Of histograms only how many there are; times differ.
    """
    assert list(before) == list(after)
    own = dict.fromkeys(_OWN, 1)
    risen = {
        name: after[name] - before[name] - own.get(name, 0)
        for name in after
        if name.startswith("graphql_api_") and _counts(name)
    }
    return {name: rise for name, rise in risen.items() if rise}


def _counts(name: str) -> bool:
    return name.partition("{")[0].endswith(("_total", "_count"))
