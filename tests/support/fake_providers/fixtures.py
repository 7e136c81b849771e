"""The live providers' fakes: valid, empty and paged responses."""

from dataclasses import dataclass

from graphql_api.domain.report import SourceKind
from graphql_api.sources.provider import Provider, RawCountries, RawRates, RawStatistics
from graphql_api.sources.registry import COUNTRIES_PROVIDERS, RATES_PROVIDERS, STATISTICS_PROVIDERS, select_providers
from tests.support.fake_providers.server import (
    COUNTRIES,
    FAWAZAHMED0,
    FRANKFURTER,
    PAGES,
    RATES,
    STATISTICS,
    V3,
    FakeResponse,
    Responder,
    paginated_responder,
    world_bank_responder,
)

API_KEY = "rc_live_hunter2"
"""Key that the fake server requires."""
API_KEYS = {"RESTCOUNTRIES_API_KEY": API_KEY}


@dataclass(frozen=True, slots=True)
class FakeProvider:
    """Responses of one live provider."""

    name: str
    kind: SourceKind
    body: bytes
    """Valid body, or its first page."""
    empty_body: bytes
    """Valid body without any records."""
    responder: Responder
    """Response to valid requests."""


FAKE_PROVIDERS = (
    FakeProvider(
        "restcountries",
        SourceKind.COUNTRIES,
        PAGES[0],
        b'{"data": {"objects": [], "meta": {"total": 0}}}',
        paginated_responder(API_KEY),
    ),
    FakeProvider("restcountries-v3", SourceKind.COUNTRIES, V3, b"[]", FakeResponse(body=V3)),
    FakeProvider("geonames", SourceKind.COUNTRIES, COUNTRIES, b"# nothing\n", FakeResponse(body=COUNTRIES)),
    FakeProvider(
        "er-api",
        SourceKind.RATES,
        RATES,
        b'{"result": "success", "base_code": "USD", "rates": {}}',
        FakeResponse(body=RATES),
    ),
    FakeProvider("frankfurter", SourceKind.RATES, FRANKFURTER, b"[]", FakeResponse(body=FRANKFURTER)),
    FakeProvider("fawazahmed0", SourceKind.RATES, FAWAZAHMED0, b'{"usd": {}}', FakeResponse(body=FAWAZAHMED0)),
    FakeProvider(
        "world-bank",
        SourceKind.STATISTICS,
        STATISTICS["SP.POP.TOTL"],
        b'[{"page": 0, "pages": 0, "per_page": 0, "total": 0, "sourceid": null, "lastupdated": null}, null]',
        world_bank_responder(),
    ),
)


def select_countries_providers(*selections: tuple[str, str | None]) -> tuple[Provider[RawCountries], ...]:
    """Return these countries providers, with the key."""
    return select_providers("COUNTRIES_SOURCES", selections, COUNTRIES_PROVIDERS, API_KEYS)


def select_rates_providers(*selections: tuple[str, str | None]) -> tuple[Provider[RawRates], ...]:
    """Return these rates providers, with the key."""
    return select_providers("RATES_SOURCES", selections, RATES_PROVIDERS, API_KEYS)


def select_statistics_providers(*selections: tuple[str, str | None]) -> tuple[Provider[RawStatistics], ...]:
    """Return these statistics providers."""
    return select_providers("STATISTICS_SOURCES", selections, STATISTICS_PROVIDERS, API_KEYS)
