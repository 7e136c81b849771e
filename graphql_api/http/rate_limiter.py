"""Rate limit: what the GraphQL requests of one client may cost, as a token bucket for each address.

The header fields are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (structured
fields). A bucket of `quota` units is refilled evenly, `quota` in `window` seconds.
"""

import logging
import math
import time
from collections.abc import Callable

from starlette.types import Message, Send

from graphql_api.errors import RateLimited
from graphql_api.http.forwarded import group_address
from graphql_api.http.raw_response import Header
from graphql_api.logging import extra_fields
from graphql_api.utils.lru import LRUCache

logger = logging.getLogger(__name__)

_MAX_BUCKETS = 10_000
"""Clients remembered, the most recent ones. The bucket of any other client is full."""
_POLICY_NAME = b'"cost"'


class TokenBucket:
    """The quota that one client has left."""

    __slots__ = ("_client", "_limiter", "_logged_at", "_tokens", "_updated_at")

    def __init__(self, limiter: "RateLimiter", client: str) -> None:
        """Start with a full bucket."""
        self._limiter = limiter
        self._client = client
        self._tokens = float(limiter.quota)
        self._updated_at = limiter.clock()
        self._logged_at = -math.inf

    def check(self, cost: int) -> None:
        """Return if the client may spend a cost now. One beyond the quota needs a full bucket.

        Raises:
            RateLimited: It may not. Nothing is spent.
        """
        tokens = self._refill()
        needed = min(cost, self._limiter.quota)
        if tokens < needed:
            self._log()
            quota, window = self._limiter.quota, self._limiter.window
            retry_after = math.ceil((needed - tokens) / quota * window)
            message = (
                f"This costs {cost}, and your address has spent its quota of {quota} in {window} s (RATE_LIMIT). "
                f"Try again in {retry_after} s."
            )
            raise RateLimited(message, retry_after=retry_after)

    def spend(self, cost: int) -> None:
        """Spend a cost, also one that leaves a debt."""
        self._tokens = self._refill() - cost

    def charge(self, cost: int) -> None:
        """Spend a cost if the client may.

        Raises:
            RateLimited: It may not. Nothing is spent.
        """
        self.check(cost)
        self._tokens -= cost

    def build_headers(self) -> list[Header]:
        """Return the policy, and what remains with the seconds until there is more."""
        tokens = self._refill()
        remaining = max(math.floor(tokens), 0)
        seconds = math.ceil((remaining + 1 - tokens) / self._limiter.quota * self._limiter.window)
        return [
            (b"ratelimit-policy", self._limiter.policy),
            (b"ratelimit", b"%b;r=%d;t=%d" % (_POLICY_NAME, remaining, seconds)),
        ]

    def _refill(self) -> float:
        limiter = self._limiter
        now = limiter.clock()
        tokens = self._tokens + (now - self._updated_at) * limiter.quota / limiter.window
        self._tokens, self._updated_at = min(tokens, limiter.quota), now
        return self._tokens

    def _log(self) -> None:
        """Log that this client is refused, once in a window."""
        if self._updated_at - self._logged_at >= self._limiter.window:
            self._logged_at = self._updated_at
            message = "Client %s has spent its quota of RATE_LIMIT; its requests are refused until there is more."
            logger.warning(message, self._client, extra=extra_fields(client=self._client))


class RateLimiter:
    """The buckets of all clients of this process."""

    def __init__(self, quota: int, window: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Let each client spend `quota` in `window` seconds."""
        self.quota = quota
        self.window = window
        self.clock = clock
        self.policy = b"%b;q=%d;w=%d" % (_POLICY_NAME, quota, window)
        """Value of the RateLimit-Policy header."""
        self._buckets = LRUCache[str, TokenBucket](_MAX_BUCKETS)

    def get_bucket(self, address: str | None) -> TokenBucket:
        """Return the bucket of an address, or of its IPv6 network of 64 bits."""
        client = group_address(address or "")
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = TokenBucket(self, client)
            self._buckets.put(client, bucket)
        return bucket


def add_rate_limit_headers(send: Send, bucket: TokenBucket) -> Send:
    """Return a function that sends a response with the headers of its client's bucket."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *bucket.build_headers()]}
        await send(message)

    return send_with_headers
