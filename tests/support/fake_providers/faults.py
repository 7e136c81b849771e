"""Every known fault of a provider, and the reason that the report has for it."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.fake_providers.fixtures import FakeProvider
from tests.support.fake_providers.server import GONE, HTML, FakeResponse, Upstream

FAULTY_PATH = "faulty"
"""Path of the faulty provider."""
LONG_TIMEOUT = 30.0
"""Seconds; never reached by a passing test."""
SHORT_TIMEOUT = 0.5
"""Seconds to wait for responses that never come."""

# Ports below 1024 are the system's, and nothing listens on this one.
REFUSING_URL = "http://127.0.0.1:1/"
"""URL that refuses connections."""

# Longer than a host name may be, so resolvers fail without the network.
UNRESOLVABLE_URL = f"http://{'.'.join(['x' * 60] * 5)}/"
"""URL whose host name does not resolve."""

TOO_LARGE_REASON = "the response is larger than 5000000 bytes"
TOO_LARGE_REASONS = {"world-bank": "the response is larger than 1666666 bytes"}
"""Its three indicators share the bytes."""
CONNECTION_LOST_PREFIX = "the connection was lost: "
JSON_PROVIDERS = ("restcountries", "restcountries-v3", "er-api", "frankfurter", "fawazahmed0", "world-bank")


def gzip_bomb(megabytes: int) -> bytes:
    """Return gzip data, a thousandth of its content, which is `megabytes` of zero bytes."""
    compressor = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    first_block = compressor.compress(bytes(1_000_000)) + compressor.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block does not depend on the one before, so it can be repeated.
    block = compressor.compress(bytes(1_000_000)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return first_block + block * (megabytes - 1) + compressor.flush()


def empty_gzip_blocks(length: int) -> bytes:
    """Return `length` bytes of unfinished gzip data with no content."""
    empty_block = b"\x00\x00\x00\xff\xff"
    return gzip.compress(b"")[:10] + empty_block * (length // 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFault:
    """One fault: the response, and how the application reports it."""

    name: str
    build_response: Callable[[FakeProvider], FakeResponse] = lambda _: FakeResponse()
    """Response at `FAULTY_PATH`."""
    build_url: Callable[[Upstream], str] = lambda upstream: f"{upstream.url}/{FAULTY_PATH}"
    """URL of the provider."""
    reason: str = ""
    reason_by_provider: Mapping[str, str] = field(default_factory=dict)
    """Reasons that differ from `reason`, by provider name."""
    expected_requests: int = 1
    """Number of requests for `FAULTY_PATH`, for each path of the provider."""
    api_timeout: float = LONG_TIMEOUT
    """API_TIMEOUT in seconds."""

    def expected_failure(self, provider: FakeProvider) -> str:
        """Return the failure as the report has it."""
        return f"{provider.name}: {self.reason_by_provider.get(provider.name, self.reason)}"


def _redirect_response(target: str) -> FakeResponse:
    return FakeResponse(status=302, headers={"Location": target})


def _status_faults(*statuses: int, expected_requests: int) -> list[ProviderFault]:
    return [
        ProviderFault(
            name=f"status-{status}",
            build_response=lambda _, status=status: FakeResponse(status=status),  # type: ignore[misc] # mypy cannot infer the default
            reason=f"responded with status {status}",
            expected_requests=expected_requests,
        )
        for status in statuses
    ]


NO_TABLE_REASONS = {"geonames": "the body is not a table of countries"}
NO_RECORDS_REASON = "none of its 0 records can be used"
NO_RATES_REASON = "none of its 0 rates can be used"
TIMEOUT_REASON = "no complete response within 0.5 s"
GZIP_HEADERS = {"Content-Encoding": "gzip"}

FAULTS = (
    ProviderFault(
        name="mute",
        build_response=lambda _: FakeResponse(hold_until=lambda: False),
        reason=TIMEOUT_REASON,
        api_timeout=SHORT_TIMEOUT,
    ),
    ProviderFault(
        name="mute-amid-the-body",
        build_response=lambda provider: FakeResponse(body=provider.body, hold_after=100, hold_until=lambda: False),
        reason=TIMEOUT_REASON,
        api_timeout=SHORT_TIMEOUT,
    ),
    ProviderFault(
        name="drips",
        build_response=lambda provider: FakeResponse(body=provider.body, byte_delay=0.01),
        reason=TIMEOUT_REASON,
        api_timeout=SHORT_TIMEOUT,
    ),
    ProviderFault(
        name="refuses", build_url=lambda _: REFUSING_URL, reason="the server refuses connections", expected_requests=0
    ),
    ProviderFault(
        name="does-not-resolve",
        build_url=lambda _: UNRESOLVABLE_URL,
        reason="the name of the server does not resolve",
        expected_requests=0,
    ),
    ProviderFault(
        name="redirects-to-nowhere",
        build_response=lambda _: _redirect_response(REFUSING_URL),
        reason="the redirect target refuses connections",
    ),
    ProviderFault(
        name="redirects-to-no-name",
        build_response=lambda _: _redirect_response(UNRESOLVABLE_URL),
        reason="the name of the redirect target does not resolve",
    ),
    ProviderFault(
        name="redirects-to-no-url",
        build_response=lambda _: _redirect_response("http://é..b/"),
        reason="redirects to an invalid URL",
    ),
    ProviderFault(
        name="redirects-in-circles",
        build_response=lambda _: _redirect_response(f"/{FAULTY_PATH}"),
        reason="redirects too often",
        expected_requests=6,
    ),
    *_status_faults(204, 400, 401, 403, 404, 410, 500, expected_requests=1),
    *_status_faults(429, 502, 503, 504, expected_requests=3),
    ProviderFault(
        name="asks-to-wait",
        build_response=lambda _: FakeResponse(status=503, headers={"Retry-After": "3600"}),
        reason="responded with status 503 and requested a delay of 3600 s, longer than the time left",
    ),
    ProviderFault(
        name="html",
        build_response=lambda _: FakeResponse(body=HTML),
        reason="the body is not JSON",
        reason_by_provider=NO_TABLE_REASONS,
    ),
    ProviderFault(name="nothing", reason="the body is not JSON", reason_by_provider=NO_TABLE_REASONS),
    ProviderFault(
        name="empty-list",
        build_response=lambda provider: FakeResponse(body=provider.empty_body),
        reason=NO_RATES_REASON,
        reason_by_provider={
            "restcountries": NO_RECORDS_REASON,
            "restcountries-v3": NO_RECORDS_REASON,
            "world-bank": "sent no records of SP.POP.TOTL, NY.GDP.MKTP.CD, NY.GDP.MKTP.PP.CD",
            **NO_TABLE_REASONS,
        },
    ),
    ProviderFault(
        name="many-values",
        build_response=lambda _: FakeResponse(body=b"[" + b"{}," * 200_000 + b"{}]"),
        reason="the body has more than 100000 values",
        reason_by_provider=NO_TABLE_REASONS,
    ),
    ProviderFault(
        name="deep",
        build_response=lambda _: FakeResponse(body=b"[" * 90_000 + b"]" * 90_000),
        reason="the body is not JSON",
        reason_by_provider=NO_TABLE_REASONS,
    ),
    ProviderFault(
        name="error-with-status-200",
        build_response=lambda _: FakeResponse(body=GONE),
        reason="responded with an error: This API version has been deprecated. "
        "See the documentation to move to the current version",
        reason_by_provider=NO_TABLE_REASONS,
    ),
    ProviderFault(
        name="truncated",
        build_response=lambda provider: FakeResponse(body=provider.body[:-60]),
        reason="the body is not JSON",
        reason_by_provider={"geonames": "the table is truncated"},
    ),
    ProviderFault(
        name="utf-16",
        build_response=lambda provider: FakeResponse(body=provider.body.decode().encode("utf-16")),
        reason="the body is not UTF-8 text",
    ),
    ProviderFault(
        name="latin-1",
        build_response=lambda provider: FakeResponse(body=provider.body + b"\xe9"),
        reason="the body is not UTF-8 text",
    ),
    ProviderFault(
        name="too-large",
        build_response=lambda _: FakeResponse(body=bytes(5_000_001)),
        reason=TOO_LARGE_REASON,
        reason_by_provider=TOO_LARGE_REASONS,
    ),
    ProviderFault(
        name="bomb",
        build_response=lambda _: FakeResponse(body=gzip_bomb(megabytes=5_000)[:4_900_000], headers=GZIP_HEADERS),
        reason=TOO_LARGE_REASON,
        reason_by_provider=TOO_LARGE_REASONS,
    ),
    ProviderFault(
        name="bomb-of-nothing",
        build_response=lambda _: FakeResponse(body=empty_gzip_blocks(5_100_000), headers=GZIP_HEADERS),
        reason=TOO_LARGE_REASON,
        reason_by_provider=TOO_LARGE_REASONS,
    ),
    ProviderFault(
        name="not-gzip",
        build_response=lambda provider: FakeResponse(body=provider.body, headers=GZIP_HEADERS),
        reason="the response is not valid gzip: Error -3 while decompressing data: incorrect header check",
    ),
    ProviderFault(
        name="gzip-cut-short",
        build_response=lambda provider: FakeResponse(body=gzip.compress(provider.body)[:-9], headers=GZIP_HEADERS),
        reason="the compressed response is incomplete",
    ),
    ProviderFault(
        name="other-coding",
        build_response=lambda provider: FakeResponse(body=provider.body, headers={"Content-Encoding": "br"}),
        reason="the response has the encoding br, which was not requested",
    ),
    ProviderFault(
        name="closed-at-once",
        build_response=lambda _: FakeResponse(raw=True),
        reason=f"{CONNECTION_LOST_PREFIX}Server disconnected without sending a response",
        expected_requests=3,
    ),
    ProviderFault(
        name="closed-amid-the-body",
        build_response=lambda _: FakeResponse(body=b"0123456789", cut_after=4),
        reason=f"{CONNECTION_LOST_PREFIX}peer closed connection without sending complete "
        "message body "
        "(received 4 bytes, expected 10)",
        expected_requests=3,
    ),
    ProviderFault(
        name="reset",
        build_response=lambda _: FakeResponse(raw=True, reset=True),
        reason=f"{CONNECTION_LOST_PREFIX}reset",
        expected_requests=3,
    ),
    ProviderFault(
        name="not-http",
        build_response=lambda _: FakeResponse(body=b"220 mail.example ESMTP\r\n\r\n", raw=True),
        reason=f"{CONNECTION_LOST_PREFIX}illegal status line: bytearray(b'220 mail.example ESMTP')",
        expected_requests=3,
    ),
)
