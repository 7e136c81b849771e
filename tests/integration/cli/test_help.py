"""What the program says of itself, and how it refuses a command that there is none of."""

from pathlib import Path

import pytest

from graphql_api import __version__
from tests.support.processes import CommandResult, list_paths, run_command

HELP = """\
Usage: graphql-api [OPTIONS] COMMAND [ARGS]...

  A GraphQL API for the world's countries.

  `serve` is all that is needed: it makes the database, fills it and keeps it
  fresh enough to look at. The other commands do one part of it by hand.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  migrate  Bring the database to the tables of this version.
  refresh  Fetch every source once and store the countries.
  schema   Print the GraphQL schema.
  serve    Serve the API until Ctrl-C.

  Settings come from environment variables or from a file .env in this folder;
  README.md lists them. Exit codes: 0 done, 1 failed, 2 a setting or an
  argument is wrong, 130 interrupted.
"""
REFRESH = """\
Usage: graphql-api refresh [OPTIONS]

  Fetch every source once and store the countries.

  Prints where the data came from and how long each part took. A server on the
  same database serves the new data a moment later. When a source fails it
  changes nothing, and ends with exit code 1 and one line.

Options:
  --force     Ask every provider, also one without anything new.
  -h, --help  Show this message and exit.
"""


def test_help(tmp_path: Path) -> None:
    """The help lists every command with a whole line of what it does."""
    assert run_command(tmp_path, "--help") == CommandResult(0, HELP, "")


def test_no_command(tmp_path: Path) -> None:
    """Without a command the help is shown as what is missing."""
    assert run_command(tmp_path) == CommandResult(2, "", HELP)


def test_help_of_a_command(tmp_path: Path) -> None:
    """The help of a command says what it does, even with a setting wrong; nothing is done."""
    assert run_command(tmp_path, "refresh", "-h", PORT="http") == CommandResult(0, REFRESH, "")
    assert list_paths(tmp_path) == []


def test_version(tmp_path: Path) -> None:
    """The version is the package's."""
    assert run_command(tmp_path, "--version") == CommandResult(
        0, f"graphql-api, version {__version__}\n", ""
    )


@pytest.mark.parametrize(
    ("arguments", "command", "said"),
    [
        (("refersh",), "", "No such command 'refersh'. Did you mean 'refresh'?"),
        (("serve", "now"), " serve", "Got unexpected extra argument (now)"),
        (("serve", "--port"), " serve", "No such option '--port'."),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, arguments: tuple[str, ...], command: str, said: str
) -> None:
    """A command or an option that there is none of is refused, and nothing is done."""
    result = run_command(tmp_path, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[1:] == [
        f"Try 'graphql-api{command} --help' for help.",
        "",
        f"Error: {said}",
    ]
    assert list_paths(tmp_path) == []
