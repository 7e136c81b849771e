"""Links that open a query in the playground, and the example.

The query is in the fragment, which browsers send to no server. No log or proxy sees it, and opening a link
executes nothing.
"""

import json
from collections.abc import Mapping
from urllib.parse import quote, urlencode

EXAMPLE_QUERY = "{ countries(first: 3) { nodes { name capital population } } }"
"""The query that the pages show."""


def build_playground_link(query: str, variables: Mapping[str, object] | None = None) -> str:
    """Return a URL that is relative to the landing page, encoded as browsers' `URLSearchParams` read it."""
    parameters = {"query": query}
    if variables:
        parameters["variables"] = json.dumps(variables, ensure_ascii=False)
    return f"graphql#{urlencode(parameters, quote_via=quote)}"


def build_curl_line(endpoint: str) -> str:
    """Return a command that sends the example. A POSIX shell reads it as it is: the query has no single quote."""
    return f"curl -H 'Content-Type: application/json' -d '{json.dumps({'query': EXAMPLE_QUERY})}' '{endpoint}'"
