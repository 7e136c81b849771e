"""Clients of a server among faults, who judge every answer."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import SHUT_RDWR
from time import monotonic

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests import generations

_REFRESH_EVERY = 3.0
"""Seconds."""
_PATIENCE = 100.0
"""Seconds that an answer is waited for: a lease may have to run out."""
_PAGE = "query ($more: Int!) { countries(filter: {population: {gt: $more}}) { totalCount } }"
_LONGEST_WATCH = 7
"""Seconds, roughly, that a subscriber stays."""
_PROGRESS = "subscription { refreshProgress { phase fraction message code } }"
_REFRESH = "mutation { refreshCountries { totalCountries } }"
_REFUSALS = {"DATABASE_UNAVAILABLE", "SOURCE_UNAVAILABLE", "REFRESH_IN_PROGRESS"}


@dataclass(slots=True)
class Clients:
    """Who asks the server, and what they have had."""

    url: str
    stopped: threading.Event = field(default_factory=threading.Event)
    answers: int = 0
    events: int = 0
    """Of refreshes, told to subscribers."""
    refreshes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What must not be, in words."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask for as long as the context lasts."""
        works = (self._repeat, self._vary, self._refresh, self._watch)
        threads = [threading.Thread(target=work, name=work.__name__) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()

    def _repeat(self) -> None:
        """Ask the same again and again: it is one of the generations, never a mixture."""
        with self._client() as client:
            while not self.stopped.wait(0.02):
                with self._judged("a query"):
                    answer = client.get("/graphql", params={"query": generations.QUERY})
                    _expect(answer.status_code == HTTPStatus.OK, answer.status_code)
                    generations.of(answer.content)
                    self.answers += 1

    def _vary(self) -> None:
        """Ask what nobody has asked before, now and then over a connection of its own."""
        number = 0
        while not self.stopped.is_set():
            with self._client() as client:
                for _ in range(50):
                    number += 1
                    body = {"query": _PAGE, "variables": {"more": -number}}
                    with self._judged("a query"):
                        answer = client.post("/graphql", json=body)
                        expected = {"data": {"countries": {"totalCount": 250}}}
                        _expect(answer.json() == expected, answer.text)
                        self.answers += 1
                    if self.stopped.wait(0.02):
                        return

    def _refresh(self) -> None:
        """Refresh every few seconds: it succeeds, or is refused with a code that says why."""
        with self._client() as client:
            while not self.stopped.wait(_REFRESH_EVERY):
                with self._judged("a refresh"):
                    answer = client.post("/graphql", json={"query": _REFRESH}).json()
                    errors = answer.get("errors")
                    outcome = errors[0]["extensions"]["code"] if errors else "ok"
                    _expect(outcome in {"ok", *_REFUSALS}, answer)
                    self.refreshes[outcome] += 1

    def _watch(self) -> None:
        """Subscribe for some seconds, and go away, in turn with a farewell and without."""
        number = 0
        while not self.stopped.is_set():
            number += 1
            with self._judged("a subscription"), self._subscribed() as connection:
                end = monotonic() + number % _LONGEST_WATCH + 0.5
                while monotonic() < end and not self.stopped.is_set():
                    with suppress(TimeoutError):
                        event = json.loads(connection.recv(timeout=0.5))
                        _expect(event["payload"].keys() == {"data"}, event)
                        self.events += 1
                if number % 2:
                    connection.socket.shutdown(SHUT_RDWR)

    @contextmanager
    def _subscribed(self) -> Iterator[ClientConnection]:
        url = f"{self.url.replace('http', 'ws', 1)}/graphql"
        protocol = Subprotocol("graphql-transport-ws")
        with connect(url, subprotocols=[protocol], proxy=None) as connection:
            connection.send(json.dumps({"type": "connection_init"}))
            _expect(json.loads(connection.recv())["type"] == "connection_ack", "no answer")
            subscribe = {"type": "subscribe", "id": "1", "payload": {"query": _PROGRESS}}
            connection.send(json.dumps(subscribe))
            yield connection

    @contextmanager
    def _judged(self, what: str) -> Iterator[None]:
        try:
            yield
        except (AssertionError, httpx.HTTPError, KeyError, ValueError, WebSocketException) as error:
            self.wrong.append(f"{what}: {type(error).__name__} {error}")

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=_PATIENCE, trust_env=False)


def _expect(is_right: bool, found: object) -> None:
    if not is_right:
        raise AssertionError(found)
