"""README and docs: every query, command and setting in them is tried."""

import json
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from graphql_api.execution.limits import QueryLimits
from graphql_api.settings import Settings
from tests.support import http_client
from tests.support.app import running_app
from tests.support.certificates import Certificates
from tests.support.db_servers.mysql_family import MySQLFamilyServer
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import DatabaseServer
from tests.support.environments import build_environment
from tests.support.fake_providers.server import Upstream
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, PROGRAM, run_command, running_process, running_server

DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
CLIENTS, CONFIGURATION, DATABASES, OPERATIONS = (
    (DOCS / f"{page}.md").read_text("utf-8") for page in ("clients", "configuration", "databases", "operations")
)
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


class Block(NamedTuple):
    """A fenced code block."""

    language: str
    text: str


def find_blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, except client snippets, which have a file name."""
    matches = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Block(*match) for match in matches]


def find_examples(page: str) -> list[tuple[str, str]]:
    """Return each block that is followed by its output, with that output."""
    return [
        (block.text, output.text)
        for block, output in pairwise(find_blocks(page))
        if output.language in ("json", "text")
    ]


[README_QUERY] = [pair for pair in find_examples(README) if pair[0].startswith("{\n")]
[MUTATION] = [pair for pair in find_examples(README) if pair[0].startswith("mutation")]
CLIENT_QUERIES = [pair for pair in find_examples(CLIENTS) if pair[0].startswith("{\n")]
DATABASE_COMMANDS = [block.text for block in find_blocks(DATABASES) if block.language == "sh"]
MYSQL = [text for text in DATABASE_COMMANDS if text.startswith("DATABASE_URL='mysql:")]
[POSTGRESQL] = [text for text in DATABASE_COMMANDS if text.startswith("DATABASE_URL='postgres")]
[REFRESH] = [pair for pair in find_examples(OPERATIONS) if "graphql-api refresh" in pair[0]]


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the developer's own settings."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def bundled_client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a server that has the bundled data alone."""
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/countries.db",
        countries_sources=(("bundled", None),),
        rates_sources=(("bundled", None),),
        statistics_sources=(("bundled", None),),
    )
    async with (
        running_app(settings) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as client,
    ):
        yield client


@pytest.fixture
def server_url(tmp_path: Path, upstream: Upstream) -> Iterator[str]:
    """Return the URL of a server process whose sources are fakes."""
    with running_server(tmp_path, **upstream.environment) as server:
        yield server.url


def mask_timings(text: str) -> str:
    """Replace what differs between runs: timings, and the widths of what is drawn."""
    return re.sub(r"\d+\.\d$", "N", re.sub("[ █]+", " ", text), flags=re.MULTILINE)


def without_timings(report: dict[str, Any]) -> dict[str, Any]:
    """Return a refresh report without what differs between runs."""
    url, version = report["imageUrl"].split("/summary-")
    assert re.fullmatch(r"\d+-250-[0-9a-f]{16}\.png", version)
    timings = {name: type(value) for name, value in report["timings"].items()}
    return {**report, "timings": timings, "imageUrl": url}


@pytest.mark.parametrize(("query", "expected"), [README_QUERY, *CLIENT_QUERIES])
async def test_query(bundled_client: httpx.AsyncClient, query: str, expected: str) -> None:
    """Each query of README and docs/clients.md returns the response printed below it."""
    response = await bundled_client.post("/graphql", json={"query": query})
    assert response.json() == json.loads(expected)


def test_queries_are_found() -> None:
    """README has one query with its response, docs/clients.md seven."""
    assert len(CLIENT_QUERIES) == 7


def test_readme_is_one_screen() -> None:
    """README has at most 150 lines; everything else is in docs/."""
    assert len(README.splitlines()) <= 150


def test_mutation(server_url: str) -> None:
    """The mutation of README returns the report printed below it, except timings."""
    query, expected_body = MUTATION
    for _ in range(2):
        response = http_client.post(f"{server_url}/graphql", json={"query": query})
    report = without_timings(response.json()["data"]["refreshCountries"])
    expected = without_timings(json.loads(expected_body)["data"]["refreshCountries"])
    assert report == {**expected, "imageUrl": f"{server_url}/images"}


def test_refresh(tmp_path: Path, upstream: Upstream) -> None:
    """The refresh from the shell prints what docs/operations.md shows, except timings."""
    for _ in range(2):
        result = run_command(tmp_path, "refresh", **upstream.environment)
    assert result.exit_code == 0
    # The order of the sources is that of their responses, which is random.
    assert sorted(mask_timings(result.stdout).split("\n")) == sorted(mask_timings(REFRESH[1]).split("\n"))


def test_settings() -> None:
    """docs/configuration.md lists every setting, and no other."""
    section = CONFIGURATION.split("## Settings")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == [name.upper() for name in Settings.model_fields]


def test_limits() -> None:
    """docs/configuration.md lists every query limit with its default."""
    section = CONFIGURATION.split("## Query limits")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| `(\d+)` \|", section, re.MULTILINE)
    assert {name: int(value) for name, value in listed} == asdict(QueryLimits())


def test_defaults() -> None:
    """The defaults that docs/configuration.md prints as values are those of the settings."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\S+)` \|", CONFIGURATION, re.MULTILINE)
    defaults = Settings()
    parsed = {name: Settings(**{name.lower(): value}) for name, value in rows}
    assert len(parsed) == 31
    assert {name for name, settings in parsed.items() if settings != defaults} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    """Every file, folder and heading that a page links to exists."""
    targets = re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", page.read_text("utf-8"))
    for path, anchor in targets:
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


def count_served_countries(server: DatabaseServer, command: str, folder: Path, **variables: str) -> int:
    """Run a command with the URL of a real database; return the number of countries served."""
    address = server.url(server.create_database()).partition("://")[2]
    shell_command = re.sub(r"user:password@host:\d+/countries", lambda _: address, command)
    shell_command = shell_command.replace("make run", f"exec {shlex.join(PROGRAM)} serve")
    env = build_environment({**BUNDLED_SOURCES, "PORT": "0", **variables})
    with running_process(["sh", "-c", shell_command], folder, env) as process:
        body = process.query("{ status { totalCountries } }")
    total: int = body["data"]["status"]["totalCountries"]
    return total


@pytest.mark.slow
def test_mysql(new_mysql_family: Callable[..., MySQLFamilyServer], certificates: Certificates, tmp_path: Path) -> None:
    """Both commands for MySQL serve from a server that refuses connections without TLS."""
    public_command, private_command = MYSQL
    shutil.copy(certificates.authority, tmp_path / "ca.pem")
    with new_mysql_family("--require-secure-transport=ON", tls=certificates.good) as server:
        tls_env = {"SSL_CERT_FILE": str(certificates.authority)}
        assert count_served_countries(server, public_command, tmp_path, **tls_env) == 250
        assert count_served_countries(server, private_command, tmp_path) == 250


@pytest.mark.slow
def test_postgresql(new_postgresql: Callable[..., PostgreSQL], certificates: Certificates, tmp_path: Path) -> None:
    """The command for PostgreSQL serves from it, over TLS."""
    tls_env = {"SSL_CERT_FILE": str(certificates.authority)}
    with new_postgresql(tls=certificates.good) as server:
        assert count_served_countries(server, POSTGRESQL, tmp_path, **tls_env) == 250


def test_commands() -> None:
    """Every shell command of these pages is tried here or by a test that the list names."""
    blocks = [
        block for page in (README, DATABASES, OPERATIONS) for block in find_blocks(page) if block.language == "sh"
    ]
    assert [block.text.split()[0:2] for block in blocks] == [
        ["make", "run"],
        *(text.split()[0:2] for text in (MYSQL[0], POSTGRESQL, MYSQL[1])),
        ["pip", "install"],  # test_distribution.py
        ["eval", '"$(_GRAPHQL_API_COMPLETE=bash_source'],  # test_distribution.py
        [".venv/bin/graphql-api", "refresh"],
        ["export", "ADMIN_TOKEN=$(openssl"],
        ["echo", '"ADMIN_TOKEN=$(openssl'],
        ["echo", '"METRICS_TOKEN=$(openssl'],  # test_dockerfile.py
        ["kubectl", "create"],  # test_deployment.py validates what it applies
        ["python3", "-m"],  # test_deployment.py verifies the unit; not run
        ["OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", "OTEL_SERVICE_NAME=countries"],  # test_tracing.py
        ["sed", "-i"],  # needs a copy of alerts.yaml; not run
        ["#", "Slow"],  # jq, over a log; not run
    ]
