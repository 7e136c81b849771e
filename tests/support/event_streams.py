"""A client of GraphQL over Server-Sent Events."""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.http_client import NO_AUTHORITIES
from tests.support.processes import Process
from tests.support.wait import WAIT_TIMEOUT

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class EventStream:
    """A response that streams events."""

    response: httpx.Response
    _blocks: AsyncIterator[str]

    async def receive(self) -> tuple[str, Any]:
        """Return name and data of the next event, parsed as browsers do. A comment is an event without a name."""
        fields: dict[str, str] = {}
        for line in (await anext(self._blocks)).splitlines():
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        data: Any = json.loads(fields.get("data") or "null")
        return fields.get("event", ""), data

    async def receive_progress(self) -> dict[str, Any]:
        """Return the next event of a subscription to progress; comments are skipped."""
        name, data = await self.receive()
        while not name:
            name, data = await self.receive()
        assert name == "next", data
        event: dict[str, Any] = data["data"]["refreshProgress"]
        return event

    async def is_ended(self) -> bool:
        """Wait for what is left of a response that has to end properly; return whether no event is in it."""
        return not [block async for block in self._blocks if block != ":"]


@asynccontextmanager
async def open_event_stream(
    server: Process | str,
    document: str,
    *,
    method: str = "POST",
    verify: ssl.SSLContext = NO_AUTHORITIES,
    **headers: str,
) -> AsyncIterator[EventStream]:
    """Send an operation, and yield the stream of its events."""
    url = server if isinstance(server, str) else server.url
    request_headers = {"Accept": EVENT_STREAM, **{name.replace("_", "-"): value for name, value in headers.items()}}
    fields = {"query": document}
    payload: dict[str, Any] = {"json": fields} if method == "POST" else {"params": fields}
    async with (
        httpx.AsyncClient(timeout=WAIT_TIMEOUT, trust_env=False, verify=verify) as client,
        client.stream(method, f"{url}/graphql", headers=request_headers, **payload) as response,
    ):
        yield EventStream(response, _split_blocks(response))


async def _split_blocks(response: httpx.Response) -> AsyncIterator[str]:
    text = ""
    async for chunk in response.aiter_text():
        text += chunk
        while "\n\n" in text:
            block, _, text = text.partition("\n\n")
            yield block
    assert text == ""
