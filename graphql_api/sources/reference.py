"""Bundled reference: codes, names and regions by alpha-2 code, which no provider overrides."""

import json
from importlib import resources

from graphql_api.domain.country import CountryIdentity, Reference

_FLAG_URL = "https://flagcdn.com/{}.svg"


def load_reference() -> Reference:
    """Load the reference from sources/bundled/reference.json."""
    bundled = resources.files("graphql_api.sources.bundled")
    entries = json.loads(bundled.joinpath("reference.json").read_bytes())
    return {
        entry["code"]: CountryIdentity(
            code=entry["code"],
            alpha3=entry["alpha3"],
            name=entry["name"],
            region=entry["region"],
            subregion=entry["subregion"],
            flag_url=_FLAG_URL.format(entry["code"].lower()),
            aliases=tuple(entry["aliases"]),
        )
        for entry in entries
    }
