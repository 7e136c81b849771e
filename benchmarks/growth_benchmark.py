"""Part "growth": time of each query, and memory of a row, for ten and a hundred times as many rows."""

import asyncio
import tracemalloc
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from time import process_time

from benchmarks.environment import package_versions
from benchmarks.markdown import format_table
from benchmarks.queries_benchmark import QUERIES
from benchmarks.report import BenchmarkReport, ProgressCallback
from benchmarks.svg import bar_chart
from graphql_api.domain.snapshot import Snapshot
from graphql_api.execution.engine import build_schema
from graphql_api.execution.execute import QUERIES_ONLY, execute
from graphql_api.execution.limits import QueryLimits
from graphql_api.execution.messages import GraphQLRequest
from graphql_api.http.graphql.endpoint import encode_json
from tests.support.factories import make_country, make_snapshot
from tests.support.schema_client import SchemaClient, offline_client

SIZES = (250, 2_500, 25_000)
"""Rows."""
REGIONS = ("Africa", "Americas", "Asia", "Europe", "Oceania")
_NO_LIMITS = QueryLimits(cost=10**9, bytes=10**9, milliseconds=10**6)
_MIN_SECONDS = 0.5
_MIN_EXECUTIONS = 5
"""Seconds and executions for each query and size; the fastest execution counts."""
_MAX_MICROSECONDS = 10_000
"""Longer times are given in milliseconds."""
_FIRST = "first list of a snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthResults:
    """Figures of this part; the names are those of its JSON."""

    microseconds: Mapping[str, Mapping[str, float]]
    """Time of the process for one execution of a known document with new variables, by query and number of rows."""
    snapshot_bytes: Mapping[str, float]
    """Bytes of a snapshot per row, by number of rows."""
    derived_bytes: Mapping[str, float]
    """Bytes per row, as counted, of what the queries derived from the snapshot."""


def require() -> None:
    """Do nothing: this part needs no tools."""


def versions() -> Mapping[str, str]:
    """Return the versions of the executing packages."""
    return package_versions("graphql-core", "strawberry-graphql", "orjson")


def run(on_progress: ProgressCallback) -> BenchmarkReport:
    """Measure for about twenty seconds."""
    microseconds: dict[str, dict[str, float]] = {}
    snapshot_bytes, derived_bytes = {}, {}
    for size in SIZES:
        on_progress(f"{size:,} rows")
        snapshot, snapshot_bytes[f"{size}"] = _measure_snapshot(size)
        client = offline_client()
        client.catalog.snapshot = snapshot
        microseconds.setdefault(_FIRST, {})[f"{size}"] = asyncio.run(
            _measure_query(client, "list", size, is_first=True)
        )
        for name in QUERIES:
            microseconds.setdefault(name, {})[f"{size}"] = asyncio.run(
                _measure_query(client, name, size, is_first=False)
            )
        derived_bytes[f"{size}"] = round(snapshot.derived.size / size)
    return build_report(
        GrowthResults(microseconds=microseconds, snapshot_bytes=snapshot_bytes, derived_bytes=derived_bytes)
    )


def _measure_snapshot(size: int) -> tuple[Snapshot, float]:
    tracemalloc.start()
    snapshot = make_snapshot(
        make_country(
            "FR" if index == 0 else f"{index}",
            alpha3=f"{index}x",
            name=f"Land {index:05}",
            region=REGIONS[index % len(REGIONS)],
            population=index * 7919 % size + 1_000_000,
        )
        for index in range(size)
    )
    used_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return snapshot, round(used_bytes / size)


async def _measure_query(client: SchemaClient, name: str, size: int, *, is_first: bool) -> float:
    """Return the microseconds of the fastest execution; of one without anything derived if `is_first`."""
    schema = build_schema(introspection=True, query_limits=_NO_LIMITS)
    context = client.context
    number = size if name == "list" else QUERIES[name].number
    durations: list[float] = []
    while len(durations) < _MIN_EXECUTIONS or sum(durations) < _MIN_SECONDS:
        request = GraphQLRequest(QUERIES[name].document, {"n": number + len(durations)}, operation_name=None)
        if is_first:
            client.catalog.snapshot.derived.clear()
        started_at = process_time()
        response = await execute(
            schema, request, context=context, allowed_operations=QUERIES_ONLY, request_id="benchmark"
        )
        encode_json(response.body)
        durations.append(process_time() - started_at)
        await asyncio.sleep(0)  # one turn of the event loop has time for some queries
    return round(min(durations) * 1e6, 1)


def build_report(results: GrowthResults) -> BenchmarkReport:
    """Return the published form of the figures."""
    titles = {name: query.title.replace("All 250", "All") for name, query in QUERIES.items()}
    titles[_FIRST] = "All countries × 9 fields, first after a refresh"
    sizes = [f"{size}" for size in SIZES]
    header = ("", *(f"{size:,} rows" for size in SIZES), "× for the last × 10")
    time_rows = [
        (title, *(_format_time(times[size]) for size in sizes), f"{times[sizes[-1]] / times[sizes[-2]]:.1f}")
        for name, title in titles.items()
        for times in (results.microseconds[name],)
    ]
    memory_rows = [
        (title, *(f"{values[size]:,.0f} B" for size in sizes), f"{values[sizes[-1]] / values[sizes[-2]]:.1f}")
        for title, values in (
            ("Snapshot, bytes a row", results.snapshot_bytes),
            ("Derived by these queries, bytes a row", results.derived_bytes),
        )
    ]
    groups = tuple(
        bar_chart.Group(
            title=title,
            bars=tuple(
                bar_chart.Bar(
                    label=f"{size:,} rows",
                    value=results.microseconds[name][f"{size}"],
                    value_text=_format_time(results.microseconds[name][f"{size}"]),
                    is_highlighted=size == SIZES[0],
                )
                for size in SIZES
            ),
        )
        for name, title in titles.items()
    )
    largest = results.microseconds["list"][sizes[-1]]
    return BenchmarkReport(
        results=asdict(results),
        markdown=f"{format_table(header, [*time_rows, *memory_rows])}\n",
        chart=bar_chart.draw(bar_chart.Chart(title="Time of a new query, known document", groups=groups)),
        caption=f"All of 25,000 rows take {_format_time(largest)}, and a filtered and sorted page of them "
        f"{_format_time(results.microseconds['page'][sizes[-1]])}",
    )


def _format_time(microseconds: float) -> str:
    return f"{microseconds:,.0f} µs" if microseconds < _MAX_MICROSECONDS else f"{microseconds / 1000:,.0f} ms"
