"""Speaking graphql-transport-ws to a real server, with a client library that knows WebSockets."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from tests.cli.running import PATIENCE, Process

PROTOCOL = "graphql-transport-ws"
PROGRESS = (
    "subscription { refreshProgress "
    "{ refreshId phase fraction elapsedMs message code report { id totalCountries } } }"
)
REFRESH = "mutation { refreshCountries { id totalCountries } }"


@dataclass(frozen=True)
class Talk:
    """A conversation with a server."""

    connection: ClientConnection

    async def say(self, message: object) -> None:
        """Send a message: text and bytes as they are, anything else as JSON."""
        if not isinstance(message, str | bytes):
            message = json.dumps(message)
        await self.connection.send(message)

    async def hear(self) -> dict[str, Any]:
        """Return the next message."""
        message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def begin(self, document: str, key: str = "1", **payload: object) -> None:
        """Ask for an operation."""
        await self.say({"type": "subscribe", "id": key, "payload": {"query": document, **payload}})

    async def answer(self, key: str = "1") -> Any:  # noqa: ANN401 - JSON
        """Return what comes next of an operation."""
        message = await self.hear()
        assert (message["id"], message["type"]) == (key, "next"), message
        return message["payload"]

    async def ask(self, document: str, key: str = "1") -> Any:  # noqa: ANN401 - JSON
        """Return the answer to an operation that is answered once."""
        await self.begin(document, key)
        answer = await self.answer(key)
        assert await self.hear() == {"id": key, "type": "complete"}
        return answer

    async def progress(self, key: str = "1") -> dict[str, Any]:
        """Return the next event of a subscription to progress."""
        event: dict[str, Any] = (await self.answer(key))["data"]["refreshProgress"]
        return event

    async def to_the_end(self, key: str = "1") -> list[dict[str, Any]]:
        """Return the events up to the end of a refresh."""
        events = [await self.progress(key)]
        while events[-1]["phase"] not in {"DONE", "FAILED"}:
            events.append(await self.progress(key))
        return events

    async def closed(self) -> tuple[int, str]:
        """Return by which code and why the server closes the connection, which says no more."""
        try:
            said = await self.connection.recv()
        except ConnectionClosed:
            return self.connection.close_code or 0, self.connection.close_reason or ""
        raise AssertionError(said)


@asynccontextmanager
async def connected(
    server: Process | str,
    *,
    subprotocols: Sequence[str] = (PROTOCOL,),
    origin: str | None = None,
    path: str = "/graphql",
    **headers: str,
) -> AsyncIterator[Talk]:
    """Connect to a server, and say nothing yet."""
    url = server if isinstance(server, str) else server.url
    async with connect(
        url.replace("http", "ws", 1) + path,
        subprotocols=[Subprotocol(one) for one in subprotocols] or None,
        origin=None if origin is None else Origin(origin),
        additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
        proxy=None,
        compression=None,
        open_timeout=PATIENCE,
        ping_interval=None,
        max_size=None,
    ) as connection:
        yield Talk(connection)


@asynccontextmanager
async def talking(
    server: Process | str,
    payload: Mapping[str, object] | None = None,
    *,
    subprotocols: Sequence[str] = (PROTOCOL,),
    origin: str | None = None,
    **headers: str,
) -> AsyncIterator[Talk]:
    """Connect to a server, and say hello."""
    async with connected(server, subprotocols=subprotocols, origin=origin, **headers) as talk:
        await talk.say({"type": "connection_init", "payload": payload})
        assert await talk.hear() == {"type": "connection_ack"}
        yield talk
