"""When to ask again: how often, after which pause, and never beyond the time there is."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from graphql_api.sources.provider import ProviderError

_SECONDS_PATTERN = re.compile(r"\d{1,10}", re.ASCII)


class RetryableError(ProviderError):
    """A failure that may be over soon."""

    def __init__(self, reason: str, *, retry_after: str | None = None) -> None:
        """Keep the reason, and the header in which the provider says when to come back."""
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient the project is; the clock and the randomness are arguments."""

    max_retries: int = 2
    base_delay: float = 0.25
    """The pause before the first one, give or take half of it; the next is twice as long."""
    jitter: Callable[[], float] = random.random
    """Returns a number from 0 to 1."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def next_delay(self, error: RetryableError, *, retry_count: int, remaining: float) -> float:
        """Return for how many seconds to wait before asking again, of those that are `left`.

        Raises:
            Unusable: it is not to be asked again.
        """
        requested = self._requested_delay(error.retry_after)
        if requested > max(remaining, 0):
            reason = f"{error}, and asks to wait for {requested:.0f} s, longer than there is time"
            raise ProviderError(reason) from None
        delay = max(requested, self.base_delay * (1 << retry_count) * (0.5 + self.jitter()))
        if retry_count >= self.max_retries or delay > remaining:
            raise error
        return delay

    def _requested_delay(self, retry_after: str | None) -> float:
        """Return the seconds that a Retry-After asks for; 0 without one that can be read."""
        if retry_after is None:
            return 0
        if _SECONDS_PATTERN.fullmatch(retry_after):
            return int(retry_after)
        instant = parse_http_date(retry_after)
        return 0 if instant is None else max(0, (instant - self.clock()).total_seconds())


def parse_http_date(value: str) -> datetime | None:
    """Return the instant, in UTC, that a date in a header names, or None."""
    try:
        instant = parsedate_to_datetime(value)
        # HTTP's dates are in UTC, also those that do not say so.
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
