"""A PostgreSQL of a test's own."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from tests.servers.logs import Log
from tests.servers.process import PASSWORD, USER, Server

_DEBIAN = Path("/usr/lib/postgresql")
_SETTINGS = {
    # What is committed outlives the process, as everywhere, but need not outlive the machine.
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
# Every line that goes on with an entry begins with a tab.
_ENTRY = re.compile(
    rb"^(?:(?P<user>\S+) (?P<database>\S+) LOG:  (?:statement|execute [^:]*): |(?=[^\t]))",
    re.MULTILINE,
)
_READY = 8
"""The line of postmaster.pid that says whether the server is ready."""
_SHARED_MEMORY = 7
"""The line of postmaster.pid that names the shared memory, after its key."""


class PostgreSQL(Server):
    """The server; without a certificate it speaks no TLS."""

    scheme: ClassVar = "postgresql"
    creation: ClassVar = f"CREATE DATABASE {{}} OWNER {USER}"
    missing: ClassVar = "install postgresql to run this test (apt-get install postgresql)"
    ending: ClassVar = signal.SIGINT

    @classmethod
    def find(cls) -> Path | None:
        """Return where postgres is: in PATH, or the newest where Debian puts them."""
        if found := shutil.which("postgres"):
            return Path(found).resolve()
        versions = sorted(_DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
        return versions[-1] if versions else None

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL as the superuser, and return its rows: tabs between columns, no head."""
        client = [self._tool("psql"), "--no-psqlrc", f"--host={self._folder}", "--username=master"]
        shown = ["--quiet", "--no-align", "--tuples-only", "--field-separator=\t"]
        done = subprocess.run(
            [*client, *shown, f"--port={self.port}", f"--command={sql}", database],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.removesuffix("\n")

    def kill(self) -> None:
        """End the server at once, and remove the memory that outlives it."""
        status = self._status() if self._process else []
        super().kill()
        if len(status) >= _SHARED_MEMORY:
            memory = status[_SHARED_MEMORY - 1].split()[1]
            with suppress(FileNotFoundError):
                subprocess.run(["ipcrm", "--shmem-id", memory], check=False, capture_output=True)

    def _prepare(self) -> None:
        self._written = Log(self._log, _ENTRY)
        super()._prepare()

    def _sent(self) -> Iterator[tuple[str, str]]:
        """Read the server's log."""
        for entry in self._written.entries():
            if entry.head["user"] == USER:
                yield entry.head["database"], entry.text.replace("\n\t", "\n")

    def _make(self, data: Path) -> None:
        self._account.run(
            self._tool("initdb"),
            f"--pgdata={data}",
            "--username=master",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--wal-segsize=1",
            "--no-sync",
        )
        self._account.run(
            self._tool("postgres"),
            "--single",
            "-D",
            data,
            "postgres",
            text=f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'\n",
        )

    def _command(self, program: Path) -> list[str]:
        settings = {
            **_SETTINGS,
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
        }
        if self._tls:
            settings["ssl"] = "on"
            settings["ssl_cert_file"] = str(self._folder / "tls.pem")
            settings["ssl_key_file"] = str(self._folder / "tls.key")
        given = (f"--{name}={value}" for name, value in settings.items())
        return [f"{program}", "-D", f"{self._data}", *given]

    def _is_ready(self, process: int) -> bool:
        status = self._status()
        return status[:1] == [f"{process}"] and status[_READY - 1 :] == ["ready   "]

    def _status(self) -> list[str]:
        """Return the lines of postmaster.pid, none where there is no such file."""
        try:
            return (self._data / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _tool(self, name: str) -> str:
        """Return the path of a program that belongs to the server."""
        program = self.find()
        if program is None:
            raise RuntimeError(self.missing)
        return str(program.with_name(name))
