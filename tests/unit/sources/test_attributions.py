"""What licences ask to be shown, by the names that rows have."""

import pytest

from graphql_api.domain.report import SourceKind
from graphql_api.sources import countries, rates
from graphql_api.sources.attributions import get_attribution


def test_every_provider() -> None:
    """Each provider of a kind is attributed as it says itself, the bundled ones apart."""
    for kind, providers in (
        (SourceKind.COUNTRIES, countries.PROVIDERS),
        (SourceKind.RATES, rates.PROVIDERS),
    ):
        assert {name: get_attribution(kind, name) for name in providers} == {
            name: provider.attribution for name, provider in providers.items()
        }


@pytest.mark.parametrize("kind", list(SourceKind))
def test_unknown_provider(kind: SourceKind) -> None:
    """A provider that only another version knows has none."""
    assert get_attribution(kind, "gone") is None
