"""What each provider's licence asks to be shown, by the name that rows and reports have."""

from graphql_api.domain.report import SourceKind
from graphql_api.sources import countries, rates


def get_attribution(kind: SourceKind, provider: str) -> str | None:
    """Return the attribution of a provider; None for one that another version knew."""
    providers = countries.PROVIDERS if kind is SourceKind.COUNTRIES else rates.PROVIDERS
    return providers[provider].attribution if provider in providers else None
