"""A process that imports the program once and forks it, which is faster than hundreds of starts."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tests.support.process_state import is_running
from tests.support.processes import build_environment
from tests.support.server import Server
from tests.support.wait import WAIT_TIMEOUT


@dataclass(frozen=True)
class ForkedProcess:
    """A process of the program; its output goes to files."""

    pid: int
    stdout_path: Path
    stderr_path: Path

    @property
    def stdout(self) -> str:
        """Return its standard output so far."""
        return self.stdout_path.read_text("utf-8")

    @property
    def stderr(self) -> str:
        """Return its standard error so far."""
        return self.stderr_path.read_text("utf-8")

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal; no-op if it has ended and was not waited for."""
        os.kill(self.pid, signum)

    def wait_for_output(self, text: str) -> str:
        """Wait until its output contains `text` or it has ended; return all its output."""
        deadline = time.monotonic() + WAIT_TIMEOUT
        while text not in (output := self.stdout + self.stderr):
            if self.has_ended:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} was not said, but {output!r}")
            time.sleep(0.001)
        return output

    @cached_property
    def url(self) -> str:
        """Return the URL of a server; waits until it has printed it."""
        output = self.wait_for_output("(Ctrl-C stops)")
        match = re.search(r"http://[\d.]+:\d+", output)
        assert match, output
        return match[0]

    @property
    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return not is_running(self.pid)


class ForkServer(Server):
    """Forks processes of the program; each must be waited for."""

    def __init__(self, folder: Path) -> None:
        """Run the processes in `folder`."""
        self._folder = folder
        self._process_count = 0

    def _open(self, stack: ExitStack) -> None:
        self._process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=ROOT,
                env=build_environment({}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(self._end)

    def _end(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(WAIT_TIMEOUT)

    def start(self, *arguments: str, **variables: str) -> ForkedProcess:
        """Start a command of the program with these settings alone."""
        self._process_count += 1
        stdout_path, stderr_path = (self._folder / f"{self._process_count}.{kind}" for kind in ("out", "err"))
        for file in (stdout_path, stderr_path):
            file.touch()
        request = {
            "arguments": arguments,
            "environment": build_environment(variables),
            "folder": str(self._folder),
            "files": [os.devnull, str(stdout_path), str(stderr_path)],
        }
        return ForkedProcess(self._send_request(request), stdout_path, stderr_path)

    def wait(self, child: ForkedProcess) -> int:
        """Wait for the end of a process, and return its exit code; negative: minus the signal."""
        return self._send_request({"wait": child.pid})

    def run(self, *arguments: str, **variables: str) -> tuple[int, ForkedProcess]:
        """Run a command, and return its exit code."""
        child = self.start(*arguments, **variables)
        return self.wait(child), child

    def _send_request(self, request: Mapping[str, Any]) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("it has not begun")
        stdin.write(f"{json.dumps(request)}\n")
        stdin.flush()
        return int(stdout.readline())


def main() -> None:
    """Fork and wait as requested on stdin; at its end kill all processes not waited for."""
    import asyncmy  # noqa: F401, PLC0415 - imported once, before the forks
    import asyncpg  # noqa: F401, PLC0415 - imported once, before the forks

    import graphql_api.cli.refresh  # noqa: PLC0415 - imported once, before the forks
    import graphql_api.cli.serve  # noqa: F401, PLC0415 - imported once, before the forks

    assert threading.active_count() == 1, "a fork takes one thread alone"
    child_pids: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if (waited_pid := request.get("wait")) is not None:
            reply = os.waitstatus_to_exitcode(os.waitpid(waited_pid, 0)[1])
            child_pids.discard(waited_pid)
        else:
            reply = os.fork() or _run_program(request)
            child_pids.add(reply)
        print(reply, flush=True)  # noqa: T201 - what is asked for
    for child_pid in child_pids:
        os.kill(child_pid, signal.SIGKILL)
        os.waitpid(child_pid, 0)


def _run_program(request: Mapping[str, Any]) -> int:
    """Run the program in this process, and exit with its code."""
    from graphql_api.cli import main as program  # noqa: PLC0415 - it is imported already

    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for descriptor, name in enumerate(request["files"]):
        os.dup2(os.open(name, os.O_RDWR | os.O_APPEND), descriptor)
    exit_code: object = 1
    try:
        program(request["arguments"])
    except SystemExit as error:
        exit_code = error.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code if isinstance(exit_code, int) else 0)


if __name__ == "__main__":
    main()
