"""asyncmy connections that never skip TLS and never wait longer than their timeout."""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from asyncmy.connection import Connection
from asyncmy.constants import CLIENT, CR
from asyncmy.cursors import RE_INSERT_VALUES, Cursor
from asyncmy.errors import OperationalError

from graphql_api.storage.errors import TLSNotSupported
from graphql_api.utils.slices import end_slice, run_in_slices


class _AsyncmyCursor(Cursor):
    """A cursor that sends the rows of an INSERT in one statement.

    asyncmy's own holds up the event loop for 12 ms, while it escapes the values of 250 countries.
    """

    async def executemany(self, query: str, args: Sequence[Sequence[Any]]) -> int | None:
        """Escape the rows in slices, and execute them together."""
        match = RE_INSERT_VALUES.match(query)
        if match is None or not args:
            return await super().executemany(query, args)
        head, values, tail = match.groups()
        rows = await run_in_slices(partial(self._escape, values, args))
        return await self.execute(f"{head % ()}{rows}{tail}")

    def _escape(self, values: str, args: Sequence[Sequence[Any]]) -> str:
        rows = []
        for row in args:
            end_slice()
            rows.append(self.mogrify(values, row))
        return ",".join(rows)


class _AsyncmyConnection(Connection):
    """A connection with one time limit per statement.

    asyncmy's `read_timeout` is unused: it limits each packet, not the whole response, and it uses
    `asyncio.wait_for`, which can lose a cancellation up to Python 3.11.
    """

    # Missing in asyncmy's types.
    _transport: asyncio.Transport | None
    _ssl_context: ssl.SSLContext | None
    server_capabilities: int

    def __init__(self, *, timeout: float, **options: Any) -> None:  # noqa: ANN401 - asyncmy's own options
        super().__init__(**options)  # type: ignore[no-untyped-call] # asyncmy has no types here
        self._timeout = timeout

    async def query(self, sql: str, unbuffered: bool = False) -> int:
        """Send a statement and read the whole response within the timeout."""
        try:
            async with asyncio.timeout(self._timeout):
                pending = super().query(sql, unbuffered)  # type: ignore[no-untyped-call] # asyncmy has no types here
                affected_rows: int = await pending
                return affected_rows
        except TimeoutError as error:
            self.close()
            # SQLAlchemy drops a connection that fails with this code.
            raise OperationalError(CR.CR_SERVER_LOST, "The response took too long") from error

    async def ensure_closed(self) -> None:
        """Send the quit command and close, without the wait for the server: 30 s over TLS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await super().ensure_closed()
        self.close()

    def close(self) -> None:
        """Close the socket at once. Unsent data is lost."""
        # Before the regular close: asyncio keeps a TLS transport open that is closed twice.
        if self._transport is not None:
            self._transport.abort()
        super().close()

    async def _get_server_information(self) -> None:
        await super()._get_server_information()  # type: ignore[misc] # missing in its types
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            raise TLSNotSupported


async def connect(*, timeout: float, **options: Any) -> Connection:  # noqa: ANN401, ASYNC109 - asyncmy's; its own timeout leaves out the handshake
    """Open a connection, as `asyncmy.connect` does."""
    connection = _AsyncmyConnection(timeout=timeout, connect_timeout=timeout, cursor_cls=_AsyncmyCursor, **options)
    async with asyncio.timeout(timeout):
        try:
            await connection.connect()
        except RuntimeError as error:  # asyncmy's, for a socket that the server has closed
            raise ConnectionResetError("The server closed the connection on opening") from error
    return connection
