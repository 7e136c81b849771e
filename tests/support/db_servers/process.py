"""A database server for tests: its own folder and port, started, paused and killed on demand."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote

from tests.support.certificates import Certificate
from tests.support.process_state import child_pids, is_running, is_stopped
from tests.support.server import Server, free_port
from tests.support.wait import WAIT_TIMEOUT, wait_until

USER = "tester"
"""The tests' role: it owns their databases and is not the superuser."""
PASSWORD = "p@ss:/?#% +&="
"""Every character has a meaning of its own in a URL."""


@dataclass(frozen=True, slots=True)
class UserAccount:
    """The account that runs the server: root hands it to `nobody`, since servers refuse root."""

    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None

    @classmethod
    def for_servers(cls) -> Self:
        """Return the account for a server that this process starts."""
        if os.getuid() != 0:
            return cls()
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid, ())

    def chown(self, folder: Path) -> None:
        """Give a folder with all its files to the account."""
        if self.user is None or self.group is None:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.user, self.group)

    def run(self, *command: str | Path, input_text: str = "") -> None:
        """Run a program as the account; it must succeed."""
        completed = subprocess.run(
            command,
            input=input_text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            text=True,
            check=False,
            user=self.user,
            group=self.group,
            extra_groups=self.groups,
        )
        if completed.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {completed.returncode}: {completed.stdout}")


class DatabaseServer(Server):
    """A database server. It may be stopped or killed before its context ends."""

    scheme: ClassVar[str]
    """Scheme of its URLs."""
    create_statement: ClassVar[str] = "CREATE DATABASE {}"
    """SQL that creates a database."""
    install_hint: ClassVar[str]
    """The package to install where the program is missing."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    """Signal that stops it in an orderly way, with connections open."""

    def __init__(self, *arguments: str, tls: Certificate | None = None, template: Path | None = None) -> None:
        """Pass `arguments` to the program.

        New data is copied from `template`, a folder that the first server makes.
        """
        self.port = free_port()
        self._arguments = arguments
        self._tls = tls
        self._template = template
        self._account = UserAccount.for_servers()
        self._process: subprocess.Popen[bytes] | None = None
        self._database_count = 0

    @classmethod
    @abstractmethod
    def find_program(cls) -> Path | None:
        """Return the path of the server's program, None if it is not installed."""

    @abstractmethod
    def _build_client_command(self, sql: str, database: str) -> list[str]:
        """Return the command that runs SQL as superuser; an empty database means the default."""

    @abstractmethod
    def _read_queries(self) -> Iterator[tuple[str, str]]:
        """Yield database and text of each statement of the tests, in order."""

    @abstractmethod
    def _initialize_data(self, data_folder: Path) -> None:
        """Create the data folder of a new server."""

    @abstractmethod
    def _build_command(self, program: Path) -> list[str]:
        """Return the command that starts the server, without the test's own arguments."""

    @abstractmethod
    def _is_ready(self, pid: int) -> bool:
        """Return whether the process accepts statements."""

    def _open(self, stack: ExitStack) -> None:
        # Not below pytest's folder: the account that runs the server may not read that.
        temporary_folder = tempfile.TemporaryDirectory(prefix="graphql-api-")
        self._folder = Path(stack.enter_context(temporary_folder))
        stack.callback(self.stop)
        self._prepare()
        self.start()

    def url(self, database: str, *, port: int | None = None) -> str:
        """Return the URL of a database, at the server's port or a proxy's."""
        user = f"{USER}:{quote(PASSWORD, safe='')}"
        return f"{self.scheme}://{user}@127.0.0.1:{port or self.port}/{database}"

    def create_database(self) -> str:
        """Create an empty database with the server's defaults, and return its name."""
        self._database_count += 1
        name = f"test_{self._database_count}"
        self.execute(self.create_statement.format(name))
        return name

    def execute(self, sql: str, database: str = "", *, timeout: float | None = None) -> str:
        """Run SQL as superuser, which `queries` leaves out; return rows with tabs and no head.

        Raises:
            RuntimeError: The server rejected it, or took more than `timeout` seconds.
        """
        command = self._build_client_command(sql, database)
        try:
            completed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"no answer within {timeout} s") from error
        if completed.returncode != 0:
            raise RuntimeError(completed.stderr.strip())
        return completed.stdout.removesuffix("\n")

    def queries(self, database: str | None = None) -> list[str]:
        """Return the tests' statements in order: all, or those of one database."""
        return [sql for queried_database, sql in self._read_queries() if database in {None, queried_database}]

    def start(self) -> None:
        """Start the server on its port, with its data, and wait until it is ready."""
        program = self.find_program()
        if program is None:
            raise RuntimeError(self.install_hint)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._build_command(program), *self._arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for pytest.
                start_new_session=True,
                user=self._account.user,
                group=self._account.group,
                extra_groups=self._account.groups,
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Stop the server in an orderly way, even when it is paused; no-op if it has ended."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        self.resume()
        try:
            self._process.wait(WAIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill the server with all its processes; commits survive."""
        if self._process is None:
            return
        # The parent stops first: it could start other processes.
        pids = self._send_signal(signal.SIGSTOP)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(WAIT_TIMEOUT)
        self._process = None
        wait_until(lambda: not any(map(is_running, pids)), "a killed server still runs")

    def pause(self) -> None:
        """Stop all its processes: the system accepts connections, and nothing responds."""
        pids = self._send_signal(signal.SIGSTOP)
        wait_until(lambda: all(map(is_stopped, pids)), "a paused server goes on")

    def resume(self) -> None:
        """Continue a paused server."""
        self._send_signal(signal.SIGCONT)

    @property
    def _log_path(self) -> Path:
        return self._folder / "server.log"

    @property
    def _data_folder(self) -> Path:
        return self._folder / "data"

    def _prepare(self) -> None:
        self._account.chown(self._folder)
        if self._template and self._template.exists():
            shutil.copytree(self._template, self._data_folder)
        else:
            self._initialize_data(self._data_folder)
            if self._template:
                shutil.copytree(self._data_folder, self._template)
        if self._tls:
            shutil.copyfile(self._tls.chain, self._folder / "tls.pem")
            key = self._folder / "tls.key"
            key.touch(0o600)
            shutil.copyfile(self._tls.key, key)
        self._account.chown(self._folder)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        def is_ready() -> bool:
            if process.poll() is not None:
                log = self._log_path.read_text("utf-8", "replace")
                raise RuntimeError(f"The server ended with {process.returncode}: {log[-2000:]}")
            return self._is_ready(process.pid)

        wait_until(is_ready, "the server is not ready")

    def _send_signal(self, signum: signal.Signals) -> list[int]:
        """Send a signal to all processes of the server, and return their ids."""
        if self._process is None or self._process.poll() is not None:
            return []
        os.kill(self._process.pid, signum)
        children = child_pids(self._process.pid)
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signum)
        return [self._process.pid, *children]
