"""The Server-Timing header: how long each part of a refresh took."""

from collections.abc import Mapping

from graphql_api.domain.report import Timings


def build_server_timing(timings: Timings) -> Mapping[str, str]:
    """Return the header, in milliseconds: https://www.w3.org/TR/server-timing/."""
    durations = {
        "fetch-countries": timings.fetch_countries_ms,
        "fetch-rates": timings.fetch_rates_ms,
        "fetch": timings.fetch_ms,
        "transform": timings.transform_ms,
        "upsert": timings.upsert_ms,
        "image": timings.image_ms,
        "total": timings.total_ms,
    }
    entries = (
        f"{name};dur={milliseconds:.1f}"
        for name, milliseconds in durations.items()
        if milliseconds is not None
    )
    return {"Server-Timing": ", ".join(entries)}
