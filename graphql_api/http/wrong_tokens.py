"""Wrong tokens: a line in the log, a summary each minute, and a pause that grows with those of one address."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass

from graphql_api.http.forwarded import group_address
from graphql_api.logging import extra_fields
from graphql_api.utils.backoff import backoff_delay
from graphql_api.utils.lru import LRUCache

logger = logging.getLogger(__name__)

_FREE_ATTEMPTS = 10
"""Wrong tokens of an address before the first pause, for mistakes."""
_FIRST_PAUSE, _MAX_PAUSE = 0.1, 10.0
"""Seconds that the response to a wrong token waits. Each one doubles the pause."""
_MAX_PAUSED = 100
"""Responses that wait at a time. Beyond that they are sent at once, so that they hold few connections."""
_FORGET_AFTER = 600.0
"""Seconds without a wrong token after which the count of an address is zero again."""
_MAX_ADDRESSES = 10_000
"""Addresses remembered, the most recent ones."""
_SUMMARY_INTERVAL = 60.0
_MAX_LINES = 10
"""Lines of an interval about an address's first wrong token. More of them only count for the summary."""


@dataclass(slots=True, eq=False)
class _AddressHistory:
    count: int = 0
    """Wrong tokens."""
    last_at: float = 0.0
    """Monotonic time of the last one."""
    unlogged: int = 0
    """Those that the next summary has to report."""


def _call_later(seconds: float, callback: Callable[[], None]) -> None:
    # A context of its own: the summary is not about the request that it follows.
    asyncio.get_running_loop().call_later(seconds, callback, context=Context())


class WrongTokens:
    """Counts the wrong tokens of each client's address."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        call_later: Callable[[float, Callable[[], None]], None] = _call_later,
    ) -> None:
        """Count none yet. `call_later` calls a function after some seconds, for the summaries."""
        self._clock = clock
        self._sleep = sleep
        self._call_later = call_later
        self._histories = LRUCache[str, _AddressHistory](_MAX_ADDRESSES)
        self._paused = 0
        self._lines: int | None = None
        """Lines logged in this interval; None if no summary is due."""
        self._unlogged = 0

    async def pause(self, request_id: str, client: str | None, act: str) -> None:
        """Log a wrong token and the act that it was for, and wait as long as its response has to."""
        seconds = self.record(request_id, client, act)
        if seconds and self._paused < _MAX_PAUSED:
            self._paused += 1
            try:
                await self._sleep(seconds)
            finally:
                self._paused -= 1

    def record(self, request_id: str, client: str | None, act: str) -> float:
        """Log or count a wrong token. Return the seconds that its response has to wait."""
        address = group_address(client or "")
        history, now = self._histories.get(address), self._clock()
        if history is None or now - history.last_at > _FORGET_AFTER:
            history = _AddressHistory()
            self._histories.put(address, history)
        history.count, history.last_at = history.count + 1, now
        self._log(history, request_id, client, act)
        attempt = history.count - _FREE_ATTEMPTS - 1
        return 0.0 if attempt < 0 else backoff_delay(attempt, initial=_FIRST_PAUSE, maximum=_MAX_PAUSE, jitter=1)

    def _log(self, history: _AddressHistory, request_id: str, client: str | None, act: str) -> None:
        if self._lines is None:
            self._lines = 0
            self._call_later(_SUMMARY_INTERVAL, self._summarize)
        if history.count == 1 and self._lines < _MAX_LINES:
            self._lines += 1
            fields = extra_fields(request_id=request_id, client=client, act=act)
            logger.warning("Request %s from %s has a wrong token for %s.", request_id, client, act, extra=fields)
        else:
            history.unlogged += 1
            self._unlogged += 1

    def _summarize(self) -> None:
        """Log the wrong tokens that have no line of their own."""
        self._lines = None
        if not self._unlogged:
            return
        unlogged = {address: history for address, history in self._histories.items() if history.unlogged}
        address = max(unlogged, key=lambda address: unlogged[address].unlogged)
        fields = extra_fields(count=self._unlogged, addresses=len(unlogged), client=address)
        message = "%d more wrong tokens in the last %g s, from at least %d addresses; most of them, %d, from %s."
        details = (self._unlogged, _SUMMARY_INTERVAL, len(unlogged), unlogged[address].unlogged, address)
        logger.warning(message, *details, extra=fields)
        self._unlogged = 0
        for history in unlogged.values():
            history.unlogged = 0
