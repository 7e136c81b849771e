"""What asyncmy's connections lack: they never go without TLS, and never wait for a mute server."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from asyncmy.connection import Connection
from asyncmy.constants import CLIENT, CR
from asyncmy.errors import OperationalError

from graphql_api.storage.errors import TLSNotSupported


class _AsyncmyConnection(Connection):
    """asyncmy's connection.

    Its `read_timeout` is not used: it is for each packet, so that an answer may drip for ever, and
    waits by `asyncio.wait_for`, which up to Python 3.11 loses a cancellation now and then.
    """

    # What its types do not tell.
    _transport: asyncio.Transport | None
    _ssl_context: ssl.SSLContext | None
    server_capabilities: int

    def __init__(self, *, timeout: float, **options: Any) -> None:  # noqa: ANN401 - asyncmy's
        super().__init__(**options)  # type: ignore[no-untyped-call] # asyncmy has no types here
        self._timeout = timeout

    async def query(self, sql: str, unbuffered: bool = False) -> int:
        """Send a statement and read its answer, all of which must be there in time."""
        try:
            async with asyncio.timeout(self._timeout):
                pending = super().query(sql, unbuffered)  # type: ignore[no-untyped-call] # likewise
                affected_rows: int = await pending
                return affected_rows
        except TimeoutError as error:
            self.close()
            # By this code it is known that the connection is of no more use.
            raise OperationalError(CR.CR_SERVER_LOST, "The answer took too long") from error

    async def ensure_closed(self) -> None:
        """Take leave, without waiting for the server to do so: over TLS that would be 30 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await super().ensure_closed()
        self.close()

    def close(self) -> None:
        """Close the socket at once; what the server has not read so far is lost."""
        # First of all: of TLS that is closed for the second time asyncio would not let go.
        if self._transport is not None:
            self._transport.abort()
        super().close()

    async def _get_server_information(self) -> None:
        await super()._get_server_information()  # type: ignore[misc] # its types lack it
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise TLSNotSupported


async def connect(*, timeout: float, **options: Any) -> Connection:  # noqa: ANN401, ASYNC109 - asyncmy's; its own timeout leaves out the handshake
    """Return an open connection, as `asyncmy.connect` does."""
    connection = _AsyncmyConnection(timeout=timeout, connect_timeout=timeout, **options)
    async with asyncio.timeout(timeout):
        try:
            await connection.connect()
        except RuntimeError as error:  # asyncmy's, of a socket that has gone with its connection
            raise ConnectionResetError("The connection ended while it was opened") from error
    return connection
