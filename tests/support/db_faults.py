"""What may happen to a database server, seen from a process that uses it through a relay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.db_servers.process import DatabaseServer
from tests.support.tcp_proxy import TCPProxy


@dataclass(frozen=True)
class DatabaseFault:
    """A fault, and how it ends."""

    name: str
    begin: Callable[[DatabaseServer, TCPProxy], object]
    end: Callable[[DatabaseServer, TCPProxy], object]

    @contextmanager
    def inject(self, server: DatabaseServer, proxy: TCPProxy) -> Iterator[Callable[[], object]]:
        """Have the fault until what is lent is called, or the context ends."""
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
HUNG = DatabaseFault("accepts, never answers", _hang_connections, _resume_connections)
CUT = DatabaseFault(
    "cut in mid-answer",
    lambda _, proxy: proxy.cut_after(from_server=20),
    lambda _, proxy: proxy.cut_after(),
)
STOPPED = DatabaseFault(
    "stopped", lambda server, _: server.stop(), lambda server, _: server.start()
)
FROZEN = DatabaseFault(
    "frozen", lambda server, _: server.pause(), lambda server, _: server.resume()
)


def markdown_row(*cells: object) -> str:
    """Return a row of a table, for the output of a test."""
    return f"| {' | '.join(map(str, cells))} |"
