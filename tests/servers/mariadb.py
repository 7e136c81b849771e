"""A MariaDB of a test's own."""

import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import ClassVar

from tests.servers.logs import Entries
from tests.servers.process import PASSWORD, PATIENCE, USER, Server
from tests.servers.tls import Certificate

# What a test writes it reads soon or never, so nothing has to outlive the machine.
_QUICK = (
    "--innodb-buffer-pool-dump-at-shutdown=0",
    "--innodb-buffer-pool-load-at-startup=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-doublewrite=0",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-log-file-size=8M",
    "--innodb-use-native-aio=0",
    "--skip-log-bin",
    "--skip-name-resolve",
)
_ENTRY = re.compile(
    rb"^(?:(?:\d{6} [ \d]\d:\d\d:\d\d\t|\t\t) *(?P<connection>\d+) (?P<kind>[A-Z][A-Za-z ]*)\t"
    # With which the log begins again after each start.
    rb"|[^\n]*mariadbd, Version: )",
    re.MULTILINE,
)
_CONNECTED = re.compile(rf"{USER}@\S* on (?P<database>.*) using ")
_USE = re.compile(r"\s*use\s+`?(?P<database>[^`;\s]+)", re.IGNORECASE)
_SQL = {b"Query", b"Prepare", b"Execute"}


class MariaDB(Server):
    """The server; without a certificate it speaks no TLS."""

    scheme: ClassVar = "mysql"
    missing: ClassVar = "install mariadb-server to run this test (apt-get install mariadb-server)"

    def __init__(
        self,
        *arguments: str,
        tls: Certificate | None = None,
        template: Path | None = None,
    ) -> None:
        """Take arguments of mariadbd."""
        super().__init__(*arguments, tls=tls, template=template)
        self._entries: Entries | None = None
        self._where: dict[bytes, str] = {}
        self._queries: list[tuple[str, str]] = []

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

    def queries(self, database: str | None = None) -> list[str]:
        """Return what the general log has of the tests' connections."""
        self._entries = self._entries or Entries(self._folder / "general.log", _ENTRY)
        for start, text in self._entries.new():
            self._note(start["connection"], start["kind"], text)
        return [sql for where, sql in self._queries if database in {None, where}]

    def _note(self, connection: bytes, kind: bytes, text: str) -> None:
        if kind == b"Connect":
            self._where.pop(connection, None)
            if connected := _CONNECTED.match(text):
                self._where[connection] = connected["database"]
        elif connection not in self._where:
            return
        elif kind == b"Init DB":
            self._where[connection] = text
        elif kind in _SQL:
            self._queries.append((self._where[connection], text))
            if use := _USE.match(text):
                self._where[connection] = use["database"]

    def _make(self, data: Path) -> None:
        self._account.run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
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
            f"--general-log-file={self._folder / 'general.log'}",
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
