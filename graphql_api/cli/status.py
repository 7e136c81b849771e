"""`graphql-api status`: what a running server serves, for people and for monitors."""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import httpx
import orjson

from graphql_api.http.site.built_in_documents import STATUS_QUERY
from graphql_api.utils.formatting import escape_unprintable

_TIMEOUT = 10
"""Seconds for each request."""
NEEDS_ATTENTION = 3
"""Exit code for a server that responds, but with old data or without its database."""


def show_status(url: str, *, as_json: bool) -> None:
    """Print the status of the server at a URL, with or without `/graphql` at its end.

    Raises:
        SystemExit: with 1 if it does not respond as this program does, with NEEDS_ATTENTION if its data is stale or
            its database is away.
    """
    base_url = url.rstrip("/").removesuffix("/graphql")
    if _scheme(base_url) not in {"http", "https"}:
        raise click.BadParameter(f"{url!r} is not a URL that begins with http:// or https://.", param_hint="URL")
    try:
        readiness, status = _fetch(base_url)
    except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
        reason = str(error) if isinstance(error, httpx.HTTPError) else "it is another program"
        click.echo(f"graphql-api: No status from {base_url}: {escape_unprintable(reason)}.", err=True)
        sys.exit(1)
    if as_json:
        click.echo(orjson.dumps({**status, "ready": readiness}, option=orjson.OPT_INDENT_2).decode())
    else:
        for label, value in _describe(base_url, readiness, status, now=datetime.now(UTC)):
            click.echo(f"{label:<12} {escape_unprintable(value)}")
    if status["stale"] or readiness["database"] != "ok" or readiness["status"] != "ready":
        sys.exit(NEEDS_ATTENTION)


def _scheme(url: str) -> str:
    try:
        return httpx.URL(url).scheme
    except httpx.InvalidURL:
        return ""


def _fetch(base_url: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the body of /readyz and the field `status`."""
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        readiness = client.get(f"{base_url}/readyz").json()
        status = client.post(f"{base_url}/graphql", json={"query": STATUS_QUERY}).json()["data"]["status"]
    _ = readiness["database"], readiness["status"], status["stale"]  # another program's body lacks them
    return readiness, status


def _describe(
    base_url: str, readiness: Mapping[str, Any], status: Mapping[str, Any], *, now: datetime
) -> Iterator[tuple[str, str]]:
    yield "server", f"{base_url}, {readiness['status']}" + (", refreshing now" if status["refreshing"] else "")
    since = readiness.get("unreachableSince")
    yield "database", readiness["database"] + (f" since {since}" if since else "")
    staleness = "stale" if status["stale"] else "current"
    yield "data", f"version {status['version']}, {status['totalCountries']} countries, {staleness}"
    for source in status["sources"]:
        yield source["kind"].lower(), _describe_source(source)
    if refresh := status["lastRefresh"]:
        seconds = refresh["timings"]["totalMs"] / 1000
        yield "refreshed", f"{_ago(refresh['finishedAt'], now)}, by {refresh['trigger'].lower()}, in {seconds:.1f} s"
    if failure := status["lastFailure"]:
        yield "failed", f"{_ago(failure['at'], now)}: {failure['code']}: {failure['message']}"


def _describe_source(source: Mapping[str, Any]) -> str:
    provenance = source["provenance"]
    phrases = [f"{provenance['provider']}, {source['countries']} countries"]
    if provenance["live"]:
        phrases.append("live")
    if provenance["asOf"]:
        phrases.append(f"as of {provenance['asOf']}")
    if source["populationYear"]:
        phrases.append(f"population of {source['populationYear']}")
    if source["gdpYear"]:
        phrases.append(f"GDP of {source['gdpYear']}")
    return ", ".join(phrases)


def _ago(instant: str, now: datetime) -> str:
    """Return an instant and how long ago it was, to the second."""
    return f"{instant} ({timedelta(seconds=round((now - datetime.fromisoformat(instant)).total_seconds()))} ago)"
