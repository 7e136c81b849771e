"""The Server-Timing header: the phases of a refresh, as browsers read them."""

from dataclasses import replace
from pathlib import Path

from graphql_api.domain.report import Timings
from graphql_api.http.graphql.server_timing import build_server_timing
from tests.support.app import make_settings, running_client
from tests.support.fake_providers.server import Upstream

TIMINGS = Timings(
    fetch_countries_ms=2500.04,
    fetch_rates_ms=0.06,
    fetch_statistics_ms=900.04,
    fetch_ms=2501.0,
    transform_ms=8.7,
    upsert_ms=501.0,
    image_ms=35.2,
    total_ms=3011.3,
)


def test_phases() -> None:
    """Every phase has its name and its milliseconds, to a tenth."""
    assert build_server_timing(TIMINGS)["Server-Timing"] == (
        "fetch-countries;dur=2500.0, fetch-rates;dur=0.1, fetch-statistics;dur=900.0, fetch;dur=2501.0, "
        "transform;dur=8.7, upsert;dur=501.0, image;dur=35.2, total;dur=3011.3"
    )


def test_picture_that_could_not_be_drawn() -> None:
    """A phase that failed is left out."""
    assert "image" not in build_server_timing(replace(TIMINGS, image_ms=None))["Server-Timing"]


async def test_response(tmp_path: Path, upstream: Upstream) -> None:
    """The response to a refresh has the header, with the timings of its report; others do not."""
    async with running_client(make_settings(tmp_path / "countries.db", upstream)) as server:
        response = await server.post({"query": "mutation { refreshCountries { timings { upsertMs totalMs } } }"})
        timings = response.json()["data"]["refreshCountries"]["timings"]
        durations = dict(part.split(";dur=") for part in response.headers["Server-Timing"].split(", "))
        assert (float(durations["upsert"]), float(durations["total"])) == (timings["upsertMs"], timings["totalMs"])
        assert "Server-Timing" not in (await server.post({"query": "{ __typename }"})).headers
