"""Faults of the network, the database and the sources, by chance that can be had again."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from tests.generations import Generations
from tests.servers.relay import Relay
from tests.upstream.server import HTML, Answer

_PAUSES = (0.5, 4.0)
"""Seconds, at least and at most, between two faults."""
_LENGTHS = (0.2, 3.0)
"""Seconds that one lasts."""

Fault = Callable[[], AbstractContextManager[None]]


def _of_database(relay: Relay) -> Mapping[str, Fault]:
    """Return what a network may do, by name; while the context lasts, it does."""

    @contextmanager
    def far() -> Iterator[None]:
        relay.delay = 0.25
        yield
        relay.delay = 0

    @contextmanager
    def hung() -> Iterator[None]:
        relay.hang = True
        yield
        relay.hang = False

    @contextmanager
    def dripping() -> Iterator[None]:
        relay.drip = 20_000
        yield
        relay.drip = None

    @contextmanager
    def cut() -> Iterator[None]:
        relay.cut()
        yield

    @contextmanager
    def refused() -> Iterator[None]:
        relay.refuse()
        relay.cut()
        yield
        relay.accept()

    kinds = {"far": far, "hung": hung, "dripping": dripping, "cut": cut, "refused": refused}
    return {f"database {name}": fault for name, fault in kinds.items()}


def _of_sources(sources: Generations) -> Mapping[str, Fault]:
    """Return what sources may do, by name."""

    def answering(answer: Answer) -> Fault:
        @contextmanager
        def fault() -> Iterator[None]:
            sources.upstream.answer("countries", answer)
            sources.upstream.answer("rates", answer)
            yield
            sources.play()

        return fault

    kinds = {
        "down": Answer(status=503),
        "nonsense": Answer(body=HTML),
        "mute": Answer(until=lambda: False),
        "cut": Answer(body=HTML * 100, cut=1000, reset=True),
        "late": Answer(body=HTML, delay=1),
    }
    return {f"sources {name}": answering(answer) for name, answer in kinds.items()}


def play(
    sources: Generations,
    relay: Relay | None,
    *,
    seed: int,
    stopped: threading.Event,
    tell: Callable[[str], None],
) -> None:
    """Play one fault after the other, without a relay those of the sources alone, until stopped."""
    faults = {**_of_sources(sources), **(_of_database(relay) if relay else {})}
    chance = random.Random(seed)  # noqa: S311 - no secret
    while not stopped.wait(chance.uniform(*_PAUSES)):
        name = chance.choice(sorted(faults))
        tell(name)
        with faults[name]():
            stopped.wait(chance.uniform(*_LENGTHS))
