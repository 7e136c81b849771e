"""Every snippet of docs/clients.md runs from the page's text, and prints what the page shows."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.running import BUNDLED, ROOT, Process, serving
from tests.clients.installing import FOLDER, run
from tests.clients.snippets import PAGE, SNIPPETS, pointed_at, shown_after, write

PROGRAMS = {one.name: one.text for one in SNIPPETS if one.language in ("js", "ts", "python")}
TYPESCRIPT = [name for name in PROGRAMS if name.endswith(".ts") and name != "codegen.ts"]
IN_PYTHON = [name for name in PROGRAMS if name.endswith(".py")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server of the bundled data."""
    with serving(tmp_path_factory.mktemp("server"), **BUNDLED) as started:
        yield started


def test_page() -> None:
    """The page has a snippet for each client, and each that prints something shows what."""
    assert sorted(PROGRAMS) == [
        "apollo.ts",
        "codegen.ts",
        "fetch.mjs",
        "relay.ts",
        "urql.ts",
        "with_gql.py",
        "with_httpx.py",
    ]
    outputs = [shown_after(text) for name, text in PROGRAMS.items() if name != "codegen.ts"]
    assert all(outputs)
    assert "(docs/clients.md)" in (ROOT / "README.md").read_text()


def test_packages_are_those_of_the_tests() -> None:
    """Whatever the page says to install is pinned here, and so tried."""
    asked = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    named = re.findall(r"npm install(?: --save-dev)? (.*)", PAGE)
    assert len(named) == 6
    assert {name for line in named for name in line.split()} <= asked.keys()
    wanted = re.findall(r'pip install "(.*)"', PAGE)
    assert [one for one in wanted if one not in (ROOT / "pyproject.toml").read_text()] == []


@pytest.mark.slow
def test_in_node(home: Path, server: Process) -> None:
    """The snippets for Node compile under `tsc --strict`, and print what the page shows."""
    write(home, server.url)
    prepare(home)
    run(home, "graphql-codegen")
    run(home, "relay-compiler")
    run(home, "tsc")
    run(home, "node", "bundle.mjs", *TYPESCRIPT)
    names = [*TYPESCRIPT, "fetch.mjs"]
    printed = {name: run(home, "node", f"{Path(name).stem}.mjs") for name in names}
    assert printed == {name: shown_after(PROGRAMS[name]) for name in names}
    assert len(names) == 4


@pytest.mark.parametrize("name", IN_PYTHON)
def test_in_python(tmp_path: Path, server: Process, name: str) -> None:
    """The snippets for Python print what the page shows."""
    (tmp_path / name).write_text(pointed_at(server.url, PROGRAMS[name]))
    assert run(tmp_path, sys.executable, "-W", "error", name) == shown_after(PROGRAMS[name])


def test_in_the_shell(tmp_path: Path, server: Process) -> None:
    """What is asked with curl is answered as the page shows, and is the schema of this version."""
    [asking] = [one.text for one in SNIPPETS if one.language == "sh" and "--json" in one.text]
    [fetching] = re.findall(r"^curl .*schema\.graphql\n", PAGE, re.MULTILINE)
    told = run(tmp_path, "sh", "-c", pointed_at(server.url, asking))
    assert f"{told}\n" == shown_after(asking)
    run(tmp_path, "sh", "-c", pointed_at(server.url, fetching))
    fetched = (tmp_path / "schema.graphql").read_text()
    assert fetched == (ROOT / "schema.graphql").read_text()


@pytest.mark.slow
def test_relay_refetches(home: Path, server: Process) -> None:
    """The queries that Relay's compiler makes of @refetchable are answered."""
    write(home, server.url)
    prepare(home)
    run(home, "relay-compiler")
    page, country = (text_of(home, name) for name in ("NextPage", "Country"))
    first = ask(server, page, {})["countries"]
    assert [edge["node"]["name"] for edge in first["edges"]] == ["Afghanistan", "Åland Islands"]
    assert first["pageInfo"]["hasNextPage"] is True
    [second] = ask(server, page, {"first": 1, "after": first["edges"][0]["cursor"]})["countries"][
        "edges"
    ]
    assert second == first["edges"][1]
    assert "node(id: $id) {" in country
    found = ask(server, country, {"id": second["node"]["id"]})["node"]
    assert found.keys() == {"__typename", "name", "lastRefreshedAt", "id"}
    assert found.items() <= second["node"].items()


def prepare(home: Path) -> None:
    """Put beside the snippets what the page takes to be there."""
    (home / "schema.graphql").write_text((ROOT / "schema.graphql").read_text())
    (home / "__generated__").mkdir()


def text_of(home: Path, name: str) -> str:
    """Return the document that Relay's compiler made of a fragment that can be refetched."""
    made = (home / "__generated__" / f"refetchable{name}Query.graphql.ts").read_text()
    text: str = json.loads(re.findall(r'"text": (".*")', made)[0])
    return text


def ask(server: Process, document: str, variables: dict[str, object]) -> dict[str, Any]:
    """Return the data of a document that has no errors."""
    asked = {"query": document, "variables": variables}
    answer = httpx.post(f"{server.url}/graphql", json=asked, trust_env=False).json()
    assert list(answer) == ["data"], answer
    data: dict[str, Any] = answer["data"]
    return data
