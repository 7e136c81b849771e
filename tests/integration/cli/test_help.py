"""Help and version of the command line, and its errors for unknown commands and options."""

from pathlib import Path

import pytest

from graphql_api import __version__
from tests.support.processes import CommandResult, list_paths, run_command

HELP = """\
Usage: graphql-api [OPTIONS] COMMAND [ARGS]...

  A GraphQL API for the world's countries.

  `serve` is the only command you need: it creates the database, fills it, and
  refreshes it at the start and, in production, every six hours. The other
  commands run one step of that by hand.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  migrate  Migrate the database to the tables of this version.
  refresh  Fetch every source once and store the countries.
  schema   Print the GraphQL schema.
  serve    Serve the API until Ctrl-C.
  status   Show what a running server serves.

  Settings come from environment variables or from a file .env in this folder;
  docs/configuration.md lists them. Exit codes: 0 success, 1 failure, 2 wrong
  setting or argument, 3 stale or not live, 130 Ctrl-C, 141 the reader of the
  output has gone.
"""
SET = "Set {0} in the environment or in .env, for example: {0}=… graphql-api {1}"
REFRESH = """\
Usage: graphql-api refresh [OPTIONS]

  Fetch every source once and store the countries.

  Prints which providers the data came from, which records were skipped and
  how long each phase took; on stderr, which live sources failed. Servers on
  the same database serve the new data within SNAPSHOT_POLL seconds. If the
  refresh fails, the stored data stays as it was.

Options:
  --force     Request every provider, also those that have nothing new.
  --live      Exit with 3 if no live source could be used, for cron.
  --json      Print the report as JSON, and no progress.
  -h, --help  Show this message and exit.
"""


def test_help(tmp_path: Path) -> None:
    """The help lists every command with its first line, uncut."""
    assert run_command(tmp_path, "--help") == CommandResult(0, HELP, "")


def test_no_command(tmp_path: Path) -> None:
    """Without a command, the help goes to stderr and the exit code is 2."""
    assert run_command(tmp_path) == CommandResult(2, "", HELP)


def test_help_of_a_command(tmp_path: Path) -> None:
    """A command prints its help even with a wrong setting, and does nothing else."""
    assert run_command(tmp_path, "refresh", "-h", PORT="http") == CommandResult(0, REFRESH, "")
    assert list_paths(tmp_path) == []


def test_version(tmp_path: Path) -> None:
    """`--version` prints the package's version."""
    assert run_command(tmp_path, "--version") == CommandResult(0, f"graphql-api, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "command", "message"),
    [
        (("refersh",), "", "No such command 'refersh'. Did you mean 'refresh'?"),
        (("serve", "now"), " serve", "Got unexpected extra argument (now)"),
        (("serve", "--reload"), " serve", "No such option '--reload'."),
        (("serve", "--port", "9000"), " serve", f"No such option '--port'. {SET.format('PORT', 'serve')}"),
        (
            ("refresh", "--api-timeot=3"),
            " refresh",
            f"No such option '--api-timeot'. {SET.format('API_TIMEOUT', 'refresh')}",
        ),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: tuple[str, ...], command: str, message: str) -> None:
    """An unknown command, option or argument is rejected, and nothing is done."""
    result = run_command(tmp_path, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[1:] == [f"Try 'graphql-api{command} --help' for help.", "", f"Error: {message}"]
    assert list_paths(tmp_path) == []


@pytest.mark.slow
def test_error_with_hostile_text(tmp_path: Path) -> None:
    """An error that quotes a setting is one line without characters that control the terminal or reorder the text."""
    url = "sqlite:////proc/a\x1b[31m\u202e\nb/countries.db"
    result = run_command(tmp_path, "migrate", DATABASE_URL=url)
    assert result.exit_code == 1
    assert result.stderr == (
        r"graphql-api: Cannot create the folder /proc/a\x1b[31m\u202e\nb for the database (No such file or directory); "
        "set DATABASE_URL to a writable path.\n"
    )
