"""Hundreds of processes of the program: one imports it once, and becomes it anew at each fork."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cli.running import PATIENCE, ROOT, environment


@dataclass(frozen=True)
class Child:
    """A process of the program; what it says goes into files."""

    pid: int
    output: Path
    errors: Path

    @property
    def stdout(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text("utf-8")

    @property
    def stderr(self) -> str:
        """Return what it has said on stderr so far."""
        return self.errors.read_text("utf-8")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended, and was not yet waited for, is left alone."""
        os.kill(self.pid, number)

    def wait_until_said(self, text: str) -> str:
        """Wait until it has said something, or has ended, and return all that it has said."""
        end = time.monotonic() + PATIENCE
        while text not in (said := self.stdout + self.stderr):
            if self.has_ended:
                break
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} was not said, but {said!r}")
            time.sleep(0.001)
        return said

    @property
    def has_ended(self) -> bool:
        """Tell whether it runs no more."""
        stat = Path(f"/proc/{self.pid}/stat").read_text("utf-8")
        return stat.rpartition(")")[2].split()[0] == "Z"


class Spawner:
    """Makes processes, while the context lasts; each must be waited for."""

    def __init__(self, folder: Path) -> None:
        """Take the folder in which the processes run."""
        self._folder = folder
        self._started = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kills.spawner"],
            cwd=ROOT,
            env=environment({}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._process as process:
            if process.stdin:
                process.stdin.close()
            process.wait(PATIENCE)

    def start(self, *arguments: str, **variables: str) -> Child:
        """Start a command of the program, with these settings alone."""
        self._started += 1
        output, errors = (self._folder / f"{self._started}.{kind}" for kind in ("out", "err"))
        for file in (output, errors):
            file.touch()
        order = {
            "arguments": arguments,
            "environment": environment(variables),
            "folder": str(self._folder),
            "files": [os.devnull, str(output), str(errors)],
        }
        return Child(self._order(order), output, errors)

    def wait(self, child: Child) -> int:
        """Wait for the end of a process, and return its exit code; a signal's is negative."""
        return self._order({"wait": child.pid})

    def run(self, *arguments: str, **variables: str) -> tuple[int, Child]:
        """Run a command to its end."""
        child = self.start(*arguments, **variables)
        return self.wait(child), child

    def _order(self, order: Mapping[str, Any]) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("it has not begun")
        stdin.write(f"{json.dumps(order)}\n")
        stdin.flush()
        return int(stdout.readline())


def main() -> None:
    """Follow orders; when there are no more, end whatever was not waited for."""
    import asyncmy  # noqa: F401, PLC0415 - all that the program imports in time, once
    import asyncpg  # noqa: F401, PLC0415

    import graphql_api.cli.refreshing  # noqa: PLC0415
    import graphql_api.cli.server  # noqa: F401, PLC0415

    assert threading.active_count() == 1, "a fork takes one thread alone"
    children: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if (waited := order.get("wait")) is not None:
            answer = os.waitstatus_to_exitcode(os.waitpid(waited, 0)[1])
            children.discard(waited)
        else:
            answer = os.fork() or _become(order)
            children.add(answer)
        print(answer, flush=True)  # noqa: T201 - what is asked for
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _become(order: Mapping[str, Any]) -> int:
    """Be the program, and end as it does."""
    from graphql_api.cli import main as program  # noqa: PLC0415 - it is imported already

    os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for place, name in enumerate(order["files"]):
        os.dup2(os.open(name, os.O_RDWR | os.O_APPEND), place)
    code: object = 1
    try:
        program(order["arguments"])
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
