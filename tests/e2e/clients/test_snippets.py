"""Every snippet of docs/clients.md runs, and prints what the page shows."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import http_client
from tests.support.npm.doc_snippets import CLIENTS_DOC, SNIPPETS, expected_output, replace_host, write_snippets
from tests.support.npm.install import CLIENTS_DIR, run_program
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, Process, running_server
from tests.support.wait import WAIT_TIMEOUT

PROGRAMS = {snippet.name: snippet.text for snippet in SNIPPETS if snippet.language in ("js", "ts", "python")}
TYPESCRIPT_SNIPPETS = [name for name in PROGRAMS if name.endswith(".ts") and name != "codegen.ts"]
PYTHON_SNIPPETS = ["with_gql.py", "with_httpx.py"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a server of the bundled data."""
    with running_server(tmp_path_factory.mktemp("server"), **BUNDLED_SOURCES) as process:
        yield process


def test_page() -> None:
    """The page has a snippet for each client, and the output of each that prints."""
    assert sorted(PROGRAMS) == [
        "apollo.ts",
        "codegen.ts",
        "currencies.mjs",
        "events.ts",
        "fetch.mjs",
        "progress.ts",
        "relay.ts",
        "search_box.mjs",
        "urql.ts",
        "with_gql.py",
        "with_gql_progress.py",
        "with_httpx.py",
    ]
    outputs = [expected_output(text) for name, text in PROGRAMS.items() if name != "codegen.ts"]
    assert all(outputs)
    assert "(docs/clients.md)" in (ROOT / "README.md").read_text()


def test_packages_are_those_of_the_tests() -> None:
    """Every package that the page installs is pinned here, and so tried."""
    dependencies = json.loads((CLIENTS_DIR / "package.json").read_text())["dependencies"]
    install_commands = re.findall(r"npm install(?: --save-dev)? (.*)", CLIENTS_DOC)
    assert len(install_commands) == 8
    assert {name for line in install_commands for name in line.split()} <= dependencies.keys()
    requirements = re.findall(r'pip install "(.*)"', CLIENTS_DOC)
    assert [
        requirement for requirement in requirements if requirement not in (ROOT / "pyproject.toml").read_text()
    ] == []


@pytest.mark.slow
def test_in_node(home: Path, server: Process) -> None:
    """The snippets for Node compile under `tsc --strict`, and print what the page shows."""
    write_snippets(home, server.url)
    write_schema(home)
    run_program(home, "graphql-codegen")
    run_program(home, "relay-compiler")
    run_program(home, "tsc")
    run_program(home, "node", "bundle.mjs", *TYPESCRIPT_SNIPPETS)
    names = ["apollo.ts", "currencies.mjs", "fetch.mjs", "relay.ts", "search_box.mjs", "urql.ts"]
    printed = {name: run_program(home, "node", f"{Path(name).stem}.mjs") for name in names}
    assert printed == {name: expected_output(PROGRAMS[name]) for name in names}
    printed_lines = refresh_until_exit(home, server, "node", "--import", "./websocket.mjs", "progress.mjs")
    assert_progress(printed_lines, "progress.ts")
    assert_progress(refresh_until_exit(home, server, "node", "events.mjs"), "events.ts")


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHON_SNIPPETS)
def test_in_python(tmp_path: Path, server: Process, name: str) -> None:
    """The snippets for Python print what the page shows."""
    (tmp_path / name).write_text(replace_host(server.url, PROGRAMS[name]))
    assert run_program(tmp_path, sys.executable, "-W", "error", name) == expected_output(PROGRAMS[name])


@pytest.mark.slow
def test_progress_in_python(tmp_path: Path, server: Process) -> None:
    """The snippet for Python that waits for a refresh prints its progress as the page shows."""
    name = "with_gql_progress.py"
    (tmp_path / name).write_text(replace_host(server.url, PROGRAMS[name]))
    assert_progress(refresh_until_exit(tmp_path, server, sys.executable, "-W", "error", name), name)


def refresh_until_exit(folder: Path, server: Process, *command: str) -> list[str]:
    """Return the lines of a program that waits for a refresh; refresh until it has ended."""
    deadline = time.monotonic() + WAIT_TIMEOUT
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            while program.poll() is None:
                assert time.monotonic() < deadline
                server.query("mutation { refreshCountries { id } }")
        finally:
            program.kill()
        assert program.stdout
        return program.stdout.read().splitlines()


def assert_progress(printed_lines: list[str], name: str) -> None:
    """Assert that these lines are some of those on the page, in order, and the last one."""
    expected_lines = expected_output(PROGRAMS[name]).splitlines()
    assert printed_lines[-1] == expected_lines[-1]
    # A late subscriber misses the first events, a slow one some of the others.
    assert printed_lines == [line for line in expected_lines if line in printed_lines]


def test_in_the_shell(tmp_path: Path, server: Process) -> None:
    """The curl commands print the response and the file that the page shows, and the schema of this version."""
    [query_command] = [snippet.text for snippet in SNIPPETS if snippet.language == "sh" and "--data" in snippet.text]
    [download_command] = re.findall(r"^curl .*schema\.graphql\n", CLIENTS_DOC, re.MULTILINE)
    output = run_program(tmp_path, "sh", "-c", replace_host(server.url, query_command))
    assert f"{output}\n" == expected_output(query_command)
    [file_command] = [snippet.text for snippet in SNIPPETS if "countries.csv" in snippet.text]
    output = run_program(tmp_path, "sh", "-c", replace_host(server.url, file_command))
    assert output == expected_output(file_command)
    run_program(tmp_path, "sh", "-c", replace_host(server.url, download_command))
    downloaded_schema = (tmp_path / "schema.graphql").read_text()
    assert downloaded_schema == (ROOT / "schema.graphql").read_text()


@pytest.mark.slow
def test_relay_refetches(home: Path, server: Process) -> None:
    """The queries that Relay's compiler makes of @refetchable succeed."""
    write_snippets(home, server.url)
    write_schema(home)
    run_program(home, "relay-compiler")
    page_document, country_document = (read_generated_document(home, name) for name in ("NextPage", "Country"))
    first = post_query(server, page_document, {})["countries"]
    assert [edge["node"]["name"] for edge in first["edges"]] == ["Afghanistan", "Åland Islands"]
    assert first["pageInfo"]["hasNextPage"] is True
    [second] = post_query(server, page_document, {"first": 1, "after": first["edges"][0]["cursor"]})["countries"][
        "edges"
    ]
    assert second == first["edges"][1]
    assert "node(id: $id) {" in country_document
    refetched = post_query(server, country_document, {"id": second["node"]["id"]})["node"]
    assert refetched.keys() == {"__typename", "name", "lastRefreshedAt", "id"}
    assert refetched.items() <= second["node"].items()


def write_schema(home: Path) -> None:
    """Write the files that the page presupposes."""
    (home / "schema.graphql").write_text((ROOT / "schema.graphql").read_text())
    (home / "__generated__").mkdir()


def read_generated_document(home: Path, name: str) -> str:
    """Return the document that Relay's compiler made of a refetchable fragment."""
    source = (home / "__generated__" / f"refetchable{name}Query.graphql.ts").read_text()
    text: str = json.loads(re.findall(r'"text": (".*")', source)[0])
    return text


def post_query(server: Process, document: str, variables: dict[str, object]) -> dict[str, Any]:
    """Return the data of a document; it must have no errors."""
    payload = {"query": document, "variables": variables}
    response = http_client.post(f"{server.url}/graphql", json=payload).json()
    assert list(response) == ["data"], response
    data: dict[str, Any] = response["data"]
    return data
