"""Providers of countries and rates: fetching, parsing and validating their data."""

import sys

# httpx imports its command line if it can, and that rich and pygments: more than half of its start-up time.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # as Python documents it, to keep a module out
