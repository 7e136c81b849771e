"""A MariaDB server for tests."""

import re
import shutil
from pathlib import Path
from typing import ClassVar

from tests.support.db_servers.mysql_family import FAST_OPTIONS, MySQLFamilyServer

_FAST_OPTIONS = (*FAST_OPTIONS, "--innodb-log-file-size=8M", "--skip-log-bin")


class MariaDB(MySQLFamilyServer):
    """MariaDB; without a certificate it refuses TLS."""

    install_hint: ClassVar = "install mariadb-server to run this test (apt-get install mariadb-server)"
    general_log_pattern: ClassVar = re.compile(
        rb"^(?:(?:\d{6} [ \d]\d:\d\d:\d\d\t|\t\t) *(?P<connection>\d+) (?P<kind>[A-Z][A-Za-z ]*)\t"
        # The log's header, which each start writes again.
        rb"|[^\n]*mariadbd, Version: )",
        re.MULTILINE,
    )

    @classmethod
    def find_program(cls) -> Path | None:
        """Return the path of mariadbd, None if it is not installed."""
        path = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
        return Path(path) if path else None

    def _client_program(self) -> list[str]:
        return ["mariadb"]

    def _initialize_data(self, data_folder: Path) -> None:
        self._account.run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data_folder}",
            # Servers that share a folder remove each other's temporary files.
            f"--tmpdir={self._folder}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *_FAST_OPTIONS,
        )

    def _build_command(self, program: Path) -> list[str]:
        return [*super()._build_command(program), *_FAST_OPTIONS]
