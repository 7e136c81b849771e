"""Structured data of the pages, as JSON-LD of schema.org: https://schema.org/Dataset, https://schema.org/Country."""

from collections.abc import Mapping
from typing import Any

import orjson
from markupsafe import Markup

from graphql_api.domain.country import Country
from graphql_api.domain.report import SourceKind
from graphql_api.domain.snapshot import Snapshot
from graphql_api.http.site.exports import COLUMNS, CSV_FORMAT, JSON_FORMAT
from graphql_api.http.site.page import PageHead
from graphql_api.sources.registry import get_attribution

_LICENSES = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "Unicode-3.0": "https://www.unicode.org/license.txt",
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
}
"""URLs of the licences that attributions name."""
_REFERENCE_CREDIT = "Unicode CLDR (https://cldr.unicode.org), Unicode-3.0"
"""The source of the names and codes, whatever the providers."""


def describe_dataset(snapshot: Snapshot, head: PageHead) -> Markup:
    """Return the table of countries as a data set with its files, sources and licences, for a script element."""
    credits_ = _list_credits(snapshot)
    refreshed_at = snapshot.last_refreshed_at
    data = {
        "@type": "Dataset",
        "name": head.title,
        "description": head.description,
        "url": head.url,
        "dateModified": refreshed_at and refreshed_at.isoformat(timespec="seconds"),
        "license": [url for name, url in _LICENSES.items() if any(name in text for text in credits_)],
        "creditText": "; ".join(credits_),
        "isAccessibleForFree": True,
        "variableMeasured": list(COLUMNS),
        "distribution": [
            {
                "@type": "DataDownload",
                "encodingFormat": export_format.media_type,
                "contentUrl": f"{head.base_url}/countries.{name}",
            }
            for name, export_format in (("csv", CSV_FORMAT), ("json", JSON_FORMAT))
        ],
    }
    return _encode({name: value for name, value in data.items() if value})


def describe_country(country: Country, snapshot: Snapshot, head: PageHead) -> Markup:
    """Return a country, for a script element."""
    links, graph = snapshot.graph.get_links(country), snapshot.graph
    return _encode(
        {
            "@type": "Country",
            "name": country.name,
            "alternateName": [country.alpha3, *graph.get_aliases(country), *(name.name for name in links.native_names)],
            "identifier": country.code,
            "url": head.url,
            "image": head.image_url,
            "containedInPlace": {"@type": "Continent", "name": graph.get_continent(country).name},
        }
    )


def _list_credits(snapshot: Snapshot) -> list[str]:
    """Return the attribution of each source of the rows, once."""
    sources = [
        *((SourceKind.COUNTRIES, source) for source in snapshot.count_figures_provenance()),
        *((SourceKind.STATISTICS, source) for source in snapshot.count_statistics_provenance()),
        *((SourceKind.RATES, source) for source in snapshot.count_rates_provenance()),
    ]
    texts = [get_attribution(kind, source.provider) for kind, source in sources]
    return list(dict.fromkeys([*filter(None, texts), _REFERENCE_CREDIT]))


def _encode(data: Mapping[str, Any]) -> Markup:
    """Return JSON in which no text can end the script element."""
    text = orjson.dumps({"@context": "https://schema.org", **data}).decode()
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - JSON without "<"
