"""Health: the process runs, has data or none, and reaches the database or not."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY

import httpx

from tests.support.app import HANGING_RESPONSE, AppClient, make_settings, running_client
from tests.support.fake_providers.server import Upstream
from tests.support.refresh_service import execute_sql
from tests.support.wait import wait_until_async

COUNT = "{ countries { totalCount } }"
READY = {"status": "ready", "countries": 250, "version": "1-250", "database": "ok"}


async def wait_for_readiness(server: AppClient, expected: dict[str, object]) -> httpx.Response:
    """Wait until /readyz has this body, and return the response."""

    async def is_expected() -> bool:
        body: dict[str, object] = (await server.get("/readyz")).json()
        return body == expected

    await wait_until_async(is_expected)
    return await server.get("/readyz")


async def wait_for_unreachable(server: AppClient) -> httpx.Response:
    """Wait until /readyz reports the database as unreachable, and return the response."""

    async def is_unreachable() -> bool:
        return "unreachableSince" in (await server.get("/readyz")).json()

    await wait_until_async(is_unreachable)
    response = await server.get("/readyz")
    since = datetime.fromisoformat(response.json()["unreachableSince"])
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=1)
    assert response.json() == {**READY, "database": "unreachable", "unreachableSince": ANY}
    return response


async def test_health(tmp_path: Path, upstream: Upstream) -> None:
    """Readiness follows the data and reports the database, whose outage does not stop reads."""
    upstream.set_responses("countries", HANGING_RESPONSE)
    path = tmp_path / "countries.db"
    async with running_client(make_settings(path, upstream, snapshot_poll=0.01)) as server:
        live, ready = await server.get("/healthz"), await server.get("/readyz")
        assert (live.status_code, live.json()) == (200, {"status": "ok"})
        assert (ready.status_code, ready.json()) == (200, READY)
        assert live.headers["Cache-Control"] == ready.headers["Cache-Control"] == "no-store"

        await asyncio.to_thread(execute_sql, path, "DROP TABLE countries")
        assert (await wait_for_unreachable(server)).status_code == 200
        assert len((await server.query("{ countries { nodes { id } } }"))["countries"]["nodes"]) == 250

        # The process makes the table again, with the rows that it serves.
        assert (await wait_for_readiness(server, READY)).status_code == 200

        await asyncio.to_thread(execute_sql, path, "DELETE FROM countries")
        expected = {"status": "empty", "countries": 0, "version": "0-0", "database": "ok"}
        assert (await wait_for_readiness(server, expected)).status_code == 503
        assert (await server.get("/healthz")).status_code == 200
