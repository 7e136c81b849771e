"""The whole world: every country of the bundled data as a row."""

import json
from functools import lru_cache
from importlib import resources

from graphql_api.domain.country import Country
from graphql_api.sources.reference import load_reference
from tests.support.factories import make_country

WORLD = load_reference()
"""The bundled reference."""


@lru_cache(maxsize=1)
def make_world() -> tuple[Country, ...]:
    """Return a row for each country of the reference: capital, population and first currency of the bundled figures."""
    data = json.loads(resources.files("graphql_api.sources.bundled").joinpath("countries.json").read_bytes())
    figures = {row["code"]: row for row in data["countries"]}
    rates = json.loads(resources.files("graphql_api.sources.bundled").joinpath("rates.json").read_bytes())["rates"]
    currencies = {code: next(iter(row["currencies"]), None) for code, row in figures.items()}
    return tuple(
        make_country(
            code,
            alpha3=identity.alpha3,
            name=identity.name,
            capital=figures[code]["capital"],
            population=figures[code]["population"],
            region=identity.region,
            subregion=identity.subregion,
            currency_code=currencies[code],
            exchange_rate=rates.get(currencies[code]),
        )
        for code, identity in WORLD.items()
    )
