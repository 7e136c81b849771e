"""`graphql-api refresh`: run one refresh, show its progress and print its report."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from strawberry.utils.str_converters import to_camel_case

from graphql_api.cli.interruption import run_until_stopped
from graphql_api.components import Components
from graphql_api.domain.report import RefreshReport, SourceReport, Timings
from graphql_api.errors import SourceInvalid, SourceUnavailable
from graphql_api.logging import configure_logging
from graphql_api.refresh.pipeline import RefreshOptions
from graphql_api.refresh.progress import Listener, Phase, Progress
from graphql_api.schema.scalars import format_instant
from graphql_api.settings import Settings
from graphql_api.utils.formatting import escape_unprintable

_BAR_WIDTH = 40
"""Characters of the bar of the total time."""


NOTHING_LIVE = 3
"""Exit code of a refresh that had to be live, and was not."""


def refresh(settings: Settings, *, force: bool, require_live: bool, as_json: bool) -> None:
    """Run one refresh and print its report; with `force`, request providers without news too.

    Raises:
        CountriesError: the refresh failed and changed nothing.
        SystemExit: a signal stopped the refresh, or `require_live` is set and no source was live.
    """
    # The report replaces the log lines below error.
    configure_logging("error", settings.effective_log_format)
    # Without wrapping, a pipe or a log has whole lines to search.
    console = Console(highlight=False, soft_wrap=True)
    components = Components(settings)
    progress_console = Console(highlight=False, soft_wrap=True, quiet=as_json)
    try:
        report = run_until_stopped(_run_refresh(components, progress_console, force=force), components.close)
    except (SourceUnavailable, SourceInvalid) as error:
        if not require_live:
            raise
        click.echo(f"graphql-api: {escape_unprintable(str(error))}", err=True)
        sys.exit(NOTHING_LIVE)
    if as_json:
        click.echo(_to_json(report))
    else:
        _print_report(console, report)
    if report.warning:
        click.echo(f"graphql-api: {report.warning}", err=True)
    if require_live and not report.is_live:
        sys.exit(NOTHING_LIVE)


def _to_json(report: RefreshReport) -> str:
    """Return a report as JSON, under the names that its fields have in the GraphQL API."""
    fields = {**asdict(report), "total_countries": report.total_countries, "warning": report.warning}
    return json.dumps(_camelize(fields), default=format_instant, ensure_ascii=False, indent=2)


def _camelize(value: object) -> object:
    if isinstance(value, dict):
        return {to_camel_case(name): _camelize(field) for name, field in value.items()}
    return [_camelize(item) for item in value] if isinstance(value, tuple) else value


async def _run_refresh(components: Components, console: Console, *, force: bool) -> RefreshReport:
    service = components.refresh_service
    with _progress_listener(console) as on_progress, service.progress.listen(on_progress):
        await components.open()
        return await service.refresh(RefreshOptions(force=force))


@contextmanager
def _progress_listener(console: Console) -> Iterator[Listener]:
    """Yield a listener that shows progress as a bar on a terminal, as lines elsewhere."""

    def print_line(progress: Progress) -> None:
        # The message of a failure goes to stderr, once.
        if progress.phase is not Phase.FAILED:
            console.print(progress.message, markup=False)

    if not console.is_terminal:
        yield print_line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with ProgressBar(*columns, console=console) as bar:
        task = bar.add_task("Started", total=1)

        def on_progress(progress: Progress) -> None:
            text = "Failed" if progress.phase is Phase.FAILED else progress.message
            bar.update(task, completed=progress.fraction, description=text)

        yield on_progress


def _print_report(console: Console, report: RefreshReport) -> None:
    console.print(
        f"{report.total_countries} countries: {report.inserted} new, {report.updated} changed, "
        f"{report.unchanged} unchanged, {len(report.missing)} missing, "
        f"{report.skipped_count} skipped; "
        f"{report.statements} SQL statement{'' if report.statements == 1 else 's'}"
    )
    for source in report.sources:
        console.print(_describe_source(source), markup=False)
    for skipped in report.skipped:
        console.print(f"skipped {skipped.record}: {skipped.reason}", markup=False)
    bar_character = "█" if console.encoding.startswith("utf") else "#"
    console.print(_build_timings_table(report.timings, bar_character))


def _describe_source(source: SourceReport) -> str:
    phrases = [f"{source.kind} from {source.provider}"]
    if source.cached:
        phrases[0] += ", cached (nothing new)"
    if source.stored:
        phrases[0] += ", stored earlier"
    if source.as_of is not None:
        phrases.append(f"as of {source.as_of:%Y-%m-%d %H:%M} UTC")
    if source.dropped:
        phrases.append(f"{source.dropped} records of no country dropped")
    if not source.is_fallback:  # the warning has them
        phrases.extend(f"not from {failure}" for failure in source.failures)
    if source.attribution is not None:
        phrases.append(source.attribution)
    return "; ".join(phrases)


def _build_timings_table(timings: Timings, bar_character: str) -> Table:
    """Return the phases as a waterfall: each bar begins where its phase began."""
    table = Table("phase", "", box=None, pad_edge=False)
    table.add_column("ms", justify="right")
    fetch_end_ms = timings.fetch_ms
    transform_end_ms = fetch_end_ms + timings.transform_ms
    phases = (
        ("fetch countries", 0, timings.fetch_countries_ms),
        ("fetch rates", 0, timings.fetch_rates_ms),
        ("fetch statistics", 0, timings.fetch_statistics_ms),
        ("transform", fetch_end_ms, timings.transform_ms),
        ("upsert", transform_end_ms, timings.upsert_ms),
        ("draw", transform_end_ms, timings.image_ms),
        ("total", 0, timings.total_ms),
    )
    for name, start_ms, duration_ms in phases:
        if duration_ms is None:
            table.add_row(name, "", "failed")
            continue
        scale = _BAR_WIDTH / max(timings.total_ms, start_ms + duration_ms)
        start = min(round(start_ms * scale), _BAR_WIDTH - 1)
        length = max(round((start_ms + duration_ms) * scale) - start, 1)
        table.add_row(name, " " * start + bar_character * length, f"{duration_ms:.1f}")
    return table
