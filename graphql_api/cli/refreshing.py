"""`graphql-api refresh`: its progress and its report, for a terminal and for a log."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table

from graphql_api.app import Components
from graphql_api.domain.report import RefreshReport, SourceReport
from graphql_api.logs import configure_logging
from graphql_api.refresh.progress import Listener, Phase, Progress
from graphql_api.refresh.run import RefreshOptions
from graphql_api.settings import LogLevel, Settings

_BAR = 40
"""Characters that the whole time takes in the waterfall."""


async def refresh(settings: Settings, *, force: bool) -> None:
    """Run one refresh and print it; with `force` providers without news are asked too.

    Raises:
        CountriesError: it failed, and nothing was changed.
    """
    # What the log would say is printed here.
    least = max(settings.log_level, LogLevel.ERROR, key=list(LogLevel).index)
    configure_logging(least, settings.effective_log_format)
    # Lines stay whole, so that a log or a pipe can be searched.
    console = Console(highlight=False, soft_wrap=True)
    with _listener(console) as show:
        async with Components(settings) as parts:
            with parts.refresh_service.progress.listen(show):
                report = await parts.refresh_service.refresh(RefreshOptions(force=force))
    _print_report(console, report)


@contextmanager
def _listener(console: Console) -> Iterator[Listener]:
    """Show progress as a bar on a terminal, as lines anywhere else."""
    if not console.is_terminal:
        yield lambda progress: _print_line(console, progress)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with ProgressBar(*columns, console=console) as bar:
        task = bar.add_task("Started", total=1)

        def show(progress: Progress) -> None:
            # Why it failed is told once, on stderr.
            failed = progress.phase is Phase.FAILED
            text = "Failed" if failed else progress.message
            bar.update(task, completed=progress.fraction, description=text)

        yield show


def _print_line(console: Console, progress: Progress) -> None:
    # A failure is told once, on stderr.
    if progress.phase is not Phase.FAILED:
        console.print(progress.message, markup=False)


def _print_report(console: Console, report: RefreshReport) -> None:
    console.print(
        f"{report.total_countries} countries: {report.inserted} new, {report.updated} changed, "
        f"{report.unchanged} unchanged, {len(report.missing)} missing, "
        f"{len(report.skipped)} skipped; {report.statements} SQL "
        f"{'statement' if report.statements == 1 else 'statements'}"
    )
    for source in report.sources:
        console.print(_describe(source), markup=False)
    console.print(_timings(report, mark="█" if console.encoding.startswith("utf") else "#"))


def _describe(source: SourceReport) -> str:
    parts = [f"{source.kind} from {source.provider}"]
    if source.cached:
        parts[0] += ", kept since it had nothing new"
    if source.as_of is not None:
        parts.append(f"as of {source.as_of:%Y-%m-%d %H:%M} UTC")
    parts.extend(f"not from {failure}" for failure in source.failures)
    if source.attribution is not None:
        parts.append(source.attribution)
    return "; ".join(parts)


def _timings(report: RefreshReport, *, mark: str) -> Table:
    """Return the phases as a waterfall: where a bar begins the phase began."""
    table = Table("phase", "", box=None, pad_edge=False)
    table.add_column("ms", justify="right")
    timings = report.timings
    fetched = timings.fetch_ms
    merged = fetched + timings.transform_ms
    phases = (
        ("fetch countries", 0, timings.fetch_countries_ms),
        ("fetch rates", 0, timings.fetch_rates_ms),
        ("transform", fetched, timings.transform_ms),
        ("upsert", merged, timings.upsert_ms),
        ("draw", merged, timings.image_ms),
        ("total", 0, timings.total_ms),
    )
    for name, began, took in phases:
        if took is None:
            table.add_row(name, "", "failed")
        else:
            table.add_row(name, _bar(began, took, timings.total_ms, mark), f"{took:.1f}")
    return table


def _bar(began: float, took: float, whole: float, mark: str) -> str:
    scale = _BAR / max(whole, began + took)
    left = min(round(began * scale), _BAR - 1)
    return " " * left + mark * max(round((began + took) * scale) - left, 1)
