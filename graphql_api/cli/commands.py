"""The commands, their options and their help."""

import gc
import sys
from typing import TYPE_CHECKING

import click

from graphql_api import __version__
from graphql_api.cli.interruption import run_until_stopped
from graphql_api.errors import CountriesError, InvalidSetting
from graphql_api.utils.formatting import escape_unprintable

if TYPE_CHECKING:
    from graphql_api.settings import Settings

_EPILOG = """
Settings come from environment variables or from a file .env in this folder;
docs/configuration.md lists them. Exit codes: 0 success, 1 failure, 2 wrong setting or argument,
130 Ctrl-C, 141 the reader of the output has gone.
"""


class _Group(click.Group):
    """Prints the project's own errors as one line."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CountriesError as error:
            click.echo(f"graphql-api: {escape_unprintable(str(error))}", err=True)
            sys.exit(2 if isinstance(error, InvalidSetting) else 1)


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="graphql-api")
def program() -> None:
    """A GraphQL API for the world's countries.

    `serve` is the only command you need: it creates the database, fills it and refreshes it. The
    other commands run one step of that by hand.
    """


@program.command("serve")
def serve_command() -> None:
    """Serve the API until Ctrl-C.

    Migrates the database, fills an empty one from the bundled data, then tries a live refresh in
    the background. HOST and PORT set the address to listen on, DATABASE_URL the database. Without
    ADMIN_TOKEN, HOST must be a loopback address.
    """
    # Collecting garbage among imports takes a tenth of the start and finds none.
    gc.disable()
    settings = _load_settings()
    from graphql_api.server.listeners import open_listeners  # noqa: PLC0415 - --help does not wait for it

    with open_listeners(settings.host, settings.port) as listeners:
        # Of what is listened on: a name may stand for any address, and HOST may be set for another program.
        settings.require_secure_exposure([listener.getsockname()[0] for listener in listeners])
        from graphql_api.cli.serve import serve  # noqa: PLC0415 - a wrong setting does not wait for it

        serve(settings, listeners)


@program.command("refresh")
@click.option("--force", is_flag=True, help="Request every provider, also those that have nothing new.")
def refresh_command(*, force: bool) -> None:
    """Fetch every source once and store the countries.

    Prints which providers the data came from and how long each phase took. Servers on the same database serve the new
    data within SNAPSHOT_POLL seconds. If the refresh fails, the stored data stays as it was.
    """
    settings = _load_settings()
    from graphql_api.cli.refresh import refresh  # noqa: PLC0415 - a wrong setting does not wait for it

    refresh(settings, force=force)


@program.command()
def schema() -> None:
    """Print the GraphQL schema.

    The repository has a copy of it in schema.graphql.
    """
    from graphql_api.execution.engine import build_schema  # noqa: PLC0415 - --help does not wait for it

    click.echo(build_schema(introspection=True))


@program.command()
def migrate() -> None:
    """Migrate the database to the tables of this version.

    `serve` and `refresh` do so too. Run it by hand to choose the time, for example before a deployment.
    """
    settings = _load_settings()
    from graphql_api.components import migrate_database  # noqa: PLC0415 - a wrong setting does not wait for it

    has_migrated = run_until_stopped(migrate_database(settings))
    click.echo("Migrated." if has_migrated else "Nothing to do: the database is up to date.")


def _load_settings() -> "Settings":
    from graphql_api.settings import Settings  # noqa: PLC0415 - --help does not wait for it

    return Settings.load()
