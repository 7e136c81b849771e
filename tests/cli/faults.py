"""What may happen to a database server, seen from a process that uses it through a relay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers.process import Server
from tests.servers.relay import Relay


@dataclass(frozen=True)
class Fault:
    """A fault, and how it ends."""

    name: str
    begin: Callable[[Server, Relay], object]
    end: Callable[[Server, Relay], object]

    @contextmanager
    def on(self, server: Server, relay: Relay) -> Iterator[Callable[[], object]]:
        """Have the fault until what is lent is called, or the context ends."""
        self.begin(server, relay)
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self.end(server, relay)

        try:
            yield end
        finally:
            end()


def _refuse(_server: Server, relay: Relay) -> None:
    relay.refuse()
    relay.cut()


def _hang(_server: Server, relay: Relay) -> None:
    relay.hang = True


def _pass(_server: Server, relay: Relay) -> None:
    relay.hang = False


REFUSED = Fault("refused", _refuse, lambda _, relay: relay.accept())
HUNG = Fault("accepts, never answers", _hang, _pass)
CUT = Fault(
    "cut in mid-answer",
    lambda _, relay: relay.cut_after(from_server=20),
    lambda _, relay: relay.cut_after(),
)
STOPPED = Fault("stopped", lambda server, _: server.stop(), lambda server, _: server.start())
FROZEN = Fault("frozen", lambda server, _: server.pause(), lambda server, _: server.resume())


def row(*cells: object) -> str:
    """Return a row of a table, for the output of a test."""
    return f"| {' | '.join(map(str, cells))} |"
