"""What asyncmy's connections lack: they never go without TLS, and never wait for a mute server."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from asyncmy.connection import Connection
from asyncmy.constants import CLIENT

from graphql_api.storage.failures import NoTls


class _Connection(Connection):
    """asyncmy's connection."""

    # What its types do not tell.
    _transport: asyncio.Transport | None
    _ssl_context: ssl.SSLContext | None
    server_capabilities: int

    async def ensure_closed(self) -> None:
        """Take leave, without waiting for the server to do so: over TLS that would be 30 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await super().ensure_closed()
        self.close()

    def close(self) -> None:
        """Close the socket at once; what the server has not read so far is lost."""
        transport = self._transport
        super().close()
        if transport is not None:
            transport.abort()

    async def _get_server_information(self) -> None:
        await super()._get_server_information()  # type: ignore[misc]
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise NoTls


async def connect(*, timeout: float, **options: Any) -> Connection:  # noqa: ANN401, ASYNC109 - asyncmy's; its own timeouts leave out the handshake of TLS
    """Return an open connection, as `asyncmy.connect` does."""
    connection = _Connection(**options)  # type: ignore[no-untyped-call]
    async with asyncio.timeout(timeout):
        await connection.connect()
    return connection
