"""Processes of the program that crash tests fork, hundreds of them, in one folder."""

import os
import re
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support.environments import build_environment
from tests.support.fork_server import ForkedProgram, shared_fork_server
from tests.support.process_state import is_running
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


class FolderForks(Server):
    """Forks processes in a folder, which keeps the output of each. At its end kills those not waited for."""

    def __init__(self, folder: Path) -> None:
        """Run the processes in `folder`."""
        self._folder = folder
        self._programs: dict[int, ForkedProgram] = {}
        self._process_count = 0

    def _open(self, stack: ExitStack) -> None:
        stack.callback(self._kill_all)

    def _kill_all(self) -> None:
        for program in self._programs.values():
            program.kill()
            program.wait(WAIT_TIMEOUT)

    def start(self, *arguments: str, **variables: str) -> ForkedProcess:
        """Start a command of the program with these settings alone."""
        self._process_count += 1
        stdout_path, stderr_path = (self._folder / f"{self._process_count}.{kind}" for kind in ("out", "err"))
        for file in (stdout_path, stderr_path):
            file.touch()
        environment = build_environment(variables)
        program = shared_fork_server().fork(self._folder, arguments, environment, stdout_path, stderr_path)
        self._programs[program.pid] = program
        return ForkedProcess(program.pid, stdout_path, stderr_path)

    def wait(self, child: ForkedProcess) -> int:
        """Wait for the end of a process, and return its exit code; negative: minus the signal."""
        return self._programs.pop(child.pid).wait(WAIT_TIMEOUT)

    def run(self, *arguments: str, **variables: str) -> tuple[int, ForkedProcess]:
        """Run a command, and return its exit code."""
        child = self.start(*arguments, **variables)
        return self.wait(child), child
