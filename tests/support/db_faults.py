"""Faults of a database server, as a process sees them that connects through a proxy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.db_servers.process import DatabaseServer
from tests.support.tcp_proxy import TCPProxy


@dataclass(frozen=True)
class DatabaseFault:
    """A fault: how to begin it, and how to end it."""

    name: str
    begin: Callable[[DatabaseServer, TCPProxy], object]
    end: Callable[[DatabaseServer, TCPProxy], object]

    @contextmanager
    def inject(self, server: DatabaseServer, proxy: TCPProxy) -> Iterator[Callable[[], object]]:
        """Begin the fault; end it when the yielded function is called or the context ends."""
        self.begin(server, proxy)
        has_ended = False

        def end() -> None:
            nonlocal has_ended
            if not has_ended:
                has_ended = True
                self.end(server, proxy)

        try:
            yield end
        finally:
            end()


def _refuse_connections(_server: DatabaseServer, proxy: TCPProxy) -> None:
    proxy.refuse()
    proxy.cut()


def _hang_connections(_server: DatabaseServer, proxy: TCPProxy) -> None:
    proxy.hang = True


def _resume_connections(_server: DatabaseServer, proxy: TCPProxy) -> None:
    proxy.hang = False


REFUSED = DatabaseFault("refused", _refuse_connections, lambda _, proxy: proxy.accept())
HUNG = DatabaseFault("accepts, never responds", _hang_connections, _resume_connections)
CUT = DatabaseFault(
    "cut within a response", lambda _, proxy: proxy.cut_after(from_server=20), lambda _, proxy: proxy.cut_after()
)
STOPPED = DatabaseFault("stopped", lambda server, _: server.stop(), lambda server, _: server.start())
FROZEN = DatabaseFault("frozen", lambda server, _: server.pause(), lambda server, _: server.resume())


def markdown_row(*cells: object) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"
