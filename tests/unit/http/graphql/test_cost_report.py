"""`extensions.cost`, for clients that send `GraphQL-Cost: report`."""

from pathlib import Path

import httpx
import pytest

from tests.support.app import AppClient, make_settings, parse_errors, running_client
from tests.support.fake_providers.server import Upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUERY = "{ countries(first: 2) { nodes { code } } }"
COST = {"requested": 6, "limit": 50_000}
TOKEN = "s3cret-Token-of-24-letters"
PRODUCTION = {"environment": "production", "admin_token": TOKEN, "public_url": "https://countries.example"}


async def test_reported(server: AppClient) -> None:
    """The cost is reported to the client that asks for it, also in batches, and with errors, and to no other."""
    plain = await server.post({"query": QUERY})
    reported = await server.post({"query": QUERY}, GraphQL_Cost="report")
    assert reported.json() == {**plain.json(), "extensions": {"cost": COST}}
    assert reported.headers["Cache-Control"] == "no-store"
    url = f"/graphql?{httpx.QueryParams({'query': QUERY})}"
    by_get = await server.get(url, GraphQL_Cost="report")
    assert by_get.json() == reported.json()
    assert "ETag" not in by_get.headers
    for response in (await server.post({"query": QUERY}), await server.get(url)):
        assert response.content == plain.content
    assert (await server.post({"query": QUERY}, GraphQL_Cost="yes")).content == plain.content
    batch = await server.post([{"query": QUERY}, {"query": "{ status { version } }"}], GraphQL_Cost="report")
    assert [body["extensions"]["cost"]["requested"] for body in batch.json()] == [6, 10]
    unknown = '{ countries(filter: {region: {eq: "Urope"}}) { totalCount } }'
    extensions = (await server.post({"query": unknown}, GraphQL_Cost="report")).json()["extensions"]
    assert (set(extensions), extensions["suggestions"][0]["value"]) == ({"cost", "suggestions"}, "Urope")
    failed = await server.post(
        {"query": '{ node(id: "x") { id } countries(first: -1) { totalCount } }'}, GraphQL_Cost="report"
    )
    assert failed.json()["errors"]
    assert failed.json()["extensions"]["cost"]["limit"] == 50_000
    assert parse_errors(await server.post({"query": "{ nothing }"}, GraphQL_Cost="report"))


async def test_production(tmp_path: Path, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """In production only the administrator's token has it reported, and a wrong one is in the log."""
    settings = make_settings(tmp_path / "countries.db", upstream, **PRODUCTION)
    async with running_client(settings) as server:
        plain = await server.post({"query": QUERY})
        without = await server.post({"query": QUERY}, GraphQL_Cost="report")
        wrong = await server.post({"query": QUERY}, GraphQL_Cost="report", Authorization="Bearer wrong")
        assert without.content == wrong.content == plain.content
        assert [record.getMessage().split("has a ")[1] for record in caplog.records if "wrong" in record.message] == [
            "wrong token for GraphQL-Cost."
        ]
        right = await server.post({"query": QUERY}, GraphQL_Cost="report", Authorization=f"Bearer {TOKEN}")
        assert right.json()["extensions"] == {"cost": COST}
        assert (await server.post({"query": QUERY})).content == plain.content
