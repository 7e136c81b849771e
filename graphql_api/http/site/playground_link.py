"""Links that open a query in the playground.

The query is in the fragment, which browsers send to no server. No log or proxy sees it, and opening a link
executes nothing.
"""

import json
from collections.abc import Mapping
from urllib.parse import quote, urlencode


def build_playground_link(query: str, variables: Mapping[str, object] | None = None) -> str:
    """Return a URL that is relative to the landing page, encoded as browsers' `URLSearchParams` read it."""
    parameters = {"query": query}
    if variables:
        parameters["variables"] = json.dumps(variables, ensure_ascii=False)
    return f"graphql#{urlencode(parameters, quote_via=quote)}"
