"""Wrong tokens: bounded lines in the log, a pause that grows for one address, and bounded memory."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from graphql_api.http.forwarded import group_address
from graphql_api.http.wrong_tokens import WrongTokens


@dataclass
class Time:
    """A clock that only the test moves, and the functions that wait for it."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    is_stuck: bool = False
    """True if sleeping never ends."""

    async def sleep(self, seconds: float) -> None:
        """Note the seconds, and return at once unless stuck."""
        self.slept.append(seconds)
        if self.is_stuck:
            await asyncio.Event().wait()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Note what is due."""
        self.due.append((seconds, callback))

    def run_due(self) -> None:
        """Run all that is due."""
        due, self.due = self.due, []
        for _, callback in due:
            callback()


@pytest.fixture
def time() -> Time:
    """Return the time of a test."""
    return Time()


@pytest.fixture
def tokens(time: Time) -> WrongTokens:
    """Return a counter that has counted nothing."""
    return WrongTokens(clock=lambda: time.now, sleep=time.sleep, call_later=time.call_later)


def test_pauses_grow(time: Time, tokens: WrongTokens) -> None:
    """The first ten of an address wait for nothing, then each waits twice as long, up to ten seconds."""
    pauses = [tokens.record("id", "192.0.2.1", "deleteCountry") for _ in range(20)]
    assert pauses == [0.0] * 10 + [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
    assert tokens.record("id", "192.0.2.2", "deleteCountry") == 0.0
    time.now = 600.0
    assert tokens.record("id", "192.0.2.1", "deleteCountry") == 10.0
    time.now = 1200.1
    assert tokens.record("id", "192.0.2.1", "deleteCountry") == 0.0


def test_ipv6_networks(tokens: WrongTokens) -> None:
    """The addresses of one IPv6 network are one client, as a client chooses freely among them."""
    pauses = [tokens.record("id", f"2001:db8::{index}", "deleteCountry") for index in range(11)]
    assert pauses == [0.0] * 10 + [0.1]
    assert tokens.record("id", "2001:db8:0:1::1", "deleteCountry") == 0.0
    assert group_address("fe80::1%eth0") == "fe80::/64"
    assert [group_address(text) for text in ("192.0.2.1", "", "testclient", "a:b")] == [
        "192.0.2.1",
        "",
        "testclient",
        "a:b",
    ]


def test_lines(time: Time, tokens: WrongTokens, caplog: pytest.LogCaptureFixture) -> None:
    """18,450 wrong tokens are one line, and one more for each minute in which there were some."""
    caplog.set_level(logging.INFO)
    for index in range(18_450):
        tokens.record(f"id{index}", "192.0.2.1", "deleteCountry")
    tokens.record("other", "192.0.2.2", "deleteCountry")
    [(seconds, _)] = time.due
    time.run_due()
    assert seconds == 60.0
    assert caplog.messages == [
        "Request id0 from 192.0.2.1 has a wrong token for deleteCountry.",
        "Request other from 192.0.2.2 has a wrong token for deleteCountry.",
        "18449 more wrong tokens in the last 60 s, from at least 1 addresses; most of them, 18449, from 192.0.2.1.",
    ]
    assert time.due == []
    caplog.clear()
    tokens.record("next", "192.0.2.1", "deleteCountry")
    time.run_due()
    assert caplog.messages == [
        "1 more wrong tokens in the last 60 s, from at least 1 addresses; most of them, 1, from 192.0.2.1."
    ]


def test_many_addresses(time: Time, tokens: WrongTokens, caplog: pytest.LogCaptureFixture) -> None:
    """Of many addresses ten have a line; the most recent 10,000 are remembered."""
    for index in range(30_000):
        tokens.record("id", f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}", "deleteCountry")
    time.run_due()
    assert len(caplog.messages) == 11
    assert caplog.messages[-1].startswith("29990 more wrong tokens in the last 60 s, from at least 10000 addresses;")


@pytest.mark.asyncio
async def test_waiting_responses_are_bounded(time: Time, tokens: WrongTokens) -> None:
    """A hundred responses wait at a time, the others do not; each one that ends lets another wait."""
    time.is_stuck = True
    tasks = [asyncio.create_task(tokens.pause("id", "192.0.2.1", "deleteCountry")) for _ in range(200)]
    done, waiting = await asyncio.wait(tasks, timeout=0.05)
    assert (len(done), len(waiting), len(time.slept)) == (100, 100, 100)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    another = asyncio.create_task(tokens.pause("id", "192.0.2.1", "deleteCountry"))
    await asyncio.sleep(0)
    assert len(time.slept) == 101
    for task in (*waiting, another):
        task.cancel()
