"""Every live provider in every way to fail: it is given up, it is said why, the next is asked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from graphql_api.domain.country import BUNDLED
from graphql_api.domain.report import SourceKind, SourceReport
from graphql_api.sources import countries, rates
from graphql_api.sources.countries import CountryList
from graphql_api.sources.fetching import Fetched, Means, fetch_first
from graphql_api.sources.provider import RawCountries
from graphql_api.sources.rates import RateTable
from graphql_api.sources.reference import load_reference
from graphql_api.sources.retries import Retries
from graphql_api.sources.web import Web
from tests.upstream.faults import FAULTS, LONG, PATH, Fault
from tests.upstream.players import KEY, PLAYERS, Player, choose_countries, choose_rates
from tests.upstream.server import Answer, Upstream

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)

REFERENCE = load_reference()
AT_ONCE = Retries(seconds=0)
"""Retries without a pause."""


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """Lend what the project asks with, which is ready."""
    async with Web("tests/1") as created:
        await created.client.get()
        yield created


def check_countries(raw: RawCountries) -> CountryList:
    """Check countries as the project does."""
    return countries.check(raw, REFERENCE)


async def fetch(
    web: Web, kind: SourceKind, *choices: tuple[str, str | None], seconds: float
) -> Fetched[CountryList] | Fetched[RateTable]:
    """Ask these providers as the project does."""
    means = Means(web=web, now=NOW, seconds_each=seconds, retries=AT_ONCE)
    if kind is SourceKind.COUNTRIES:
        listed = choose_countries(*choices)
        return await fetch_first(kind, listed, check_countries, means=means, kept=None, failures=[])
    rated = choose_rates(*choices)
    return await fetch_first(kind, rated, rates.check, means=means, kept=None, failures=[])


@pytest.mark.parametrize("player", PLAYERS, ids=lambda player: player.name)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault(upstream: Upstream, web: Web, player: Player, fault: Fault) -> None:
    """A provider that fails is given up with its reason, and the next one's data is reported."""
    upstream.answer(PATH, fault.answer(player))
    faulty = (player.name, fault.url(upstream))
    fetched = await fetch(web, player.kind, faulty, (BUNDLED, None), seconds=fault.seconds)
    expected = await fetch(web, player.kind, (BUNDLED, None), seconds=LONG)
    assert fetched.data == expected.data
    assert fetched.report == SourceReport(
        kind=player.kind,
        provider=BUNDLED,
        live=False,
        as_of=expected.data.as_of,
        failures=(fault.why(player),),
        attribution=expected.report.attribution,
    )
    assert upstream.asked(PATH) == fault.asked


NEXT = {SourceKind.COUNTRIES: "geonames", SourceKind.RATES: "er-api"}
COUNTS = {
    "restcountries": (250, 6),
    "restcountries-v3": (247, 0),
    "geonames": (250, 2),
    "er-api": 155,
    "frankfurter": 155,
    "fawazahmed0": 155,
}


def size(fetched: Fetched[CountryList] | Fetched[RateTable]) -> object:
    """Return how many countries were kept and skipped, or how many rates there are."""
    data = fetched.data
    return (
        len(data.rates) if isinstance(data, RateTable) else (len(data.figures), len(data.skipped))
    )


@pytest.mark.parametrize("player", PLAYERS, ids=lambda player: player.name)
async def test_no_fault(upstream: Upstream, web: Web, player: Player) -> None:
    """A provider that answers well gives so many countries or rates, and nobody else is asked."""
    upstream.answer(PATH, player.reply)
    url = f"{upstream.url}/{PATH}"
    after = (NEXT[player.kind], f"{upstream.url}/next")
    fetched = await fetch(web, player.kind, (player.name, url), after, seconds=LONG)
    assert (fetched.report.provider, fetched.report.live) == (player.name, True)
    assert (size(fetched), fetched.report.failures) == (COUNTS[player.name], ())
    assert upstream.asked("next") == 0


@pytest.mark.parametrize("player", PLAYERS, ids=lambda player: player.name)
async def test_next_live(upstream: Upstream, web: Web, player: Player) -> None:
    """The next provider may be a live one, of another name or the same at another address."""
    upstream.answer("down", Answer(status=500))
    upstream.answer(PATH, player.reply)
    down = [(NEXT[player.kind], f"{upstream.url}/down"), (player.name, f"{upstream.url}/down")]
    well = (player.name, f"{upstream.url}/{PATH}")
    fetched = await fetch(web, player.kind, *down, well, seconds=LONG)
    assert (fetched.report.provider, size(fetched)) == (player.name, COUNTS[player.name])
    assert fetched.report.failures == (
        f"{NEXT[player.kind]}: it answered with status 500",
        f"{player.name}: it answered with status 500",
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_key_is_not_told(
    upstream: Upstream, web: Web, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """However the provider with a key fails, neither the report nor the log has the key."""
    caplog.set_level("DEBUG")
    player = PLAYERS[0]
    upstream.answer(PATH, fault.answer(player))
    faulty = (player.name, fault.url(upstream))
    fetched = await fetch(web, player.kind, faulty, (BUNDLED, None), seconds=fault.seconds)
    assert KEY not in repr(fetched)
    assert KEY not in caplog.text
