"""Retry policy: which failures are retried, after which delay, within the provider's time."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from graphql_api.sources.provider import ProviderError
from graphql_api.utils.backoff import backoff_delay

_SECONDS_PATTERN = re.compile(r"\d{1,10}", re.ASCII)


class RetryableError(ProviderError):
    """A failure that may pass within seconds."""

    def __init__(self, reason: str, *, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Number of retries and the delay before each."""

    max_retries: int = 2
    base_delay: float = 0.25
    """Longest delay before the first retry, in seconds; doubles with each retry."""
    jitter: Callable[[], float] = random.random
    """Returns a number from 0 to 1."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def next_delay(self, error: RetryableError, retry_count: int, remaining: float) -> float:
        """Return the seconds to wait before the next retry; at least what `Retry-After` says.

        Raises:
            ProviderError: no retries are left, or the delay exceeds the `remaining` seconds.
        """
        requested = self._requested_delay(error.retry_after)
        if requested > max(remaining, 0):
            raise ProviderError(
                f"{error} and requested a delay of {requested:.0f} s, longer than the time left"
            ) from None
        backoff = backoff_delay(retry_count, initial=self.base_delay, jitter=self.jitter())
        delay = max(requested, backoff)
        if retry_count >= self.max_retries or delay > remaining:
            raise error
        return delay

    def _requested_delay(self, retry_after: str | None) -> float:
        """Return the seconds that `Retry-After` requests; 0 if it is missing or invalid."""
        if retry_after is None:
            return 0
        if _SECONDS_PATTERN.fullmatch(retry_after):
            return int(retry_after)
        instant = parse_http_date(retry_after)
        return 0 if instant is None else max(0, (instant - self.clock()).total_seconds())


def parse_http_date(value: str) -> datetime | None:
    """Return the instant of an HTTP date, in UTC; None if the text is invalid."""
    try:
        instant = parsedate_to_datetime(value)
        # HTTP dates without a time zone are in UTC.
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
