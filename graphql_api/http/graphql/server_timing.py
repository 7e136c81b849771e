"""The Server-Timing header: how long each part of a refresh took."""

from collections.abc import Mapping
from dataclasses import asdict

from graphql_api.domain.report import Timings


def build_server_timing(timings: Timings) -> Mapping[str, str]:
    """Return the header, in milliseconds: https://www.w3.org/TR/server-timing/."""
    entries = (
        f"{field.removesuffix('_ms').replace('_', '-')};dur={milliseconds:.1f}"
        for field, milliseconds in asdict(timings).items()
        if milliseconds is not None
    )
    return {"Server-Timing": ", ".join(entries)}
