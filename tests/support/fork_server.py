"""A process that imports the program once and forks it, which is faster than hundreds of starts."""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.environments import build_environment
from tests.support.paths import ROOT
from tests.support.process_state import is_running
from tests.support.server import Server
from tests.support.wait import WAIT_TIMEOUT, wait_until

_PRELOADED_MODULES = (
    "aiosqlite",
    "anyio._backends._asyncio",
    "asyncmy",
    "asyncpg",
    "graphql_api.cli.commands",
    "graphql_api.cli.refresh",
    "graphql_api.cli.serve",
    "graphql_api.http.site.routes",
    "graphql_api.images.summary_image",
    "graphql_api.sources.http_client",
    "graphql_api.storage.migrations.upgrade",
    "httpcore",
    "sqlalchemy.dialects.sqlite.aiosqlite",
)
"""Imported once, before the forks. The program itself imports some of them only when it needs them."""


class ForkedProgram:
    """A forked process, with the interface of `subprocess.Popen`."""

    def __init__(self, pid: int, reap: Callable[[int], int]) -> None:
        """Take the exit code of the process `pid` from `reap`, once it has ended."""
        self.pid = pid
        self.returncode: int | None = None
        self._reap = reap

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        if self.returncode is None and not is_running(self.pid):
            self.returncode = self._reap(self.pid)
        return self.returncode

    def wait(self, _timeout: float) -> int:
        """Wait for its end, and return its exit code."""
        wait_until(lambda: self.poll() is not None, "the process still runs")
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal; no-op if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """Kill it; no-op if it has ended."""
        self.send_signal(signal.SIGKILL)


class ForkServer(Server):
    """Forks processes of the program; each must be waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

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

    def fork(
        self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str], stdout: Path, stderr: Path
    ) -> ForkedProgram:
        """Start a command of the program in a folder; its output is appended to these files."""
        request = {
            "arguments": arguments,
            "environment": environment,
            "folder": str(folder),
            "files": [os.devnull, str(stdout), str(stderr)],
        }
        return ForkedProgram(self._send_request(request), self.reap)

    def reap(self, pid: int) -> int:
        """Wait for the end of a process, and return its exit code; negative: minus the signal."""
        return self._send_request({"wait": pid})

    def _send_request(self, request: Mapping[str, Any]) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("it has not begun")
        with self._lock:
            stdin.write(f"{json.dumps(request)}\n")
            stdin.flush()
            return int(stdout.readline())


@cache
def shared_fork_server() -> ForkServer:
    """Return the server that this process uses to its end."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(ForkServer())


def main() -> None:
    """Fork and wait as requested on stdin; at its end kill all processes not waited for."""
    for name in _PRELOADED_MODULES:
        import_module(name)
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
    time.tzset()
    for descriptor, name in enumerate(request["files"]):
        file = os.open(name, os.O_RDWR | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    exit_code: object = 1
    try:
        program(request["arguments"])
    except SystemExit as error:
        exit_code = error.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code if isinstance(exit_code, int) else 0)


if __name__ == "__main__":
    main()
