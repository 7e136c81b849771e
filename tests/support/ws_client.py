"""A client of graphql-transport-ws, over real WebSockets."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from tests.support.processes import Process
from tests.support.wait import WAIT_TIMEOUT

SUBPROTOCOL = "graphql-transport-ws"
PROGRESS = (
    "subscription { refreshProgress { refreshId phase fraction elapsedMs message code report { id totalCountries } } }"
)
REFRESH = "mutation { refreshCountries { id totalCountries } }"


@dataclass(frozen=True)
class WebSocketClient:
    """A connection to a server."""

    connection: ClientConnection

    async def send(self, message: object) -> None:
        """Send a message: text and bytes unchanged, anything else as JSON."""
        if not isinstance(message, str | bytes):
            message = json.dumps(message)
        await self.connection.send(message)

    def send_together(self, messages: Iterable[object]) -> None:
        """Send messages in one packet."""
        for message in messages:
            self.connection.protocol.send_text(json.dumps(message).encode())
        self.connection.transport.write(b"".join(self.connection.protocol.data_to_send()))

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def subscribe(self, document: str | None, operation_id: str = "1", **payload: object) -> None:
        """Start an operation. Without a document, the payload has its id."""
        await self.send({"type": "subscribe", "id": operation_id, "payload": {"query": document, **payload}})

    async def receive_next(self, operation_id: str = "1") -> Any:  # noqa: ANN401 - JSON
        """Return the next result of an operation."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (operation_id, "next"), message
        return message["payload"]

    async def execute(self, document: str, operation_id: str = "1") -> Any:  # noqa: ANN401 - JSON
        """Return the only result of an operation."""
        await self.subscribe(document, operation_id)
        payload = await self.receive_next(operation_id)
        assert await self.receive() == {"id": operation_id, "type": "complete"}
        return payload

    async def receive_progress(self, operation_id: str = "1") -> dict[str, Any]:
        """Return the next event of a subscription to progress."""
        event: dict[str, Any] = (await self.receive_next(operation_id))["data"]["refreshProgress"]
        return event

    async def receive_until_done(self, operation_id: str = "1") -> list[dict[str, Any]]:
        """Return the events up to the end of a refresh."""
        events = [await self.receive_progress(operation_id)]
        while events[-1]["phase"] not in {"DONE", "FAILED"}:
            events.append(await self.receive_progress(operation_id))
        return events

    async def receive_close(self) -> tuple[int, str]:
        """Return code and reason of the server's close; no message may come before it."""
        try:
            message = await self.connection.recv()
        except ConnectionClosed:
            return self.connection.close_code or 0, self.connection.close_reason or ""
        raise AssertionError(message)


@asynccontextmanager
async def open_websocket(
    server: Process | str,
    *,
    subprotocols: Sequence[str] = (SUBPROTOCOL,),
    origin: str | None = None,
    path: str = "/graphql",
    host_name: str | None = None,
    **headers: str,
) -> AsyncIterator[WebSocketClient]:
    """Connect to a server, under `host_name` if there is one, without sending a message."""
    url = urlsplit(server if isinstance(server, str) else server.url)
    async with connect(
        f"ws://{host_name or url.hostname}:{url.port}{url.path}{path}",
        host=url.hostname,
        port=url.port,
        subprotocols=[Subprotocol(subprotocol) for subprotocol in subprotocols] or None,
        origin=None if origin is None else Origin(origin),
        additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
        proxy=None,
        compression=None,
        open_timeout=WAIT_TIMEOUT,
        ping_interval=None,
        max_size=None,
    ) as connection:
        yield WebSocketClient(connection)


@asynccontextmanager
async def websocket_client(
    server: Process | str,
    payload: Mapping[str, object] | None = None,
    *,
    subprotocols: Sequence[str] = (SUBPROTOCOL,),
    origin: str | None = None,
    host_name: str | None = None,
    **headers: str,
) -> AsyncIterator[WebSocketClient]:
    """Connect to a server, and initialise the connection."""
    async with open_websocket(
        server, subprotocols=subprotocols, origin=origin, host_name=host_name, **headers
    ) as client:
        await client.send({"type": "connection_init", "payload": payload})
        assert await client.receive() == {"type": "connection_ack"}
        yield client
