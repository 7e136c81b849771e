"""Bundled reference: codes, names and regions by alpha-2 code, which no provider overrides."""

import json
from importlib import resources
from typing import Any

from graphql_api.domain.country import CountryIdentity, Reference


def load_reference() -> Reference:
    """Load the reference from sources/bundled/reference.json, and add the URLs of the flags."""
    bundled = resources.files("graphql_api.sources.bundled")
    entries = json.loads(bundled.joinpath("reference.json").read_bytes())
    return {
        entry["code"]: CountryIdentity(
            **{name: _to_immutable(value) for name, value in entry.items()},
            flag_url=f"https://flagcdn.com/{entry['code'].lower()}.svg",
        )
        for entry in entries
    }


def _to_immutable(value: Any) -> Any:  # noqa: ANN401 - as JSON has it
    return tuple(value) if isinstance(value, list) else value
