"""The commands, their options and their help."""

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from graphql_api import __version__
from graphql_api.cli.interruption import run_until_stopped
from graphql_api.errors import CountriesError, InvalidSetting
from graphql_api.logging import configure_logging
from graphql_api.utils.formatting import escape_unprintable
from graphql_api.utils.near_misses import find_near_misses

if TYPE_CHECKING:
    from graphql_api.settings import Settings

_EPILOG = """
Settings come from environment variables or from a file .env in this folder;
docs/configuration.md lists them. Exit codes: 0 success, 1 failure, 2 wrong setting or argument,
3 stale or not live, 130 Ctrl-C, 141 the reader of the output has gone.
"""


class _Command(click.Command):
    """Names the setting for an option that other programs have, such as --port."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            setting = _find_setting(error.option_name)
            if setting is None:
                raise
            hint = f"Set {setting} in the environment or in .env, for example: {setting}=… {ctx.command_path}"
            raise click.UsageError(f"{error.format_message()} {hint}", ctx) from None


def _find_setting(option: str) -> str | None:
    from graphql_api.settings import Settings  # noqa: PLC0415 - right options do not wait for it

    name, settings = option.strip("-").replace("-", "_").upper(), Settings.list_names()
    return name if name in settings else next((setting for _, setting in find_near_misses([name], settings)), None)


class _Group(_Command, click.Group):
    """Prints the project's own errors as one line."""

    command_class = _Command

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

    `serve` is the only command you need: it creates the database, fills it, and refreshes it at the start and, in
    production, every six hours. The other commands run one step of that by hand.
    """


@program.command("serve")
def serve_command() -> None:
    """Serve the API until Ctrl-C.

    Migrates the database and fills an empty one from the bundled data. If the data is bundled or older than
    STALE_AFTER, tries a live refresh in the background, and another one every REFRESH_INTERVAL seconds: six hours in
    production, never elsewhere, unless set. HOST and PORT set the address to listen on, DATABASE_URL the database.
    Without ADMIN_TOKEN, HOST must be a loopback address.
    """
    # Collecting garbage among imports takes a tenth of the start and finds none.
    gc.disable()
    settings = _load_settings()
    configure_logging(settings.log_level, settings.effective_log_format)
    _warn_of_near_misses()
    from graphql_api.server.listeners import open_listeners  # noqa: PLC0415 - --help does not wait for it

    with open_listeners(settings.host, settings.port) as listeners:
        # Of what is listened on: a name may stand for any address, and HOST may be set for another program.
        settings.require_secure_exposure([listener.getsockname()[0] for listener in listeners])
        from graphql_api.cli.serve import serve  # noqa: PLC0415 - a wrong setting does not wait for it

        serve(settings, listeners)


@program.command("refresh")
@click.option("--force", is_flag=True, help="Request every provider, also those that have nothing new.")
@click.option("--live", is_flag=True, help="Exit with 3 if no live source could be used, for cron.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and no progress.")
def refresh_command(*, force: bool, live: bool, as_json: bool) -> None:
    """Fetch every source once and store the countries.

    Prints which providers the data came from, which records were skipped and how long each phase took; on stderr, which
    live sources failed. Servers on the same database serve the new data within SNAPSHOT_POLL seconds. If the refresh
    fails, the stored data stays as it was.
    """
    settings = _load_settings_of_command()
    from graphql_api.cli.refresh import refresh  # noqa: PLC0415 - a wrong setting does not wait for it

    refresh(settings, force=force, require_live=live, as_json=as_json)


@program.command("status")
@click.argument("url", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
def status_command(url: str | None, *, as_json: bool) -> None:
    """Show what a running server serves.

    By default the one of this folder's settings, else the one at URL.

    Exit codes, for monitors: 0 all is well, 1 no server of this program responds there, 3 its data is stale or its
    database is away.
    """
    from graphql_api.cli.status import show_status  # noqa: PLC0415 - --help does not wait for it

    show_status(url or _local_url(), as_json=as_json)


def _local_url() -> str:
    """Return the URL at which this machine reaches a server of the same settings."""
    from graphql_api.server.listeners import loopback_url  # noqa: PLC0415 - --help does not wait for it

    settings = _load_settings_of_command()
    return loopback_url(settings.host, settings.port)


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
    settings = _load_settings_of_command()
    from graphql_api.components import migrate_database  # noqa: PLC0415 - a wrong setting does not wait for it

    has_migrated = run_until_stopped(migrate_database(settings))
    click.echo("Migrated." if has_migrated else "Nothing to do: the database is up to date.")


def _load_settings() -> "Settings":
    from graphql_api.settings import Settings  # noqa: PLC0415 - --help does not wait for it

    return Settings.load()


def _load_settings_of_command() -> "Settings":
    """Return the settings of a command that uses the database, but serves nobody."""
    settings = _load_settings()
    # The log is not configured, so warnings are plain lines on stderr.
    _warn_of_near_misses()
    settings.require_database()
    return settings


def _warn_of_near_misses() -> None:
    from graphql_api.settings import warn_of_near_misses  # noqa: PLC0415 - --help does not wait for it

    warn_of_near_misses(os.environ)
