"""Token buckets of clients: what they refuse, when they are full again, and what they take."""

import logging

import pytest

from graphql_api.errors import RateLimited
from graphql_api.http.rate_limiter import RateLimiter, TokenBucket


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def read_headers(bucket: TokenBucket) -> dict[str, str]:
    """Return the headers of a bucket."""
    return {name.decode(): value.decode() for name, value in bucket.build_headers()}


def find_retry_after(bucket: TokenBucket, cost: int) -> int | None:
    """Charge a cost; return the seconds after which it may be spent, None if it was."""
    try:
        bucket.charge(cost)
    except RateLimited as error:
        return int(str(error).rpartition("Try again in ")[2].removesuffix(" s."))
    return None


def test_refill() -> None:
    """A client spends its quota, is refused what is more, without spending it, and gets it back evenly."""
    clock = Clock()
    bucket = RateLimiter(100, 60, clock=clock).get_bucket("192.0.2.1")
    assert read_headers(bucket) == {"ratelimit-policy": '"cost";q=100;w=60', "ratelimit": '"cost";r=100;t=1'}
    assert [find_retry_after(bucket, cost) for cost in (70, 31, 30, 1)] == [None, 1, None, 1]
    assert read_headers(bucket)["ratelimit"] == '"cost";r=0;t=1'
    assert find_retry_after(bucket, 50) == 30
    clock.now += 29
    assert find_retry_after(bucket, 50) == 1
    clock.now += 1
    assert find_retry_after(bucket, 50) is None
    clock.now += 3600
    assert read_headers(bucket)["ratelimit"] == '"cost";r=100;t=1'


def test_more_than_the_quota() -> None:
    """A request beyond the quota needs a full bucket, and leaves a debt that is paid before anything else."""
    clock = Clock()
    bucket = RateLimiter(100, 10, clock=clock).get_bucket("192.0.2.1")
    bucket.spend(1)
    assert find_retry_after(bucket, 250) == 1
    clock.now += 1
    assert find_retry_after(bucket, 250) is None
    assert read_headers(bucket)["ratelimit"] == '"cost";r=0;t=16'
    assert find_retry_after(bucket, 1) == 16
    clock.now += 15.1
    assert find_retry_after(bucket, 1) is None


def test_clients() -> None:
    """IPv6 addresses of one network of 64 bits share a bucket, all others have their own."""
    limiter = RateLimiter(10, 60, clock=Clock())
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", None):
        assert find_retry_after(limiter.get_bucket(address), 10) is None
    for address in ("192.0.2.1", "2001:db8::2", "2001:db8:0:1:ffff::", None):
        assert find_retry_after(limiter.get_bucket(address), 1) == 6


def test_memory() -> None:
    """The 10,000 clients that came last are remembered, whatever the number of addresses."""
    limiter = RateLimiter(10, 60, clock=Clock())
    for number in range(20_000):
        limiter.get_bucket(f"192.0.{number // 256}.{number % 256}").spend(10)
    assert len(vars(limiter)["_buckets"].items()) == 10_000
    assert find_retry_after(limiter.get_bucket("192.0.78.31"), 1) == 6
    assert find_retry_after(limiter.get_bucket("192.0.0.0"), 1) is None


def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """A client that is refused is one warning in a window, however often it tries."""
    clock = Clock()
    limiter = RateLimiter(10, 60, clock=clock)
    bucket = limiter.get_bucket("2001:db8::1")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            find_retry_after(bucket, 10)
            for _ in range(5):
                assert find_retry_after(bucket, 10) is not None
            clock.now += 60
    message = "Client 2001:db8::/64 has spent its quota of RATE_LIMIT; its requests are refused until there is more."
    assert caplog.record_tuples == [("graphql_api.http.rate_limiter", logging.WARNING, message)] * 3
