"""The command line: arguments, exit codes, and one-line errors. Other modules do the work."""

from collections.abc import Sequence

from graphql_api.utils.signals import exit_at_once, set_stop_handler


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code. Default: the arguments of this process."""
    set_stop_handler(exit_at_once)
    from graphql_api.cli.commands import program  # noqa: PLC0415 - a signal may arrive while this imports
    from graphql_api.cli.streams import protected_streams  # noqa: PLC0415 - the signals come first

    with protected_streams():
        program(arguments, prog_name="graphql-api")
