"""Bases of every server that a test starts: it runs while a context lasts."""

import asyncio
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest

from tests.support.wait import WAIT_TIMEOUT


class Server(ABC):
    """A server that runs while its context lasts."""

    @abstractmethod
    def _open(self, stack: ExitStack) -> None:
        """Start the server; register on `stack` how each started part ends."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class ThreadServer(Server):
    """A server on an event loop of its own, in a thread of its own."""

    def _open(self, stack: ExitStack) -> None:
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)
        self._thread.start()
        stack.callback(self._thread.join)
        stack.callback(self._loop.call_soon_threadsafe, self._stopped.set)

    def _run(self) -> None:
        # Leaving the runner cancels every task, so a test may end while a connection is held.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        """Serve until `_stopped` is set."""
        await self._stopped.wait()

    def _run_in_loop(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run a coroutine on the server's loop, and wait for its end; call it from any thread."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_TIMEOUT)


@contextmanager
def running_http_server(handler: type[BaseHTTPRequestHandler], address: str = "127.0.0.1") -> Iterator[int]:
    """Serve HTTP with a handler class, in a thread; yields the port."""

    class AddressServer(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    with AddressServer((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """Return a free port below the range that the system assigns to outgoing connections."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _has_ipv6() -> bool:
    """Return whether this machine has the loopback address of IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


NEEDS_IPV6 = pytest.mark.skipif(not _has_ipv6(), reason="enable IPv6 on the loopback interface")
"""Marks a test that connects to the loopback address of IPv6."""
