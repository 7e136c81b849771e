"""Load on a server: wrk, which counts how many requests a second it answers, and how soon."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

_CONNECTIONS = 16
_SCRIPT = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local before, after = {before}, {after}
local number = {first}

function request()
  number = number + {step}
  return wrk.format(nil, nil, nil, before .. number .. after)
end

function done(summary, latency, _)
  local failed = summary.errors
  io.write(string.format(
    '{{"requests": %d, "microseconds": %d, "failed": %d, "p50_ms": %.3f, "p99_ms": %.3f}}\\n',
    summary.requests, summary.duration,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000
  ))
end
"""
"""What wrk is told; it ends with one line of JSON."""
_NUMBER_PLACEHOLDER = "#NUMBER#"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBody:
    """A body to post, with a number in it, which may count up."""

    text: str
    number: int
    is_counting: bool
    """Whether the number is another one in each request."""

    def advance(self, count: int) -> "RequestBody":
        """Return the body with so many numbers passed over, if it counts."""
        return replace(self, number=self.number + count) if self.is_counting else self

    def render(self) -> str:
        """Return the first one."""
        return self.text.replace(_NUMBER_PLACEHOLDER, str(self.number))


@dataclass(frozen=True, slots=True, kw_only=True)
class WrkResult:
    """What came of pressing a server."""

    per_second: float
    p50_ms: float
    p99_ms: float


def build_request_body(query: str, number: int, *, is_counting: bool) -> RequestBody:
    """Return the body of a query whose variable `n` is a number; the query need not use it."""
    text = json.dumps({"query": query, "variables": {"n": _NUMBER_PLACEHOLDER}})
    return RequestBody(
        text=text.replace(f'"{_NUMBER_PLACEHOLDER}"', _NUMBER_PLACEHOLDER),
        number=number,
        is_counting=is_counting,
    )


def is_installed() -> bool:
    """Tell whether there is wrk to press with."""
    return shutil.which("wrk") is not None


def run_wrk(url: str, body: RequestBody, *, seconds: int, taskset: tuple[str, ...]) -> WrkResult:
    """Post as fast as the server answers; `pinned` is the command that chooses a core.

    Raises:
        RuntimeError: an answer was missing, or had another status than 200.
    """
    before, after = body.text.split(_NUMBER_PLACEHOLDER)
    script = _SCRIPT.format(
        before=_quote_lua(before),
        after=_quote_lua(after),
        first=body.number,
        step=int(body.is_counting),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wrk.lua")
        path.write_text(script, "utf-8")
        options = ("-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", f"{path}")
        completed = subprocess.run(
            [*taskset, "wrk", *options, url], capture_output=True, check=True, text=True
        )
    summary = json.loads(completed.stdout.splitlines()[-1])
    if summary["failed"] or not summary["requests"]:
        raise RuntimeError(
            f"{url} has failed {summary['failed']} of {summary['requests']} requests"
        )
    per_second = summary["requests"] / summary["microseconds"] * 1e6
    return WrkResult(per_second=per_second, p50_ms=summary["p50_ms"], p99_ms=summary["p99_ms"])


def _quote_lua(text: str) -> str:
    """Return a text as Lua reads it."""
    return f"[==[{text}]==]"
