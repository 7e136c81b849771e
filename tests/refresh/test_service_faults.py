"""Every fault of every live provider, with nobody after it: the refresh fails, nothing changes."""

from pathlib import Path

import pytest

from graphql_api.domain.country import BUNDLED
from graphql_api.domain.report import SourceKind
from graphql_api.errors import SourceUnavailable
from graphql_api.refresh.run import Sources
from tests.refresh.running import AT_ONCE, LONG, Before, asking, running
from tests.upstream.faults import FAULTS, PATH, Fault
from tests.upstream.players import PLAYERS, Player, choose_countries, choose_rates
from tests.upstream.server import Upstream

pytestmark = pytest.mark.slow


def asking_one(upstream: Upstream, player: Player, fault: Fault) -> Sources:
    """Return the sources of a refresh that asks this one alone; the other kind needs no asking."""
    faulty, other = (player.name, fault.url(upstream)), (BUNDLED, None)
    asks_countries = player.kind is SourceKind.COUNTRIES
    return Sources(
        countries=choose_countries(faulty if asks_countries else other),
        rates=choose_rates(other if asks_countries else faulty),
        seconds_each=fault.seconds,
        seconds_together=LONG,
        retries=AT_ONCE,
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault(path: Path, upstream: Upstream, fault: Fault) -> None:
    """The error names the provider and what is wrong with it, and not a row is another."""
    async with running(path, asking(upstream)) as started:
        await started.service.refresh()
        before = await Before.of(started)
        told = []
        for player in PLAYERS:
            upstream.answer(PATH, fault.answer(player))
            started.service.sources = asking_one(upstream, player, fault)
            with pytest.raises(SourceUnavailable) as raised:
                await started.service.refresh()
            told.append(str(raised.value))
            assert await before.is_unchanged()
    assert told == [
        f"No source of {player.kind} could be used. {fault.why(player)}." for player in PLAYERS
    ]
