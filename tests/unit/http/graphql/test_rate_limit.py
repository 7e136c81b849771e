"""RATE_LIMIT over HTTP: what each kind of request costs its client, and how it is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from graphql_api.http.graphql.endpoint import GraphQLEndpoint
from graphql_api.http.graphql.fast_path import FastPath
from graphql_api.http.rate_limiter import RateLimiter
from tests.support.app import BASE_URL, AppClient, find_endpoint, make_settings, running_app
from tests.support.fake_providers.server import Upstream

QUERY = "{ countries(first: 10) { nodes { name } } }"
COST = 30
STATUS = "{ status { version } }"


@asynccontextmanager
async def limited_server(
    path: Path, upstream: Upstream, quota: int
) -> AsyncIterator[tuple[AppClient, GraphQLEndpoint]]:
    """Run a server whose clock of the rate limit stands still."""
    settings = make_settings(path / "countries.db", upstream, rate_limit=(quota, 60))
    async with running_app(settings) as app:
        endpoint = find_endpoint(app).http_endpoint
        assert isinstance(endpoint.rate_limiter, RateLimiter)
        endpoint.rate_limiter.clock = lambda: 1000.0
        transport = httpx.ASGITransport(app, client=("192.0.2.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            yield AppClient(app, client), endpoint


def read_remaining(response: httpx.Response) -> int:
    """Return what the client may still spend after a response."""
    assert response.headers["RateLimit-Policy"] == '"cost";q=100000;w=60'
    name, remaining, seconds = response.headers["RateLimit"].split(";")
    assert (name, seconds) == ('"cost"', "t=1")
    return int(remaining.removeprefix("r="))


async def test_costs(tmp_path: Path, upstream: Upstream) -> None:
    """A request costs 1, the cost that its operations report, and the characters of documents that are new."""
    async with limited_server(tmp_path, upstream, 100_000) as (server, _):
        remaining, costs = 100_000, []
        batch = [{"query": QUERY}, {"query": "{ nothing }"}, {"query": STATUS}]
        for content in (
            {"query": QUERY},
            {"query": QUERY},
            {"query": QUERY},
            {"query": "{ nothing }"},
            b"{",
            {"query": STATUS},
            batch,
            batch,
        ):
            response = await server.post(content)
            costs.append(remaining - read_remaining(response))
            remaining -= costs[-1]
        reported = [
            (await server.post({"query": query}, GraphQL_Cost="report")).json()["extensions"]["cost"]["requested"]
            for query in (QUERY, STATUS)
        ]
        assert reported == [COST, 10]
        # The third one is cached. A batch of errors is not, and its documents are known.
        executed = 1 + 1 + COST + 1 + 1 + 10
        first, second = 1 + COST + len(QUERY), 1 + COST
        others = [1 + len("{ nothing }"), 1, 1 + 10 + len(STATUS), executed, executed]
        assert costs == [first, second, 1, *others]
        assert (await server.get("/healthz")).headers.get("RateLimit") is None


async def test_refused(tmp_path: Path, upstream: Upstream) -> None:
    """A client without quota gets 429 with the code, the seconds and the headers; others are served."""
    message = "This costs 1, and your address has spent its quota of 50 in 60 s (RATE_LIMIT). Try again in 2 s."
    async with limited_server(tmp_path, upstream, 50) as (server, endpoint):
        assert (await server.post({"query": "{ __typename }"})).status_code == 200
        for media_type, retry_after in (("application/json", "12"), ("application/graphql-response+json", "14")):
            refused = await server.post({"query": QUERY}, Accept=media_type)
            assert (refused.status_code, refused.headers["Content-Type"]) == (429, f"{media_type}; charset=utf-8")
            assert refused.headers["Retry-After"] == retry_after
        bucket = endpoint.find_bucket("192.0.2.1")
        assert bucket is not None
        bucket.spend(32)
        refused = await server.post(b"not even read")
        assert refused.json() == {
            "errors": [{"message": message, "extensions": {"code": "RATE_LIMITED", "retryAfter": 2}}]
        }
        expected = {"Retry-After": "2", "RateLimit-Policy": '"cost";q=50;w=60', "RateLimit": '"cost";r=0;t=2'}
        assert {name: refused.headers[name] for name in expected} == expected
        assert refused.headers["Cache-Control"] == "no-store"
        other = httpx.ASGITransport(server.app, client=("192.0.2.2", 1))
        async with httpx.AsyncClient(transport=other, base_url=BASE_URL) as client:
            assert (await client.post("/graphql", json={"query": "{ __typename }"})).status_code == 200


async def test_batch(tmp_path: Path, upstream: Upstream) -> None:
    """The requests of a batch that the quota suffices for are executed; if it suffices for none, the batch gets 429."""
    async with limited_server(tmp_path, upstream, 150) as (server, _):
        await server.post({"query": QUERY})
        batch = [{"query": QUERY}] * 4
        response = await server.post(batch)
        codes = [body["errors"][0]["extensions"]["code"] if "errors" in body else None for body in response.json()]
        assert (response.status_code, codes) == (200, [None, None, "RATE_LIMITED", "RATE_LIMITED"])
        assert "Retry-After" not in response.headers
        response = await server.post(batch)
        assert (response.status_code, len(response.json())) == (429, 4)
        retry_times = [body["errors"][0]["extensions"]["retryAfter"] for body in response.json()]
        assert response.headers["Retry-After"] == str(max(retry_times))


async def test_uncompiled(tmp_path: Path, upstream: Upstream) -> None:
    """A query whose cost is multiplied because it is not compiled is charged once, also if it is the whole quota."""
    async with limited_server(tmp_path, upstream, 33) as (server, _):
        assert (await server.post({"query": STATUS})).headers["RateLimit"] == '"cost";r=0;t=2'


async def test_fast_path(tmp_path: Path, upstream: Upstream) -> None:
    """The fast path charges what the application charges, and refuses with the same bytes."""
    async with limited_server(tmp_path, upstream, 300) as (server, endpoint):
        fast_path = FastPath(endpoint)
        await server.post({"query": QUERY})
        bucket = fast_path.find_bucket("192.0.2.3")
        assert bucket is not None
        remaining = [bucket.build_headers()[1][1]]
        for variables in ({}, {}, {}, {"a": 1}, {"a": 1}, {"a": 1}):
            body = json.dumps({"query": QUERY, "variables": variables}).encode()
            request = fast_path.parse(b"POST", b"/graphql", [(b"content-type", b"application/json")], body)
            assert request is not None
            await asyncio.sleep(0)  # this turn of the event loop may have done enough
            response = fast_path.respond(request, may_execute=True, bucket=bucket)
            assert response is not None
            assert response.status == 200
            remaining.append(bucket.build_headers()[1][1])
        values = [int(header.split(b";")[1].removeprefix(b"r=")) for header in remaining]
        costs = [1 + COST, 1 + COST, 1] * 2
        assert values == [300 - sum(costs[:count]) for count in range(len(costs) + 1)]
        bucket.spend(int(remaining[-1].split(b";")[1].removeprefix(b"r=")) + 1)
        assert request is not None
        refused = fast_path.respond(request, may_execute=True, bucket=bucket)
        assert refused is not None
        own_bucket = endpoint.find_bucket("192.0.2.1")
        assert own_bucket is not None
        own_bucket.spend(int(own_bucket.build_headers()[1][1].split(b";")[1].removeprefix(b"r=")) + 1)
        expected = await server.post({"query": QUERY})
        assert (refused.status, refused.body) == (expected.status_code, expected.content)
        lines = refused.head.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 429 Too Many Requests"
        headers = dict(line.split(": ") for line in lines[1:-1]) | {
            name.decode(): value.decode() for name, value in bucket.build_headers()
        }
        del expected.headers["X-Request-Id"]
        assert headers == dict(expected.headers)
