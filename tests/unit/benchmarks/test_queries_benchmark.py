"""The queries benchmark: all servers respond with the same data, and none fails."""

import json
import re
from collections.abc import Iterator

import pytest

from benchmarks.queries_benchmark import (
    NEW,
    QUERIES,
    REPEATED,
    ServersByName,
    add_bare_server,
    check_same_data,
    measure,
    start_servers,
)
from benchmarks.servers.registry import BARE, NODE_PROGRAMS, PLAIN, SERVERS_DIR, has_node, install_node_servers
from benchmarks.wrk import build_request_body


@pytest.fixture(scope="module")
def servers() -> Iterator[ServersByName]:
    """Yield all servers but the bare one; those on Node are installed first."""
    if not has_node():
        pytest.skip("install nodejs and npm to compare with the servers on Node")
    install_node_servers()
    with start_servers(()) as servers:
        yield servers


@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_same_data(servers: ServersByName, name: str) -> None:
    """All servers, the bare one included, respond with the same data and number of countries."""
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
    """A server whose data differs is not measured."""
    with (
        add_bare_server(servers, QUERIES["ten"], ()) as all_servers,
        pytest.raises(RuntimeError, match="bare ASGI responds with other data than this project"),
    ):
        check_same_data(all_servers, QUERIES["one"])


@pytest.mark.slow
def test_measure(servers: ServersByName) -> None:  # noqa: ARG001 - installs the servers
    """Every server is measured, and none fails a request."""
    messages: list[str] = []
    results = measure(messages.append, {"one": QUERIES["one"]}, rounds=1, seconds=1)
    assert list(results["one"]) == [BARE, PLAIN, NEW, REPEATED, *NODE_PROGRAMS]
    assert all(wrk_result.per_second > 0 for wrk_result in results["one"].values())
    assert messages == ["One country by code, round 1"]


def test_bodies() -> None:
    """A request body has the query and its number."""
    body = build_request_body("query ($n: Int) { a }", 7, is_counting=True)
    assert json.loads(body.render()) == {"query": "query ($n: Int) { a }", "variables": {"n": 7}}


def test_lock_names_no_registry() -> None:
    """The npm lock pins every package by version and hash, and names no registry."""
    lock = (SERVERS_DIR / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert len(re.findall(r'"integrity": "sha512-', lock)) == lock.count('"node_modules/')
