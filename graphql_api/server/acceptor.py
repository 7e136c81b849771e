"""Acceptance of connections: of all that wait, several in each turn of the event loop.

uvloop accepts one in each turn. If turns take long, new connections wait for as many of them.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

_MAX_ACCEPTED = 32
"""Connections accepted in one turn from one listener, so that other workers get some of a burst."""
_RETRY_AFTER = 1.0
"""Seconds without accepting after the system had no resources for a connection."""


class Acceptor:
    """Accepts connections from a listener until it is closed."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: socket.socket, create_protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._create_protocol = create_protocol
        self._opening = set[asyncio.Task[object]]()
        """Connections that do not have their protocol yet."""
        self._retry: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._start()

    def close(self) -> None:
        """Accept no more. The listener stays open."""
        self._loop.remove_reader(self._listener)
        if self._retry is not None:
            self._retry.cancel()

    async def wait_closed(self) -> None:
        """Wait until accepted connections have their protocols."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _start(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        # Those without a protocol are beyond MAX_CONNECTIONS: were there more, files would run out.
        for _ in range(_MAX_ACCEPTED - len(self._opening)):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                logger.warning("Cannot accept connections: %s. Trying again in %g s.", error.strerror, _RETRY_AFTER)
                self._loop.remove_reader(self._listener)
                self._retry = self._loop.call_later(_RETRY_AFTER, self._start)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._open(connection))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        await self._loop.connect_accepted_socket(self._create_protocol, connection)
