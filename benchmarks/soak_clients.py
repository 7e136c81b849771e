"""Clients of the soak test, which check every response."""

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

from tests.support import generation_data

_REFRESH_INTERVAL = 3.0
"""Seconds."""
_TIMEOUT = 100.0
"""Seconds to wait for a response: a lease may have to expire."""
_COUNT_QUERY = "query ($more: Int!) { countries(filter: {population: {gt: $more}}) { totalCount } }"
_MAX_SUBSCRIPTION_SECONDS = 7
"""Longest subscription, in seconds."""
_PROGRESS_SUBSCRIPTION = "subscription { refreshProgress { phase fraction message code } }"
_REFRESH_MUTATION = "mutation { refreshCountries { totalCountries } }"
_ACCEPTED_ERROR_CODES = {"DATABASE_UNAVAILABLE", "SOURCE_UNAVAILABLE", "REFRESH_IN_PROGRESS"}


@dataclass(slots=True)
class SoakClients:
    """Clients of one server, and what they received."""

    url: str
    stopped: threading.Event = field(default_factory=threading.Event)
    response_count: int = 0
    event_count: int = 0
    """Progress events received by subscribers."""
    refresh_outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    """Descriptions of unexpected responses."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the clients within the context."""
        targets = (self._send_repeated_queries, self._send_unique_queries, self._send_refreshes, self._follow_progress)
        threads = [threading.Thread(target=target, name=target.__name__) for target in targets]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()

    def _send_repeated_queries(self) -> None:
        """Repeat one query: the response is one generation of the data, never a mixture."""
        with self._client() as client:
            while not self.stopped.wait(0.02):
                with self._recording_failures("a query"):
                    response = client.get("/graphql", params={"query": generation_data.QUERY})
                    _expect(response.status_code == HTTPStatus.OK, response.status_code)
                    generation_data.parse_generation(response.content)
                    self.response_count += 1

    def _send_unique_queries(self) -> None:
        """Send queries that are new to the server, with a new connection for every 50."""
        query_number = 0
        while not self.stopped.is_set():
            with self._client() as client:
                for _ in range(50):
                    query_number += 1
                    body = {"query": _COUNT_QUERY, "variables": {"more": -query_number}}
                    with self._recording_failures("a query"):
                        response = client.post("/graphql", json=body)
                        expected = {"data": {"countries": {"totalCount": 250}}}
                        _expect(response.json() == expected, response.text)
                        self.response_count += 1
                    if self.stopped.wait(0.02):
                        return

    def _send_refreshes(self) -> None:
        """Refresh every few seconds: it succeeds or fails with an accepted error code."""
        with self._client() as client:
            while not self.stopped.wait(_REFRESH_INTERVAL):
                with self._recording_failures("a refresh"):
                    response = client.post("/graphql", json={"query": _REFRESH_MUTATION}).json()
                    errors = response.get("errors")
                    outcome = errors[0]["extensions"]["code"] if errors else "ok"
                    _expect(outcome in {"ok", *_ACCEPTED_ERROR_CODES}, response)
                    self.refresh_outcomes[outcome] += 1

    def _follow_progress(self) -> None:
        """Subscribe for some seconds; every other time disconnect without closing."""
        subscription_number = 0
        while not self.stopped.is_set():
            subscription_number += 1
            with self._recording_failures("a subscription"), self._subscribe() as connection:
                deadline = monotonic() + subscription_number % _MAX_SUBSCRIPTION_SECONDS + 0.5
                while monotonic() < deadline and not self.stopped.is_set():
                    with suppress(TimeoutError):
                        event = json.loads(connection.recv(timeout=0.5))
                        _expect(event["payload"].keys() == {"data"}, event)
                        self.event_count += 1
                if subscription_number % 2:
                    connection.socket.shutdown(SHUT_RDWR)

    @contextmanager
    def _subscribe(self) -> Iterator[ClientConnection]:
        url = f"{self.url.replace('http', 'ws', 1)}/graphql"
        protocol = Subprotocol("graphql-transport-ws")
        with connect(url, subprotocols=[protocol], proxy=None) as connection:
            connection.send(json.dumps({"type": "connection_init"}))
            _expect(json.loads(connection.recv())["type"] == "connection_ack", "no acknowledgement")
            subscribe_message = {"type": "subscribe", "id": "1", "payload": {"query": _PROGRESS_SUBSCRIPTION}}
            connection.send(json.dumps(subscribe_message))
            yield connection

    @contextmanager
    def _recording_failures(self, request_kind: str) -> Iterator[None]:
        try:
            yield
        except (AssertionError, httpx.HTTPError, KeyError, ValueError, WebSocketException) as error:
            self.failures.append(f"{request_kind}: {type(error).__name__} {error}")

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=False)


def _expect(is_expected: bool, actual: object) -> None:
    if not is_expected:
        raise AssertionError(actual)
