"""A MariaDB of a test's own."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from tests.servers.logs import Log
from tests.servers.process import PASSWORD, PATIENCE, USER, Server

# What is committed outlives the process, as everywhere, but need not outlive the machine.
_QUICK = (
    "--innodb-buffer-pool-dump-at-shutdown=0",
    "--innodb-buffer-pool-load-at-startup=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-doublewrite=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-log-file-size=8M",
    "--innodb-use-native-aio=0",
    "--skip-log-bin",
    "--skip-name-resolve",
)
# A line like this within a statement would be taken for an entry; no test has a reason to send one.
_ENTRY = re.compile(
    rb"^(?:(?:\d{6} [ \d]\d:\d\d:\d\d\t|\t\t) *(?P<connection>\d+) (?P<kind>[A-Z][A-Za-z ]*)\t"
    # With which the log begins again after each start.
    rb"|[^\n]*mariadbd, Version: )",
    re.MULTILINE,
)
_CONNECTED = re.compile(rf"{USER}@\S* on (?P<database>.*) using ")
_USE = re.compile(r"\s*use\s+`?(?P<database>[^`;\s]+)", re.IGNORECASE)
_SQL = {"Query", "Prepare", "Execute"}


class MariaDB(Server):
    """The server; without a certificate it speaks no TLS."""

    scheme: ClassVar = "mysql"
    missing: ClassVar = "install mariadb-server to run this test (apt-get install mariadb-server)"

    @classmethod
    def find(cls) -> Path | None:
        """Return where mariadbd is."""
        found = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
        return Path(found) if found else None

    def execute(self, sql: str, database: str = "") -> str:
        """Run SQL as root, and return its rows: tabs between columns, no head."""
        client = ["mariadb", "--no-defaults", f"--socket={self._socket}", "--user=root"]
        shown = ["--batch", "--skip-column-names", "--default-character-set=utf8mb4"]
        done = subprocess.run(
            [*client, *shown, f"--execute={sql}", database],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.removesuffix("\n")

    def _sent(self) -> Iterator[tuple[str, str]]:
        """Read the general log, which lacks spaces and semicolons at the end of a statement."""
        where: dict[str, str | None] = {}
        for entry in self._written.entries():
            connection, kind = entry.head["connection"], entry.head["kind"]
            if kind == "Connect":
                test = _CONNECTED.match(entry.text)
                where[connection] = test["database"] if test else None
            database = where.get(connection)
            if database is None:
                continue
            if kind == "Init DB":
                where[connection] = entry.text
            elif kind in _SQL:
                yield database, entry.text
                use = _USE.match(entry.text)
                where[connection] = use["database"] if use else database

    def _make(self, data: Path) -> None:
        self._account.run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            # In a folder that they share, servers remove the temporary files of each other.
            f"--tmpdir={self._folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *_QUICK,
        )

    def _prepare(self) -> None:
        self._start_sql.write_text(
            f"CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {USER};\n",
            "utf-8",
        )
        self._written = Log(self._folder / "general.log", _ENTRY)
        super()._prepare()

    def _command(self, program: Path) -> list[str]:
        tls = {"ssl-cert": "tls.pem", "ssl-key": "tls.key"} if self._tls else {}
        return [
            f"{program}",
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self._socket}",
            f"--tmpdir={self._folder}",
            f"--pid-file={self._folder / 'pid'}",
            f"--init-file={self._start_sql}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--general-log=1",
            f"--general-log-file={self._written.path}",
            *_QUICK,
            *(f"--{name}={self._folder / file}" for name, file in tls.items()),
        ]

    def _is_ready(self, _process: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as greeted:
                return greeted.recv(1) != b""
        except ConnectionError:
            return False

    @property
    def _socket(self) -> Path:
        return self._folder / "socket"

    @property
    def _start_sql(self) -> Path:
        return self._folder / "start.sql"
