"""The part of a server for tests that MariaDB and MySQL share: client, general log, files."""

import re
import socket
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from tests.support.db_servers.logs import LogFile
from tests.support.db_servers.process import PASSWORD, USER, DatabaseServer
from tests.support.wait import WAIT_TIMEOUT

FAST_OPTIONS = (
    "--innodb-buffer-pool-dump-at-shutdown=0",
    "--innodb-buffer-pool-load-at-startup=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-doublewrite=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-use-native-aio=0",
    "--skip-name-resolve",
)
"""Commits survive a kill of the process, but need not survive the machine."""
_CONNECT_PATTERN = re.compile(rf"{USER}@\S* on (?P<database>.*) using ")
_USE_PATTERN = re.compile(r"\s*use\s+`?(?P<database>[^`;\s]+)", re.IGNORECASE)
_SQL_COMMANDS = {"Query", "Prepare", "Execute"}


class MySQLFamilyServer(DatabaseServer):
    """A server that speaks MySQL's protocol."""

    scheme: ClassVar = "mysql"
    init_sql: ClassVar = f"CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO {USER};\n"
    """Runs at each start, one statement a line."""
    general_log_pattern: ClassVar[re.Pattern[bytes]]
    """Matches the beginning of an entry. A statement with such a line in it would be read as one; no test sends it."""

    @abstractmethod
    def _client_program(self) -> list[str]:
        """Return the command of the server's own client."""

    def _build_client_command(self, sql: str, database: str) -> list[str]:
        command = [*self._client_program(), "--no-defaults", f"--socket={self._socket}", "--user=root"]
        output_options = ["--batch", "--skip-column-names", "--default-character-set=utf8mb4"]
        return [*command, *output_options, f"--execute={sql}", database]

    def _read_queries(self) -> Iterator[tuple[str, str]]:
        """Read the general log, which strips spaces and semicolons at the end of a statement."""
        databases: dict[str, str | None] = {}
        for entry in self._general_log.read_entries():
            connection, kind = entry.groups["connection"], entry.groups["kind"]
            if kind == "Connect":
                match = _CONNECT_PATTERN.match(entry.text)
                databases[connection] = match["database"] if match else None
            database = databases.get(connection)
            if database is None:
                continue
            if kind == "Init DB":
                databases[connection] = entry.text
            elif kind in _SQL_COMMANDS:
                yield database, entry.text
                use_match = _USE_PATTERN.match(entry.text)
                databases[connection] = use_match["database"] if use_match else database

    def _prepare(self) -> None:
        self._init_file.write_text(self.init_sql, "utf-8")
        self._general_log = LogFile(self._folder / "general.log", self.general_log_pattern)
        super()._prepare()

    def _build_command(self, program: Path) -> list[str]:
        tls = {"ssl-cert": "tls.pem", "ssl-key": "tls.key"} if self._tls else {}
        return [
            f"{program}",
            "--no-defaults",
            f"--datadir={self._data_folder}",
            f"--socket={self._socket}",
            f"--tmpdir={self._folder}",
            f"--pid-file={self._folder / 'pid'}",
            f"--init-file={self._init_file}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--general-log=1",
            f"--general-log-file={self._general_log.path}",
            *(f"--{name}={self._folder / file}" for name, file in tls.items()),
        ]

    def _is_ready(self, _pid: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), WAIT_TIMEOUT) as connection:
                return connection.recv(1) != b""
        except ConnectionError:
            return False

    @property
    def _socket(self) -> Path:
        return self._folder / "socket"

    @property
    def _init_file(self) -> Path:
        return self._folder / "start.sql"
