"""Every fault of every live provider without a fallback: the refresh fails, nothing changes."""

from pathlib import Path

import pytest

from graphql_api.domain.country import BUNDLED
from graphql_api.domain.report import SourceKind
from graphql_api.errors import SourceUnavailable
from graphql_api.refresh.sources import SourceConfig
from tests.support.fake_providers.faults import FAULTS, FAULTY_PATH, ProviderFault
from tests.support.fake_providers.fixtures import (
    FAKE_PROVIDERS,
    FakeProvider,
    select_countries_providers,
    select_rates_providers,
    select_statistics_providers,
)
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import (
    IMMEDIATE_RETRIES,
    LONG_TIMEOUT,
    InitialState,
    make_source_config,
    running_instance,
)

pytestmark = pytest.mark.slow

REQUIRED_PROVIDERS = [player for player in FAKE_PROVIDERS if player.kind is not SourceKind.STATISTICS]
"""Those without which a refresh fails."""


def single_provider_config(upstream: Upstream, player: FakeProvider, fault: ProviderFault) -> SourceConfig:
    """Return sources with the faulty provider alone, and bundled data for the other sources."""
    bundled = (BUNDLED, None)
    selections = dict.fromkeys(SourceKind, bundled) | {player.kind: (player.name, fault.build_url(upstream))}
    return SourceConfig(
        countries=select_countries_providers(selections[SourceKind.COUNTRIES]),
        rates=select_rates_providers(selections[SourceKind.RATES]),
        statistics=select_statistics_providers(selections[SourceKind.STATISTICS]),
        api_timeout=fault.api_timeout,
        refresh_timeout=LONG_TIMEOUT,
        retries=IMMEDIATE_RETRIES,
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault(path: Path, upstream: Upstream, fault: ProviderFault) -> None:
    """The error has each required provider's name and reason, and no row changes."""
    async with running_instance(path, make_source_config(upstream)) as instance:
        await instance.service.refresh()
        initial = await InitialState.capture(instance)
        messages = []
        for player in REQUIRED_PROVIDERS:
            upstream.set_responses(FAULTY_PATH, fault.build_response(player))
            instance.service.sources = single_provider_config(upstream, player, fault)
            with pytest.raises(SourceUnavailable) as exc_info:
                await instance.service.refresh()
            messages.append(str(exc_info.value))
            assert await initial.is_unchanged()
    assert messages == [
        f"No source of {player.kind} could be used. {fault.expected_failure(player)}." for player in REQUIRED_PROVIDERS
    ]
