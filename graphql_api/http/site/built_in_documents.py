"""Documents of the server itself: of pages and scripts, and of the command `status`. They are always trusted."""

import re

from graphql_api.http.site.country_page import COUNTRY_QUERY
from graphql_api.http.site.playground_link import EXAMPLE_QUERY
from graphql_api.http.site.static_files import Asset

STATUS_QUERY = """{ status {
  version totalCountries lastRefreshedAt stale refreshing
  sources { kind countries populationYear gdpYear provenance { provider live asOf } }
  lastRefresh { trigger finishedAt timings { totalMs } }
  lastFailure { trigger at code message }
} }"""
"""The query of `graphql-api status`."""

_SCRIPTS = ("landing.js", "playground.js")
_DOCUMENT = re.compile(
    r"""(?P<quote>[`"])(?P<text>(?:#[^\n]*\n)*(?:query|mutation|subscription)\b[^{}`"]*\{.*?)(?P=quote)""", re.DOTALL
)
"""A text of a script that is a document."""


def list_built_in_documents() -> list[str]:
    """Return every document that this version's pages and command send."""
    scripts = [Asset.from_package(name).path.read_text("utf-8") for name in _SCRIPTS]
    return [
        STATUS_QUERY,
        COUNTRY_QUERY,
        EXAMPLE_QUERY,
        *(match["text"] for script in scripts for match in _DOCUMENT.finditer(script)),
    ]
