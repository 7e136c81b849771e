"""Acceptance of connections: several in each turn of the event loop, and again after the system had no room."""

import asyncio
import errno
import socket
from contextlib import ExitStack, closing
from unittest.mock import Mock

import pytest
import uvloop

from graphql_api.server.acceptor import Acceptor


class Greeting(asyncio.Protocol):
    """Sends a greeting and closes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as all are here
        """Send it."""
        transport.write(b"hello")
        transport.close()


async def count_turns(clients: list[socket.socket]) -> int:
    """Return the turns of the event loop until every client has its greeting."""
    turns, missing = 0, set(clients)
    while missing and turns < 1000:
        await asyncio.sleep(0)
        turns += 1
        for client in list(missing):
            try:
                assert client.recv(5) == b"hello"
                missing.remove(client)
            except BlockingIOError:
                pass
    return turns


@pytest.mark.parametrize("new_event_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_turns(new_event_loop: type[asyncio.AbstractEventLoop]) -> None:
    """Thirty connections that wait are accepted in a few turns of the event loop; none is once it is closed."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            address = listener.getsockname()
            clients = [stack.enter_context(socket.create_connection(address)) for _ in range(30)]
            for client in clients:
                client.setblocking(False)
            acceptor = Acceptor(loop, listener, Greeting)
            assert await count_turns(clients) < 10
            acceptor.close()
            late = stack.enter_context(socket.create_connection(address))
            late.setblocking(False)
            assert await count_turns([late]) == 1000

    loop = new_event_loop()
    with closing(loop):
        loop.run_until_complete(run())


@pytest.mark.asyncio
async def test_no_room(caplog: pytest.LogCaptureFixture) -> None:
    """If the system has no room for a connection, that is logged once, and the next attempt is a second later."""
    listener = Mock(spec=socket.socket)
    listener.accept.side_effect = [ConnectionAbortedError, OSError(errno.EMFILE, "Too many open files")]
    loop = Mock(spec=asyncio.AbstractEventLoop)
    Acceptor(loop, listener, Greeting)
    [(reader, accept)] = [call.args for call in loop.add_reader.call_args_list]
    assert reader is listener
    accept()  # a client that has gone
    assert (loop.remove_reader.call_count, caplog.messages) == (0, [])
    accept()
    loop.remove_reader.assert_called_once_with(listener)
    assert caplog.messages == ["Cannot accept connections: Too many open files. Trying again in 1 s."]
    [(seconds, start)] = [call.args for call in loop.call_later.call_args_list]
    start()
    assert (seconds, loop.add_reader.call_count) == (1.0, 2)
