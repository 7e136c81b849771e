"""A MySQL server for tests."""

import os
import re
import shutil
from pathlib import Path
from typing import ClassVar

from tests.support.certificates import Certificate
from tests.support.db_servers.mysql_family import FAST_OPTIONS, MySQLFamilyServer
from tests.support.db_servers.process import UserAccount

_UNPACKED = Path(os.environ.get("TEST_MYSQL") or Path(__file__).parents[3] / "var/mysql")
"""Folder of `.ci/fetch-mysql`."""
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_FAST_OPTIONS = (*FAST_OPTIONS, "--innodb-redo-log-capacity=16M", "--mysqlx=0")
OWN_CERTIFICATE = "--tls-version=TLSv1.2,TLSv1.3"
"""Argument of a server that uses the certificate which it generated with its data."""


class MySQL(MySQLFamilyServer):
    """MySQL; without a certificate it refuses TLS, and passwords are sent encrypted with its RSA key."""

    install_hint: ClassVar = "run `.ci/fetch-mysql var/mysql` to run this test, or put mysqld of MySQL 8 or 9 in PATH"
    general_log_pattern: ClassVar = re.compile(
        rb"^(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\S+\t *(?P<connection>\d+) (?P<kind>[A-Z][A-Za-z ]*)\t"
        # The log's header, which each start writes again.
        rb"|[^\n]*mysqld, Version: )",
        re.MULTILINE,
    )

    def __init__(self, *arguments: str, tls: Certificate | None = None, template: Path | None = None) -> None:
        """Pass `arguments` to the program, as `DatabaseServer` does."""
        super().__init__(*arguments, tls=tls, template=template)
        # It accepts root, which may be the only user that can read the folder of the program.
        self._account = UserAccount()

    @classmethod
    def find_program(cls) -> Path | None:
        """Return the path of mysqld: in PATH, unless it is MariaDB's, else unpacked by `.ci/fetch-mysql`."""
        program = shutil.which("mysqld")
        if program and Path(program).resolve().name == "mysqld":
            return Path(program)
        unpacked = _UNPACKED / "usr/sbin/mysqld"
        return unpacked if unpacked.exists() else None

    @property
    def own_authority(self) -> Path:
        """Return the authority of the certificate that the server generated."""
        return self._data_folder / "ca.pem"

    def _client_program(self) -> list[str]:
        program = self._require_program()
        return command_of(program.parents[1] / "bin/mysql")

    def _initialize_data(self, data_folder: Path) -> None:
        program = self._require_program()
        command = [*command_of(program), "--no-defaults", *_folder_options(program), *_FAST_OPTIONS]
        self._account.run(*command, f"--datadir={data_folder}", "--initialize-insecure")

    def _build_command(self, program: Path) -> list[str]:
        tls_options = [] if self._tls else ["--tls-version="]
        _, *options = super()._build_command(program)
        return [
            *command_of(program),
            *options,
            *_folder_options(program),
            *_FAST_OPTIONS,
            "--skip-log-bin",
            *tls_options,
        ]

    def _require_program(self) -> Path:
        program = self.find_program()
        if program is None:
            raise RuntimeError(self.install_hint)
        return program


def command_of(program: Path) -> list[str]:
    """Return the command that starts a program, with its own loader and C library if it was unpacked."""
    if not program.is_relative_to(_UNPACKED):
        return [str(program)]
    folders = [_UNPACKED / name for name in (_LIBRARIES, "usr/lib/mysql-router", "usr/lib/mysqlrouter/plugin")]
    loader = _UNPACKED / _LIBRARIES / "ld-linux-x86-64.so.2"
    return [str(loader), "--library-path", ":".join(map(str, folders)), str(program)]


def _folder_options(program: Path) -> list[str]:
    if not program.is_relative_to(_UNPACKED):
        return ["--user=root", "--secure-file-priv=NULL"]
    messages = _UNPACKED / "usr/share/mysql"
    return [
        "--user=root",
        "--secure-file-priv=NULL",
        f"--basedir={_UNPACKED / 'usr'}",
        f"--plugin-dir={_UNPACKED / 'usr/lib/mysql/plugin'}",
        f"--lc-messages-dir={messages}",
        f"--character-sets-dir={messages / 'charsets'}",
    ]
