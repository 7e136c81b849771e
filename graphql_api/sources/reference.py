"""Bundled reference: identity and links of each country, by alpha-2 code, which no provider overrides."""

from collections.abc import Mapping
from functools import partial
from importlib import resources
from typing import Any

import orjson

from graphql_api.domain.country import CountryIdentity, Reference
from graphql_api.domain.nodes import (
    CONTINENTS,
    CountryLanguage,
    CountryLinks,
    Currency,
    Language,
    LocalizedName,
    PostalCode,
    Region,
)
from graphql_api.sources.names import load_other_names


def load_reference() -> Reference:
    """Load `reference.json` and `graph.json` from sources/bundled, and add the URLs of the flags."""
    links = _LinkBuilder(_load_json("graph.json"))
    entries = _load_json("reference.json")
    return {
        entry["code"]: CountryIdentity(
            **{name: _to_immutable(value) for name, value in entry.items()},
            flag_url=f"https://flagcdn.com/{entry['code'].lower()}.svg",
            links=links.build(entry),
        )
        for entry in entries
    }


def _to_immutable(value: Any) -> Any:  # noqa: ANN401 - as JSON has it
    return tuple(value) if isinstance(value, list) else value


def _load_json(name: str) -> Any:  # noqa: ANN401 - any JSON
    return orjson.loads(resources.files("graphql_api.sources.bundled").joinpath(name).read_bytes())


class _LinkBuilder:
    """Builds the links of countries from graph.json. Countries share their nodes."""

    def __init__(self, graph: Mapping[str, Any]) -> None:
        self._countries = {entry["code"]: entry for entry in graph["countries"]}
        self._currencies = {entry["code"]: Currency(**entry) for entry in graph["currencies"]}
        self._languages = {entry["code"]: Language(**entry) for entry in graph["languages"]}
        self._regions: dict[str, Region] = {}
        by_code: dict[str | None, Region | None] = {None: None}
        for entry in graph["regions"]:  # parents come first
            region = Region(entry["code"], entry["name"], by_code[entry["parent"]])
            by_code[region.code] = self._regions[region.name] = region

    def build(self, identity: Mapping[str, Any]) -> CountryLinks:
        """Return the links of the country with an entry in reference.json."""
        entry = self._countries[identity["code"]]
        return CountryLinks(
            continent=CONTINENTS[entry["continent"]],
            region=self._regions[identity["subregion"] or identity["region"]],
            tld=entry["tld"],
            calling_codes=tuple(entry["calling_codes"]),
            postal_code=entry["postal_code"] and PostalCode(*entry["postal_code"]),
            timezones=tuple(entry["timezones"]),
            neighbours=tuple(entry["neighbours"]),
            currencies=tuple(self._currencies[code] for code in identity["tender"]),
            languages=tuple(
                CountryLanguage(self._languages[code], official, share) for code, official, share in entry["languages"]
            ),
            native_names=tuple(LocalizedName(*names) for names in entry["native_names"]),
            load_other_names=partial(load_other_names, identity["code"]),
        )
