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
_NUMBER = "#NUMBER#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body to post, with a number in it, which may count up."""

    text: str
    number: int
    counts: bool
    """Whether the number is another one in each request."""

    def after(self, numbers: int) -> "Body":
        """Return the body with so many numbers passed over, if it counts."""
        return replace(self, number=self.number + numbers) if self.counts else self

    def first(self) -> str:
        """Return the first one."""
        return self.text.replace(_NUMBER, str(self.number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of pressing a server."""

    per_second: float
    p50_ms: float
    p99_ms: float


def ask(query: str, number: int, *, counts: bool) -> Body:
    """Return the body of a query whose variable `n` is a number; the query need not use it."""
    text = json.dumps({"query": query, "variables": {"n": _NUMBER}})
    return Body(text=text.replace(f'"{_NUMBER}"', _NUMBER), number=number, counts=counts)


def is_installed() -> bool:
    """Tell whether there is wrk to press with."""
    return shutil.which("wrk") is not None


def press(url: str, body: Body, *, seconds: int, pinned: tuple[str, ...]) -> Load:
    """Post as fast as the server answers; `pinned` is the command that chooses a core.

    Raises:
        RuntimeError: an answer was missing, or had another status than 200.
    """
    before, after = body.text.split(_NUMBER)
    script = _SCRIPT.format(
        before=_quoted(before), after=_quoted(after), first=body.number, step=int(body.counts)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wrk.lua")
        path.write_text(script, "utf-8")
        options = ("-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", f"{path}")
        done = subprocess.run(
            [*pinned, "wrk", *options, url], capture_output=True, check=True, text=True
        )
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"] or not found["requests"]:
        raise RuntimeError(f"{url} has failed {found['failed']} of {found['requests']} requests")
    per_second = found["requests"] / found["microseconds"] * 1e6
    return Load(per_second=per_second, p50_ms=found["p50_ms"], p99_ms=found["p99_ms"])


def _quoted(text: str) -> str:
    """Return a text as Lua reads it."""
    return f"[==[{text}]==]"
