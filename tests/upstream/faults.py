"""Every way in which a provider is known to fail, with the words in which the project tells it."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.upstream.players import Player
from tests.upstream.server import GONE, HTML, Answer, Upstream

PATH = "faulty"
"""Where a faulty provider is played."""
LONG = 30.0
"""Seconds that no test here waits."""
SHORT = 0.5
"""Seconds that are waited for answers that never come."""

# A port that only a system's own service could take, and none does.
CLOSED = "http://127.0.0.1:1/"
"""A URL where connections are refused."""

# Longer than a name may be: no resolver asks its network for it.
NOWHERE = f"http://{'.'.join(['x' * 60] * 5)}/"
"""A URL whose name does not resolve."""

TOO_LARGE = "its answer is larger than 20000000 bytes"
BROKE_OFF = "the connection broke off: "
JSON = ("restcountries", "restcountries-v3", "er-api", "frankfurter", "fawazahmed0")


def bomb(megabytes: int) -> bytes:
    """Return gzip data of so many megabytes of nought, a thousandth of its size."""
    pack = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    head = pack.compress(bytes(1_000_000)) + pack.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block stands for itself, so the same one may follow as often as it likes.
    block = pack.compress(bytes(1_000_000)) + pack.flush(zlib.Z_FULL_FLUSH)
    return head + block * (megabytes - 1) + pack.flush()


def nothing(length: int) -> bytes:
    """Return the beginning of gzip data, so long and without end, that hold nothing at all."""
    empty_block = b"\x00\x00\x00\xff\xff"
    return gzip.compress(b"")[:10] + empty_block * (length // 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail."""

    name: str
    answer: Callable[[Player], Answer] = lambda _: Answer()
    """What is answered at PATH."""
    url: Callable[[Upstream], str] = lambda upstream: f"{upstream.url}/{PATH}"
    """What is asked."""
    reason: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """By the name of the provider, where it is not `reason`."""
    asked: int = 1
    """How often PATH is asked."""
    seconds: float = LONG
    """How long the provider is given."""

    def why(self, player: Player) -> str:
        """Return why the provider fails, in the words of the report."""
        return f"{player.name}: {self.reasons.get(player.name, self.reason)}"


def _redirect(target: str) -> Answer:
    return Answer(status=302, headers={"Location": target})


def _statuses(*statuses: int, asked: int) -> list[Fault]:
    return [
        Fault(
            name=f"status-{status}",
            answer=lambda _, status=status: Answer(status=status),  # type: ignore[misc]
            reason=f"it answered with status {status}",
            asked=asked,
        )
        for status in statuses
    ]


NO_TABLE = {"geonames": "the body is not a table of countries"}
NO_RECORDS = "none of its 0 records can be used"
NO_RATES = "none of its 0 rates can be used"
LATE = "no complete answer within 0.5 s"
GZIP = {"Content-Encoding": "gzip"}

FAULTS = (
    Fault(
        name="mute",
        answer=lambda _: Answer(until=lambda: False),
        reason=LATE,
        seconds=SHORT,
    ),
    Fault(
        name="mute-amid-the-body",
        answer=lambda player: Answer(body=player.body, early=100, until=lambda: False),
        reason=LATE,
        seconds=SHORT,
    ),
    Fault(
        name="drips",
        answer=lambda player: Answer(body=player.body, drip=0.01),
        reason=LATE,
        seconds=SHORT,
    ),
    Fault(
        name="refuses",
        url=lambda _: CLOSED,
        reason="the server refuses connections",
        asked=0,
    ),
    Fault(
        name="does-not-resolve",
        url=lambda _: NOWHERE,
        reason="the name of the server does not resolve",
        asked=0,
    ),
    Fault(
        name="redirects-to-nowhere",
        answer=lambda _: _redirect(CLOSED),
        reason="the server that it redirects to refuses connections",
    ),
    Fault(
        name="redirects-to-no-name",
        answer=lambda _: _redirect(NOWHERE),
        reason="the name of the server that it redirects to does not resolve",
    ),
    Fault(
        name="redirects-to-no-url",
        answer=lambda _: _redirect("http://é..b/"),
        reason="it redirects to what is no URL",
    ),
    Fault(
        name="redirects-in-circles",
        answer=lambda _: _redirect(f"/{PATH}"),
        reason="it redirects too often",
        asked=6,
    ),
    *_statuses(204, 400, 401, 403, 404, 410, 500, asked=1),
    *_statuses(429, 502, 503, 504, asked=3),
    Fault(
        name="asks-to-wait",
        answer=lambda _: Answer(status=503, headers={"Retry-After": "3600"}),
        reason="it answered with status 503, and asks to wait for 3600 s, longer than there is "
        "time",
    ),
    Fault(
        name="html",
        answer=lambda _: Answer(body=HTML),
        reason="the body is not JSON",
        reasons=NO_TABLE,
    ),
    Fault(name="nothing", reason="the body is not JSON", reasons=NO_TABLE),
    Fault(
        name="empty-list",
        answer=lambda player: Answer(body=player.empty),
        reason=NO_RATES,
        reasons={"restcountries": NO_RECORDS, "restcountries-v3": NO_RECORDS, **NO_TABLE},
    ),
    Fault(
        name="error-with-status-200",
        answer=lambda _: Answer(body=GONE),
        reason="it answered an error: This API version has been deprecated. "
        "See the documentation to move to the current version",
        reasons=NO_TABLE,
    ),
    Fault(
        name="truncated",
        answer=lambda player: Answer(body=player.body[:-60]),
        reason="the body is not JSON",
        reasons={"geonames": "the table is cut short"},
    ),
    Fault(
        name="utf-16",
        answer=lambda player: Answer(body=player.body.decode().encode("utf-16")),
        reason="the body is not UTF-8 text",
    ),
    Fault(
        name="latin-1",
        answer=lambda player: Answer(body=player.body + b"\xe9"),
        reason="the body is not UTF-8 text",
    ),
    Fault(
        name="too-large",
        answer=lambda _: Answer(body=bytes(20_000_001)),
        reason=TOO_LARGE,
    ),
    Fault(
        name="bomb",
        answer=lambda _: Answer(body=bomb(megabytes=20_000)[:19_000_000], headers=GZIP),
        reason=TOO_LARGE,
    ),
    Fault(
        name="bomb-of-nothing",
        answer=lambda _: Answer(body=nothing(21_000_000), headers=GZIP),
        reason=TOO_LARGE,
    ),
    Fault(
        name="not-gzip",
        answer=lambda player: Answer(body=player.body, headers=GZIP),
        reason="its answer is not compressed as it says: "
        "Error -3 while decompressing data: incorrect header check",
    ),
    Fault(
        name="gzip-cut-short",
        answer=lambda player: Answer(body=gzip.compress(player.body)[:-9], headers=GZIP),
        reason="its compressed answer is cut short",
    ),
    Fault(
        name="other-coding",
        answer=lambda player: Answer(body=player.body, headers={"Content-Encoding": "br"}),
        reason="its answer has the coding br, which was not asked for",
    ),
    Fault(
        name="closed-at-once",
        answer=lambda _: Answer(raw=True),
        reason=f"{BROKE_OFF}Server disconnected without sending a response",
        asked=3,
    ),
    Fault(
        name="closed-amid-the-body",
        answer=lambda _: Answer(body=b"0123456789", cut=4),
        reason=f"{BROKE_OFF}peer closed connection without sending complete message body "
        "(received 4 bytes, expected 10)",
        asked=3,
    ),
    Fault(
        name="reset",
        answer=lambda _: Answer(raw=True, reset=True),
        reason=f"{BROKE_OFF}it was reset",
        asked=3,
    ),
    Fault(
        name="not-http",
        answer=lambda _: Answer(body=b"220 mail.example ESMTP\r\n\r\n", raw=True),
        reason=f"{BROKE_OFF}illegal status line: bytearray(b'220 mail.example ESMTP')",
        asked=3,
    ),
)
