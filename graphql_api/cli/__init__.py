"""The command line: arguments in, text and exit codes out; the work is done by `app`."""

import asyncio
import gc
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from graphql_api import __version__
from graphql_api.errors import CountriesError, InvalidSetting

P = ParamSpec("P")

_EPILOG = """
Settings come from environment variables or from a file .env in this folder; README.md lists them.
Exit codes: 0 done, 1 failed, 2 a setting or an argument is wrong, 130 interrupted.
"""


def _handle_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Tell the errors that a person can act on in one line; Ctrl-C ends quietly."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except InvalidSetting as error:
            _exit_with_error(error, exit_code=2)
        except CountriesError as error:
            _exit_with_error(error, exit_code=1)
        except KeyboardInterrupt:
            sys.exit(130)

    return wrapper


def _exit_with_error(error: CountriesError, *, exit_code: int) -> None:
    click.echo(f"graphql-api: {error}", err=True)
    sys.exit(exit_code)


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="graphql-api")
def main() -> None:
    """A GraphQL API for the world's countries.

    `serve` is all that is needed: it makes the database, fills it and keeps it fresh enough to
    look at. The other commands do one part of it by hand.
    """


@main.command("serve")
@_handle_errors
def serve_command() -> None:
    """Serve the API until Ctrl-C.

    Migrates the database, fills an empty one from the data bundled with the package, then tries a
    live refresh in the background. HOST and PORT say where to listen, DATABASE_URL where the data
    is. Without ADMIN_TOKEN it serves this machine alone.
    """
    # What is imported stays: to look for garbage in it takes a tenth of the start.
    gc.disable()
    from graphql_api.settings import Settings  # noqa: PLC0415 - --help does not wait for it

    settings = Settings.load()
    settings.require_secure_exposure()
    from graphql_api.cli.serve import serve  # noqa: PLC0415 - a wrong setting does not wait for it

    serve(settings)


@main.command("refresh")
@click.option("--force", is_flag=True, help="Ask every provider, also one without anything new.")
@_handle_errors
def refresh_command(*, force: bool) -> None:
    """Fetch every source once and store the countries.

    Prints where the data came from and how long each part took. A server on the same database
    serves the new data a moment later. When a source fails it changes nothing, and ends with
    exit code 1 and one line.
    """
    from graphql_api.settings import Settings  # noqa: PLC0415 - --help does not wait for it

    settings = Settings.load()
    from graphql_api.cli.refresh import refresh  # noqa: PLC0415 - a wrong setting does not wait for it

    asyncio.run(refresh(settings, force=force))


@main.command()
@_handle_errors
def schema() -> None:
    """Print the GraphQL schema.

    The file schema.graphql in the repository is made so.
    """
    from graphql_api.execution.engine import build_schema  # noqa: PLC0415 - as above

    click.echo(build_schema(introspection=True))


@main.command()
@_handle_errors
def migrate() -> None:
    """Bring the database to the tables of this version.

    `serve` and `refresh` do it too; this is for those who want it done at a time of their own.
    """
    from graphql_api.settings import Settings  # noqa: PLC0415 - --help does not wait for it

    settings = Settings.load()
    from graphql_api.components import migrate_database  # noqa: PLC0415 - as above

    has_migrated = asyncio.run(migrate_database(settings))
    click.echo("Migrated." if has_migrated else "Nothing to do: the database is up to date.")
