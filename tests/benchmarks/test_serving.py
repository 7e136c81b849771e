"""The servers that are compared give the same data, and what is published is what was measured."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contenders import BARE, NODE, PEERS, PLAIN, has_node, install
from benchmarks.pressing import Load, ask
from benchmarks.publishing import in_words
from benchmarks.serving import (
    NEW,
    QUESTIONS,
    REPEATED,
    Servers,
    check,
    measure,
    outcome,
    started,
    with_bare,
)

ROOT = Path(__file__).parents[2]
RESULTS: dict[str, Any] = json.loads((ROOT / "benchmarks/results/serving.json").read_text("utf-8"))
FIGURES = {
    name: {server: Load(**load) for server, load in loads.items()}
    for name, loads in RESULTS["questions"].items()
}


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Lend all servers but the bare one; those on Node are installed first."""
    if not has_node():
        pytest.skip("install nodejs and npm to compare with the servers on Node")
    install()
    with started(()) as servers:
        yield servers


@pytest.mark.slow
@pytest.mark.parametrize("name", QUESTIONS)
def test_same_data(servers: Servers, name: str) -> None:
    """All of them, the bare one too, give the same data, of as many countries as were asked for."""
    with with_bare(servers, QUESTIONS[name], ()) as compared:
        bodies = check(compared, QUESTIONS[name])
        assert list(compared) == [BARE, PLAIN, NEW, REPEATED, *NODE]
        data = compared[BARE].answer(bodies[BARE].first())["data"]
    if name == "one":
        assert len(data["country"]) == 9
    else:
        assert len(data["countries"]["nodes"]) == {"list": 250, "ten": 10, "page": 10}[name]


@pytest.mark.slow
def test_other_data(servers: Servers) -> None:
    """A server that answers otherwise is not measured."""
    with (
        with_bare(servers, QUESTIONS["ten"], ()) as compared,
        pytest.raises(RuntimeError, match="bare ASGI answers otherwise than this project"),
    ):
        check(compared, QUESTIONS["one"])


@pytest.mark.slow
def test_measure(servers: Servers) -> None:  # noqa: ARG001 - what it installs
    """Each server is pressed, and none of them fails a request."""
    told: list[str] = []
    figures = measure(told.append, {"one": QUESTIONS["one"]}, rounds=1, seconds=1)
    assert list(figures["one"]) == [BARE, PLAIN, NEW, REPEATED, *NODE]
    assert all(load.per_second > 0 for load in figures["one"].values())
    assert told == ["One country by code, warming up", "One country by code, round 1"]


def test_bodies() -> None:
    """A body is the query with its number, which is where wrk counts up."""
    body = ask("query ($n: Int) { a }", 7, counts=True)
    assert json.loads(body.first()) == {"query": "query ($n: Int) { a }", "variables": {"n": 7}}


def test_readme() -> None:
    """README and its chart show the committed figures, and no others."""
    published = outcome(FIGURES)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert published.told in readme
    assert in_words(RESULTS["machine"]) in readme
    assert f"![{published.caption}](docs/serving.svg)" in readme
    assert (ROOT / "docs/serving.svg").read_text("utf-8") == published.chart


def test_lock_names_no_registry() -> None:
    """What npm installs is pinned by version and hash, wherever it is downloaded from."""
    lock = (PEERS / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert len(re.findall(r'"integrity": "sha512-', lock)) == lock.count('"node_modules/')
