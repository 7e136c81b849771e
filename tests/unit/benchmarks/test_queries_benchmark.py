"""The servers that are compared give the same data, and what is published is what was measured."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.queries_benchmark import (
    NEW,
    QUERIES,
    REPEATED,
    ServersByName,
    add_bare_server,
    build_report,
    check_same_data,
    measure,
    start_servers,
)
from benchmarks.report import format_environment
from benchmarks.servers.registry import (
    BARE,
    NODE_PROGRAMS,
    PLAIN,
    SERVERS_DIR,
    has_node,
    install_node_servers,
)
from benchmarks.wrk import WrkResult, build_request_body
from tests.support.paths import ROOT

RESULTS: dict[str, Any] = json.loads((ROOT / "benchmarks/results/serving.json").read_text("utf-8"))
QUERY_RESULTS = {
    name: {server: WrkResult(**wrk_result) for server, wrk_result in wrk_results.items()}
    for name, wrk_results in RESULTS["questions"].items()
}


@pytest.fixture(scope="module")
def servers() -> Iterator[ServersByName]:
    """Lend all servers but the bare one; those on Node are installed first."""
    if not has_node():
        pytest.skip("install nodejs and npm to compare with the servers on Node")
    install_node_servers()
    with start_servers(()) as servers:
        yield servers


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_same_data(servers: ServersByName, name: str) -> None:
    """All of them, the bare one too, give the same data, of as many countries as were asked for."""
    with add_bare_server(servers, QUERIES[name], ()) as all_servers:
        bodies = check_same_data(all_servers, QUERIES[name])
        assert list(all_servers) == [BARE, PLAIN, NEW, REPEATED, *NODE_PROGRAMS]
        data = all_servers[BARE].post_json(bodies[BARE].render())["data"]
    if name == "one":
        assert len(data["country"]) == 9
    else:
        assert len(data["countries"]["nodes"]) == {"list": 250, "ten": 10, "page": 10}[name]


@pytest.mark.slow
def test_other_data(servers: ServersByName) -> None:
    """A server that answers otherwise is not measured."""
    with (
        add_bare_server(servers, QUERIES["ten"], ()) as all_servers,
        pytest.raises(RuntimeError, match="bare ASGI answers otherwise than this project"),
    ):
        check_same_data(all_servers, QUERIES["one"])


@pytest.mark.slow
def test_measure(servers: ServersByName) -> None:  # noqa: ARG001 - what it installs
    """Each server is pressed, and none of them fails a request."""
    messages: list[str] = []
    results = measure(messages.append, {"one": QUERIES["one"]}, rounds=1, seconds=1)
    assert list(results["one"]) == [BARE, PLAIN, NEW, REPEATED, *NODE_PROGRAMS]
    assert all(wrk_result.per_second > 0 for wrk_result in results["one"].values())
    assert messages == ["One country by code, warming up", "One country by code, round 1"]


def test_bodies() -> None:
    """A body is the query with its number, which is where wrk counts up."""
    body = build_request_body("query ($n: Int) { a }", 7, is_counting=True)
    assert json.loads(body.render()) == {"query": "query ($n: Int) { a }", "variables": {"n": 7}}


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    report = build_report(QUERY_RESULTS)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert report.markdown in readme
    assert format_environment(RESULTS["machine"]) in readme
    assert f"![{report.caption}](docs/serving.svg)" in readme
    assert (ROOT / "docs/serving.svg").read_text("utf-8") == report.chart


def test_lock_names_no_registry() -> None:
    """What npm installs is pinned by version and hash, wherever it is downloaded from."""
    lock = (SERVERS_DIR / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert len(re.findall(r'"integrity": "sha512-', lock)) == lock.count('"node_modules/')
