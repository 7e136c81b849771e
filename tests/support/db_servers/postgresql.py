"""A PostgreSQL server for tests."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from tests.support.db_servers.logs import LogFile
from tests.support.db_servers.process import PASSWORD, USER, DatabaseServer

_DEBIAN_FOLDER = Path("/usr/lib/postgresql")
_SETTINGS = {
    # Commits survive a kill of the process, but need not survive the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",
    "listen_addresses": "127.0.0.1",
    "lc_messages": "C",
    "log_statement": "all",
    "log_parameter_max_length": "0",
    "log_line_prefix": "%q%u %d ",
}
# Continuation lines of an entry begin with a tab.
_ENTRY_PATTERN = re.compile(
    rb"^(?:(?P<user>\S+) (?P<database>\S+) LOG:  (?:statement|execute [^:]*): |(?=[^\t]))", re.MULTILINE
)
_READY_LINE = 8
"""Line of postmaster.pid with the server's state."""
_SHARED_MEMORY_LINE = 7
"""Line of postmaster.pid with key and id of the shared memory."""


class PostgreSQL(DatabaseServer):
    """PostgreSQL; without a certificate it refuses TLS."""

    scheme: ClassVar = "postgresql"
    create_statement: ClassVar = f"CREATE DATABASE {{}} OWNER {USER}"
    install_hint: ClassVar = "install postgresql to run this test (apt-get install postgresql)"
    stop_signal: ClassVar = signal.SIGINT

    @classmethod
    def find_program(cls) -> Path | None:
        """Return the path of postgres: in PATH, else the newest version in Debian's folder."""
        if program := shutil.which("postgres"):
            return Path(program).resolve()
        versions = sorted(_DEBIAN_FOLDER.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
        return versions[-1] if versions else None

    def _build_client_command(self, sql: str, database: str) -> list[str]:
        command = [self._tool_path("psql"), "--no-psqlrc", "--username=master"]
        address = [f"--host={self._folder}", f"--port={self.port}"]
        output_options = ["--quiet", "--no-align", "--tuples-only", "--field-separator=\t"]
        return [*command, *address, *output_options, f"--command={sql}", database or "postgres"]

    def kill(self) -> None:
        """Kill the server, and remove the shared memory that it leaves."""
        pid_lines = self._read_pid_file() if self._process else []
        super().kill()
        if len(pid_lines) >= _SHARED_MEMORY_LINE:
            memory_id = pid_lines[_SHARED_MEMORY_LINE - 1].split()[1]
            with suppress(FileNotFoundError):
                subprocess.run(["ipcrm", "--shmem-id", memory_id], check=False, capture_output=True)

    def _prepare(self) -> None:
        self._statement_log = LogFile(self._log_path, _ENTRY_PATTERN)
        super()._prepare()

    def _read_queries(self) -> Iterator[tuple[str, str]]:
        """Read the server's log."""
        for entry in self._statement_log.read_entries():
            if entry.groups["user"] == USER:
                yield entry.groups["database"], entry.text.replace("\n\t", "\n")

    def _initialize_data(self, data_folder: Path) -> None:
        self._account.run(
            self._tool_path("initdb"),
            f"--pgdata={data_folder}",
            "--username=master",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=1",
            "--no-sync",
        )
        self._account.run(
            self._tool_path("postgres"),
            "--single",
            "-D",
            data_folder,
            "postgres",
            input_text=f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'\n",
        )

    def _build_command(self, program: Path) -> list[str]:
        settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(self._folder)}
        if self._tls:
            settings["ssl"] = "on"
            settings["ssl_cert_file"] = str(self._folder / "tls.pem")
            settings["ssl_key_file"] = str(self._folder / "tls.key")
        options = (f"--{name}={value}" for name, value in settings.items())
        return [f"{program}", "-D", f"{self._data_folder}", *options]

    def _is_ready(self, pid: int) -> bool:
        pid_lines = self._read_pid_file()
        return pid_lines[:1] == [f"{pid}"] and pid_lines[_READY_LINE - 1 :] == ["ready   "]

    def _read_pid_file(self) -> list[str]:
        """Return the lines of postmaster.pid; empty if there is no such file."""
        try:
            return (self._data_folder / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _tool_path(self, name: str) -> str:
        """Return the path of a program from the server's folder."""
        program = self.find_program()
        if program is None:
            raise RuntimeError(self.install_hint)
        return str(program.with_name(name))
