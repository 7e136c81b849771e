"""Runs wrk: requests per second and latency of a server under full load."""

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
"""Lua script of wrk. Its last line of output is JSON."""
_NUMBER_PLACEHOLDER = "#NUMBER#"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBody:
    """A request body with a number that may count up."""

    text: str
    number: int
    is_counting: bool
    """True if each request has the next number."""

    def advance(self, count: int) -> "RequestBody":
        """Skip `count` numbers, if it counts."""
        return replace(self, number=self.number + count) if self.is_counting else self

    def render(self) -> str:
        """Return the first request's body."""
        return self.text.replace(_NUMBER_PLACEHOLDER, str(self.number))


@dataclass(frozen=True, slots=True, kw_only=True)
class WrkResult:
    """Rate and latencies of one run."""

    per_second: float
    p50_ms: float
    p99_ms: float


def build_request_body(query: str, number: int, *, is_counting: bool) -> RequestBody:
    """Return the body of a query with the variable `n`, which the query need not use."""
    text = json.dumps({"query": query, "variables": {"n": _NUMBER_PLACEHOLDER}})
    return RequestBody(
        text=text.replace(f'"{_NUMBER_PLACEHOLDER}"', _NUMBER_PLACEHOLDER), number=number, is_counting=is_counting
    )


def is_installed() -> bool:
    """Return whether wrk is installed."""
    return shutil.which("wrk") is not None


def run_wrk(url: str, body: RequestBody, *, seconds: int, taskset: tuple[str, ...]) -> WrkResult:
    """Send requests as fast as the server responds. `taskset` is the command that sets the core.

    Raises:
        RuntimeError: a response was missing or had a status other than 200.
    """
    before, after = body.text.split(_NUMBER_PLACEHOLDER)
    script = _SCRIPT.format(
        before=_quote_lua(before), after=_quote_lua(after), first=body.number, step=int(body.is_counting)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wrk.lua")
        path.write_text(script, "utf-8")
        options = ("-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", f"{path}")
        completed = subprocess.run([*taskset, "wrk", *options, url], capture_output=True, check=True, text=True)
    summary = json.loads(completed.stdout.splitlines()[-1])
    if summary["failed"] or not summary["requests"]:
        raise RuntimeError(f"{summary['failed']} of {summary['requests']} requests to {url} failed.")
    per_second = summary["requests"] / summary["microseconds"] * 1e6
    return WrkResult(per_second=per_second, p50_ms=summary["p50_ms"], p99_ms=summary["p99_ms"])


def _quote_lua(text: str) -> str:
    """Return a Lua string literal."""
    return f"[==[{text}]==]"
