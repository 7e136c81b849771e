"""Part "serving": requests per second of this project, other servers, and a bare ASGI server."""

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.environment import package_versions, program_version
from benchmarks.markdown import format_table
from benchmarks.report import BenchmarkReport, MissingToolError, ProgressCallback
from benchmarks.servers import registry
from benchmarks.servers.registry import BARE, NODE_PROGRAMS, OURS, PLAIN, SERVERS_DIR, BenchmarkServer, has_node
from benchmarks.svg import bar_chart
from benchmarks.wrk import RequestBody, WrkResult, build_request_body, is_installed, run_wrk

NEW, REPEATED = f"{OURS}, new", f"{OURS}, repeated"
ROUNDS = 5
ROUND_SECONDS = 2
"""Seconds per server, query and round."""
_WARM_UP_SECONDS = 1
"""Seconds before each round, so that a server has compiled the query, and the processor's caches are not another's."""
_NUMBER_STRIDE = 100_000
"""More than the requests of one round or warm-up, so that none repeats another's."""
FIELDS = "code name capital region population currencyCode exchangeRate estimatedGdp flagUrl"
_PAGE_QUERY = """\
query ($n: Int!) {
  countries(
    filter: { region: { eq: "Europe" }, population: { gt: $n } }
    sort: [{ field: POPULATION, direction: DESC }]
    first: 10
  ) { totalCount nodes { code name population } }
}"""


@dataclass(frozen=True, slots=True)
class BenchmarkQuery:
    """A query whose variable `n` new requests count up from `number`."""

    title: str
    document: str
    number: int


QUERIES: Mapping[str, BenchmarkQuery] = {
    "list": BenchmarkQuery(
        "All 250 countries × 9 fields", f"query ($n: Int!) {{ countries(first: $n) {{ nodes {{ {FIELDS} }} }} }}", 250
    ),
    "ten": BenchmarkQuery("10 × 3 fields", "{ countries(first: 10) { nodes { code name population } } }", 0),
    "one": BenchmarkQuery("One country by code", f'{{ country(code: "FR") {{ {FIELDS} }} }}', 0),
    "page": BenchmarkQuery("A filtered and sorted page of 10", _PAGE_QUERY, 1_000_000),
}

ServersByName = Mapping[str, BenchmarkServer]
QueryResults = dict[str, dict[str, WrkResult]]
"""By query name, then by server name."""


def require() -> None:
    """Check that the required tools are installed.

    Raises:
        MissingToolError: wrk is missing.
    """
    if not is_installed():
        raise MissingToolError("Install wrk to measure (apt-get install wrk).")


def versions() -> Mapping[str, str]:
    """Return the versions of servers and tools."""
    python_packages = package_versions("uvicorn", "uvloop", "httptools", "strawberry-graphql", "fastapi")
    tool_versions = {**python_packages, "wrk": program_version("wrk", "--version")}
    if has_node():
        node_packages = json.loads((SERVERS_DIR / "package.json").read_text("utf-8"))["dependencies"]
        tool_versions |= {"Node": program_version("node", "--version"), **node_packages}
    return tool_versions


def run(on_progress: ProgressCallback) -> BenchmarkReport:
    """Measure for eight minutes.

    Raises:
        RuntimeError: a server's data differs.
    """
    if has_node():
        registry.install_node_servers()
    else:
        on_progress("without Yoga, Apollo and Mercurius: install nodejs and npm to include them")
    return build_report(measure(on_progress, QUERIES, rounds=ROUNDS, seconds=ROUND_SECONDS))


def measure(
    on_progress: ProgressCallback, queries: Mapping[str, BenchmarkQuery], *, rounds: int, seconds: int
) -> QueryResults:
    """Measure each query in rounds of `seconds` per server, and return the medians."""
    server_taskset, load_taskset = registry.taskset_commands()
    results: QueryResults = {}
    with start_servers(server_taskset) as servers:
        for name, query in queries.items():
            with add_bare_server(servers, query, server_taskset) as all_servers:
                bodies = check_same_data(all_servers, query)
                wrk_results: dict[str, list[WrkResult]] = {server_name: [] for server_name in all_servers}
                for round_number in range(1, rounds + 1):
                    on_progress(f"{query.title}, round {round_number}")
                    for server_name, server in all_servers.items():
                        warm_up_body = bodies[server_name].advance((2 * round_number) * _NUMBER_STRIDE)
                        run_wrk(server.url, warm_up_body, seconds=_WARM_UP_SECONDS, taskset=load_taskset)
                        body = warm_up_body.advance(_NUMBER_STRIDE)
                        wrk_result = run_wrk(server.url, body, seconds=seconds, taskset=load_taskset)
                        wrk_results[server_name].append(wrk_result)
                results[name] = {
                    server_name: _median_result(round_results) for server_name, round_results in wrk_results.items()
                }
    return results


@contextmanager
def start_servers(taskset: Sequence[str]) -> Iterator[ServersByName]:
    """Start all servers but the bare one on the same data; those on Node if Node is installed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        project = stack.enter_context(registry.run_project(taskset))
        data_file = folder / "countries.json"
        response = project.post_json(body_for(REPEATED, QUERIES["list"]).render())
        data_file.write_text(json.dumps(response["data"]["countries"]["nodes"]), "utf-8")
        variables = {"COUNTRIES": str(data_file)}
        plain_server = stack.enter_context(registry.run_asgi("plain", taskset, variables))
        servers = {PLAIN: plain_server, NEW: project, REPEATED: project}
        for name, program in NODE_PROGRAMS.items() if has_node() else ():
            servers[name] = stack.enter_context(registry.run_node(program, taskset, variables))
        yield servers


@contextmanager
def add_bare_server(servers: ServersByName, query: BenchmarkQuery, taskset: Sequence[str]) -> Iterator[ServersByName]:
    """Start the server that sends the bytes of one response."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "body.json")
        path.write_bytes(servers[REPEATED].post(body_for(BARE, query).render()))
        with registry.run_asgi("bare", taskset, {"BODY": str(path)}) as bare_server:
            yield {BARE: bare_server, **servers}


def body_for(server: str, query: BenchmarkQuery) -> RequestBody:
    """Return a server's request body; with new queries no server gets the same one twice."""
    return build_request_body(query.document, query.number, is_counting=server not in (REPEATED, BARE))


def check_same_data(servers: ServersByName, query: BenchmarkQuery) -> Mapping[str, RequestBody]:
    """Return each server's request body. Check that all servers respond with the same data.

    Raises:
        RuntimeError: a server's data differs.
    """
    bodies = {name: body_for(name, query) for name in servers}
    expected = servers[REPEATED].post_json(bodies[REPEATED].render())
    for name, server in servers.items():
        if server.post_json(bodies[name].render()) != expected:
            raise RuntimeError(f"{name} responds with other data than {OURS}.")
    return bodies


def _median_result(wrk_results: Sequence[WrkResult]) -> WrkResult:
    """Return the medians of rate and latencies."""
    return WrkResult(
        per_second=statistics.median(wrk_result.per_second for wrk_result in wrk_results),
        p50_ms=statistics.median(wrk_result.p50_ms for wrk_result in wrk_results),
        p99_ms=statistics.median(wrk_result.p99_ms for wrk_result in wrk_results),
    )


def build_report(results: QueryResults) -> BenchmarkReport:
    """Return the published form of the figures."""
    markdown = "\n\n".join(_format_table(QUERIES[name].title, wrk_results) for name, wrk_results in results.items())
    return BenchmarkReport(
        results={
            "seconds": ROUND_SECONDS,
            "rounds": ROUNDS,
            "questions": {
                name: {server_name: asdict(wrk_result) for server_name, wrk_result in wrk_results.items()}
                for name, wrk_results in results.items()
            },
        },
        markdown=f"{markdown}\n",
        chart=bar_chart.draw(_build_chart(results)),
        caption=_build_caption(results),
    )


def _format_table(title: str, wrk_results: Mapping[str, WrkResult]) -> str:
    rows = [
        (
            name,
            f"{wrk_result.per_second:,.0f}",
            f"{wrk_result.p50_ms:.2f} ms",
            f"{wrk_result.p99_ms:.2f} ms",
            f"{wrk_result.per_second / wrk_results[PLAIN].per_second:.1f}",
            f"{wrk_result.per_second / wrk_results[BARE].per_second:.2f}",
        )
        for name, wrk_result in _sort_by_rate(wrk_results)
    ]
    return format_table((title, "requests/s", "p50", "p99", "× Strawberry", "× bare ASGI"), rows)


def _sort_by_rate(wrk_results: Mapping[str, WrkResult]) -> list[tuple[str, WrkResult]]:
    return sorted(wrk_results.items(), key=lambda item: -item[1].per_second)


def _build_chart(results: QueryResults) -> bar_chart.Chart:
    return bar_chart.Chart(
        title="Requests a second, one core each",
        groups=tuple(
            bar_chart.Group(
                title=QUERIES[name].title,
                bars=tuple(
                    _build_bar(server_name, wrk_result) for server_name, wrk_result in _sort_by_rate(wrk_results)
                ),
            )
            for name, wrk_results in results.items()
        ),
    )


def _build_bar(name: str, wrk_result: WrkResult) -> bar_chart.Bar:
    return bar_chart.Bar(
        label=name,
        value=wrk_result.per_second,
        value_text=f"{wrk_result.per_second:,.0f}",
        is_highlighted=name.startswith(OURS),
    )


def _build_caption(results: QueryResults) -> str:
    wrk_results = results["list"]
    rates = ", ".join(f"{name} {wrk_result.per_second:,.0f}" for name, wrk_result in _sort_by_rate(wrk_results))
    return f"Requests a second for all countries: {rates}"
