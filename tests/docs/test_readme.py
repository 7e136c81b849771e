"""The README tells the truth: every query, command and setting in it is tried."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from graphql_api.execution.limits import QueryLimits
from graphql_api.settings import Settings
from tests.support.app import running_app
from tests.support.certificates import Certificates
from tests.support.db_servers.mariadb import MariaDB
from tests.support.db_servers.postgresql import PostgreSQL
from tests.support.db_servers.process import DatabaseServer
from tests.support.fake_providers.server import Upstream
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, PROGRAM, build_environment, running_process

README = (ROOT / "README.md").read_text()


class Block(NamedTuple):
    """A fenced block: what it is in, and what it holds."""

    language: str
    text: str


BLOCKS = [
    Block(*match)
    for match in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
]
EXAMPLES = [
    (source.text, output.text)
    for source, output in pairwise(BLOCKS)
    if output.language in ("json", "text")
]
QUERIES = [pair for pair in EXAMPLES if pair[0].startswith("{")]
[MUTATION] = [pair for pair in EXAMPLES if pair[0].startswith("mutation")]
[CURL] = [pair for pair in EXAMPLES if pair[0].startswith("curl")]
MYSQL = [block.text for block in BLOCKS if block.text.startswith("DATABASE_URL='mysql:")]
[POSTGRESQL] = [block.text for block in BLOCKS if block.text.startswith("DATABASE_URL='postgres")]
[REFRESH] = [pair for pair in EXAMPLES if pair[0].startswith(".venv/bin/graphql-api refresh")]


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests away."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def bundled_client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Lend a client of a server that has the bundled data and asks nobody."""
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/countries.db",
        countries_sources=(("bundled", None),),
        rates_sources=(("bundled", None),),
    )
    async with (
        running_app(settings) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000"
        ) as client,
    ):
        yield client


@pytest.fixture
def server_url(tmp_path: Path, upstream: Upstream) -> Iterator[str]:
    """Lend the URL of a server process whose sources the upstream plays."""
    command = [sys.executable, "-m", "graphql_api", "serve"]
    env = make_process_environment(upstream, PORT="0")
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            matches = (re.search(r"(http://\S+)/graphql", line) for line in server.stderr)
            yield next(match[1] for match in matches if match)
        finally:
            server.send_signal(signal.SIGINT)


def make_process_environment(upstream: Upstream, **variables: str) -> dict[str, str]:
    """Return the environment of a process that runs this tree."""
    return build_environment({**upstream.environment, **variables})


def mask_timings(text: str) -> str:
    """Return a text without what differs from run to run: times, and widths of what is drawn."""
    return re.sub(r"\d+\.\d$", "N", re.sub("[ █]+", " ", text), flags=re.MULTILINE)


def without_timings(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report of a refresh without what differs from run to run."""
    address, revision = report["imageUrl"].split("/summary-")
    assert re.fullmatch(r"\d+-250\.png", revision)
    timings = {name: type(value) for name, value in report["timings"].items()}
    return {**report, "timings": timings, "imageUrl": address}


@pytest.mark.parametrize(("query", "answer"), QUERIES)
async def test_query(bundled_client: httpx.AsyncClient, query: str, answer: str) -> None:
    """Each query of the README gives the answer printed below it."""
    response = await bundled_client.post("/graphql", json={"query": query})
    assert response.json() == json.loads(answer)


def test_three_queries() -> None:
    """The README has the three queries that it announces."""
    assert len(QUERIES) == 3


def test_mutation(server_url: str) -> None:
    """The mutation of the README gives the report printed below it, but for times."""
    query, expected_body = MUTATION
    for _ in range(2):
        response = httpx.post(f"{server_url}/graphql", json={"query": query}, trust_env=False)
    report = without_timings(response.json()["data"]["refreshCountries"])
    expected = without_timings(json.loads(expected_body)["data"]["refreshCountries"])
    assert report == {**expected, "imageUrl": f"{server_url}/images"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="install curl to try the README's command")
def test_curl(server_url: str) -> None:
    """The curl command of the README gives the answer printed below it."""
    command, expected_output = CURL
    command = command.replace("http://127.0.0.1:8000", server_url).replace("curl", "curl -s")
    env = {"PATH": os.environ["PATH"], "no_proxy": "*"}
    result = subprocess.run(
        ["sh", "-c", command], env=env, capture_output=True, check=True, text=True
    )
    assert json.loads(result.stdout) == json.loads(expected_output)


def test_refresh(tmp_path: Path, upstream: Upstream) -> None:
    """The refresh from the shell prints what the README shows, but for times."""
    command = [sys.executable, "-m", "graphql_api", "refresh"]
    for _ in range(2):
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env=make_process_environment(upstream),
            capture_output=True,
            check=True,
            text=True,
        )
    # Which source answers first is of chance.
    assert sorted(mask_timings(result.stdout).split("\n")) == sorted(
        mask_timings(REFRESH[1]).split("\n")
    )


def test_settings() -> None:
    """The README lists every setting, and no other."""
    section = README.split("## Settings")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == [name.upper() for name in Settings.model_fields]


def test_limits() -> None:
    """The README lists every limit of a query, with its default."""
    section = README.split("## Running in production")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| `(\d+)` \|", section, re.MULTILINE)
    assert {name: int(value) for name, value in listed} == asdict(QueryLimits())


def test_defaults() -> None:
    """The defaults that the README gives as values are those of the settings."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\S+)` \|", README, re.MULTILINE)
    defaults = Settings()
    parsed = {name: Settings(**{name.lower(): value}) for name, value in rows}
    assert len(parsed) == 26
    assert {name for name, settings in parsed.items() if settings != defaults} == set()


def test_links() -> None:
    """Every file and folder that the README links to is there."""
    targets = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert targets == ["docs/summary.png", "docs/landing.png", "schema.graphql", *targets[3:]]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def count_served_countries(
    server: DatabaseServer, command: str, folder: Path, **variables: str
) -> int:
    """Type a command with the address of a real database; return how many countries are served."""
    address = server.url(server.create_database()).partition("://")[2]
    shell_command = re.sub(r"user:password@host:\d+/countries", lambda _: address, command)
    shell_command = shell_command.replace("make run", f"exec {shlex.join(PROGRAM)} serve")
    env = build_environment({**BUNDLED_SOURCES, "PORT": "0", **variables})
    with running_process(["sh", "-c", shell_command], folder, env) as process:
        body = process.query("{ status { totalCountries } }")
    total: int = body["data"]["status"]["totalCountries"]
    return total


def test_mysql(
    new_mariadb: Callable[..., MariaDB], certificates: Certificates, tmp_path: Path
) -> None:
    """Both commands for MySQL serve from a server that takes no connection without TLS."""
    public_command, private_command = MYSQL
    shutil.copy(certificates.authority, tmp_path / "ca.pem")
    with new_mariadb("--require-secure-transport=ON", tls=certificates.good) as server:
        tls_env = {"SSL_CERT_FILE": str(certificates.authority)}
        assert count_served_countries(server, public_command, tmp_path, **tls_env) == 250
        assert count_served_countries(server, private_command, tmp_path) == 250


def test_postgresql(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates, tmp_path: Path
) -> None:
    """The command for PostgreSQL serves from it, by TLS."""
    tls_env = {"SSL_CERT_FILE": str(certificates.authority)}
    with new_postgresql(tls=certificates.good) as server:
        assert count_served_countries(server, POSTGRESQL, tmp_path, **tls_env) == 250


def test_commands() -> None:
    """Every command of the README is tried by a test: of this file, or of test_container.py."""
    commands = [block.text.split()[0:2] for block in BLOCKS if block.language == "sh"]
    assert commands == [
        ["make", "run"],
        ["make", "test"],
        ["curl", "http://127.0.0.1:8000/graphql"],
        [".venv/bin/graphql-api", "refresh"],
        *(text.split()[0:2] for text in (MYSQL[0], POSTGRESQL, MYSQL[1])),
        ["docker", "build"],
        ["ADMIN_TOKEN=secret", "MYSQL_PASSWORD=letters8digits"],
    ]
