"""The live providers as the upstream server plays them: on which path, and with which answers."""

from dataclasses import dataclass

from graphql_api.domain.report import SourceKind
from graphql_api.sources import countries, rates
from graphql_api.sources.choosing import choose
from graphql_api.sources.provider import Provider, RawCountries, RawRates
from tests.upstream.server import (
    COUNTRIES,
    FAWAZAHMED0,
    FRANKFURTER,
    PAGES,
    RATES,
    V3,
    Answer,
    Reply,
    in_pages,
)

KEY = "rc_live_hunter2"
"""The key that the upstream server wants."""
KEYS = {"RESTCOUNTRIES_API_KEY": KEY}


@dataclass(frozen=True, slots=True)
class Player:
    """One live provider, played."""

    name: str
    kind: SourceKind
    body: bytes
    """Its answer, or the first page of it."""
    empty: bytes
    """Its answer when it has nothing."""
    reply: Reply
    """What it answers when all is well."""


PLAYERS = (
    Player(
        "restcountries",
        SourceKind.COUNTRIES,
        PAGES[0],
        b'{"data": {"objects": [], "meta": {"total": 0}}}',
        in_pages(KEY),
    ),
    Player("restcountries-v3", SourceKind.COUNTRIES, V3, b"[]", Answer(body=V3)),
    Player("geonames", SourceKind.COUNTRIES, COUNTRIES, b"# nothing\n", Answer(body=COUNTRIES)),
    Player(
        "er-api",
        SourceKind.RATES,
        RATES,
        b'{"result": "success", "base_code": "USD", "rates": {}}',
        Answer(body=RATES),
    ),
    Player("frankfurter", SourceKind.RATES, FRANKFURTER, b"[]", Answer(body=FRANKFURTER)),
    Player("fawazahmed0", SourceKind.RATES, FAWAZAHMED0, b'{"usd": {}}', Answer(body=FAWAZAHMED0)),
)


def choose_countries(*choices: tuple[str, str | None]) -> tuple[Provider[RawCountries], ...]:
    """Return these providers of countries, with the key."""
    return choose("COUNTRIES_SOURCES", choices, countries.PROVIDERS, KEYS)


def choose_rates(*choices: tuple[str, str | None]) -> tuple[Provider[RawRates], ...]:
    """Return these providers of rates, with the key."""
    return choose("RATES_SOURCES", choices, rates.PROVIDERS, KEYS)
