"""Health: the process lives, has data to serve or none, and the database answers or does not."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import ANY

import httpx

from tests.refresh.running import execute
from tests.serving import HELD, Server, given, serving, until
from tests.upstream.server import Upstream

COUNT = "{ countries { totalCount } }"
READY = {"status": "ready", "countries": 250, "version": "1-250", "database": "ok"}


async def becomes(server: Server, expected: dict[str, object]) -> httpx.Response:
    """Wait until /readyz says this, and return its answer."""

    async def said() -> bool:
        answer: dict[str, object] = (await server.get("/readyz")).json()
        return answer == expected

    await until(said)
    return await server.get("/readyz")


async def lost(server: Server) -> httpx.Response:
    """Wait until /readyz says that the database is gone, and return its answer."""

    async def said() -> bool:
        return "unreachableSince" in (await server.get("/readyz")).json()

    await until(said)
    answer = await server.get("/readyz")
    since = datetime.fromisoformat(answer.json()["unreachableSince"])
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=1)
    assert answer.json() == {**READY, "database": "unreachable", "unreachableSince": ANY}
    return answer


async def test_health(tmp_path: Path, upstream: Upstream) -> None:
    """Readiness follows the data, and tells of the database, whose absence does not stop reads."""
    upstream.answer("countries", HELD)
    path = tmp_path / "countries.db"
    async with serving(given(path, upstream, snapshot_poll=0.01)) as server:
        live, ready = await server.get("/healthz"), await server.get("/readyz")
        assert (live.status_code, live.json()) == (200, {"status": "ok"})
        assert (ready.status_code, ready.json()) == (200, READY)
        assert live.headers["Cache-Control"] == ready.headers["Cache-Control"] == "no-store"

        await asyncio.to_thread(execute, path, "ALTER TABLE countries RENAME TO elsewhere")
        assert (await lost(server)).status_code == 200
        assert (
            len((await server.ask("{ countries { nodes { id } } }"))["countries"]["nodes"]) == 250
        )

        await asyncio.to_thread(execute, path, "ALTER TABLE elsewhere RENAME TO countries")
        assert (await becomes(server, READY)).status_code == 200

        await asyncio.to_thread(execute, path, "DELETE FROM countries")
        empty = {"status": "empty", "countries": 0, "version": "0-0", "database": "ok"}
        assert (await becomes(server, empty)).status_code == 503
        assert (await server.get("/healthz")).status_code == 200
