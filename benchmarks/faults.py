"""Random faults of the network, the database and the sources, reproducible by a seed."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from tests.support.fake_providers.server import HTML, FakeResponse
from tests.support.generation_data import GenerationData
from tests.support.tcp_proxy import TCPProxy

_PAUSE_RANGE = (0.5, 4.0)
"""Shortest and longest pause between two faults, in seconds."""
_DURATION_RANGE = (0.2, 3.0)
"""Shortest and longest fault, in seconds."""

Fault = Callable[[], AbstractContextManager[None]]


def _database_faults(proxy: TCPProxy) -> Mapping[str, Fault]:
    """Return faults of the network to the database, by name. Each lasts as long as its context."""

    @contextmanager
    def add_latency() -> Iterator[None]:
        proxy.delay = 0.25
        yield
        proxy.delay = 0

    @contextmanager
    def hang() -> Iterator[None]:
        proxy.hang = True
        yield
        proxy.hang = False

    @contextmanager
    def throttle() -> Iterator[None]:
        proxy.bytes_per_second = 20_000
        yield
        proxy.bytes_per_second = None

    @contextmanager
    def reset_connections() -> Iterator[None]:
        proxy.cut()
        yield

    @contextmanager
    def refuse_connections() -> Iterator[None]:
        proxy.refuse()
        proxy.cut()
        yield
        proxy.accept()

    faults = {
        "far": add_latency,
        "hung": hang,
        "dripping": throttle,
        "cut": reset_connections,
        "refused": refuse_connections,
    }
    return {f"database {name}": fault for name, fault in faults.items()}


def _source_faults(sources: GenerationData) -> Mapping[str, Fault]:
    """Return faults of the sources, by name."""

    def responding(response: FakeResponse) -> Fault:
        @contextmanager
        def fault() -> Iterator[None]:
            sources.upstream.set_responses("countries", response)
            sources.upstream.set_responses("rates", response)
            yield
            sources.activate()

        return fault

    responses = {
        "down": FakeResponse(status=503),
        "nonsense": FakeResponse(body=HTML),
        "mute": FakeResponse(hold_until=lambda: False),
        "cut": FakeResponse(body=HTML * 100, cut_after=1000, reset=True),
        "late": FakeResponse(body=HTML, delay=1),
    }
    return {f"sources {name}": responding(response) for name, response in responses.items()}


def inject_faults(
    sources: GenerationData,
    proxy: TCPProxy | None,
    *,
    seed: int,
    stopped: threading.Event,
    on_fault: Callable[[str], None],
) -> None:
    """Inject random faults until stopped. Without a proxy, only sources have faults."""
    faults = {**_source_faults(sources), **(_database_faults(proxy) if proxy else {})}
    rng = random.Random(seed)  # noqa: S311 - no secret
    while not stopped.wait(rng.uniform(*_PAUSE_RANGE)):
        name = rng.choice(sorted(faults))
        on_fault(name)
        with faults[name]():
            stopped.wait(rng.uniform(*_DURATION_RANGE))
