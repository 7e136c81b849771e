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

from graphql_api.schema.limits import Limits
from graphql_api.settings import Settings
from tests.cli.running import BUNDLED, PROGRAM, environment, running
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import Server
from tests.servers.tls import Certificates
from tests.serving import opened
from tests.upstream.server import Upstream

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


class Block(NamedTuple):
    """A fenced block: what it is in, and what it holds."""

    language: str
    text: str


BLOCKS = [
    Block(*found)
    for found in re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
]
ANSWERED = [
    (asked.text, answer.text)
    for asked, answer in pairwise(BLOCKS)
    if answer.language in ("json", "text")
]
QUERIES = [pair for pair in ANSWERED if pair[0].startswith("{")]
[MUTATION] = [pair for pair in ANSWERED if pair[0].startswith("mutation")]
[CURL] = [pair for pair in ANSWERED if pair[0].startswith("curl")]
MYSQL = [block.text for block in BLOCKS if block.text.startswith("DATABASE_URL='mysql:")]
[POSTGRESQL] = [block.text for block in BLOCKS if block.text.startswith("DATABASE_URL='postgres")]
[REFRESH] = [pair for pair in ANSWERED if pair[0].startswith(".venv/bin/graphql-api refresh")]


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests away."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def bundled(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Lend a client of a server that has the bundled data and asks nobody."""
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/countries.db",
        countries_sources=(("bundled", None),),
        rates_sources=(("bundled", None),),
    )
    async with (
        opened(settings) as app,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000"
        ) as client,
    ):
        yield client


@pytest.fixture
def served(tmp_path: Path, upstream: Upstream) -> Iterator[str]:
    """Lend the URL of a server process whose sources the upstream plays."""
    command = [sys.executable, "-m", "graphql_api", "serve"]
    given = process_environment(upstream, PORT="0")
    with subprocess.Popen(
        command, cwd=tmp_path, env=given, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            found = (re.search(r"(http://\S+)/graphql", line) for line in server.stderr)
            yield next(match[1] for match in found if match)
        finally:
            server.send_signal(signal.SIGINT)


def process_environment(upstream: Upstream, **variables: str) -> dict[str, str]:
    """Return the environment of a process that runs this tree."""
    return environment({**upstream.environment, **variables})


def masked(text: str) -> str:
    """Return a text without what differs from run to run: times, and widths of what is drawn."""
    return re.sub(r"\d+\.\d$", "N", re.sub("[ █]+", " ", text), flags=re.MULTILINE)


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report of a refresh without what differs from run to run."""
    address, revision = report["imageUrl"].split("/summary-")
    assert re.fullmatch(r"\d+-250\.png", revision)
    timings = {name: type(value) for name, value in report["timings"].items()}
    return {**report, "timings": timings, "imageUrl": address}


@pytest.mark.parametrize(("query", "answer"), QUERIES)
async def test_query(bundled: httpx.AsyncClient, query: str, answer: str) -> None:
    """Each query of the README gives the answer printed below it."""
    response = await bundled.post("/graphql", json={"query": query})
    assert response.json() == json.loads(answer)


def test_three_queries() -> None:
    """The README has the three queries that it announces."""
    assert len(QUERIES) == 3


def test_mutation(served: str) -> None:
    """The mutation of the README gives the report printed below it, but for times."""
    query, answer = MUTATION
    for _ in range(2):
        response = httpx.post(f"{served}/graphql", json={"query": query}, trust_env=False)
    told = timeless(response.json()["data"]["refreshCountries"])
    expected = timeless(json.loads(answer)["data"]["refreshCountries"])
    assert told == {**expected, "imageUrl": f"{served}/images"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="install curl to try the README's command")
def test_curl(served: str) -> None:
    """The curl command of the README gives the answer printed below it."""
    command, answer = CURL
    command = command.replace("http://127.0.0.1:8000", served).replace("curl", "curl -s")
    given = {"PATH": os.environ["PATH"], "no_proxy": "*"}
    done = subprocess.run(
        ["sh", "-c", command], env=given, capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout) == json.loads(answer)


def test_refresh(tmp_path: Path, upstream: Upstream) -> None:
    """The refresh from the shell prints what the README shows, but for times."""
    command = [sys.executable, "-m", "graphql_api", "refresh"]
    for _ in range(2):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=process_environment(upstream),
            capture_output=True,
            check=True,
            text=True,
        )
    # Which source answers first is of chance.
    assert sorted(masked(done.stdout).split("\n")) == sorted(masked(REFRESH[1]).split("\n"))


def test_settings() -> None:
    """The README lists every setting, and no other."""
    section = README.split("## Settings")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == [name.upper() for name in Settings.model_fields]


def test_limits() -> None:
    """The README lists every limit of a query, with its default."""
    section = README.split("## Running in production")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| `(\d+)` \|", section, re.MULTILINE)
    assert {name: int(value) for name, value in listed} == asdict(Limits())


def test_defaults() -> None:
    """The defaults that the README gives as values are those of the settings."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(\S+)` \|", README, re.MULTILINE)
    plain = Settings()
    given = {name: Settings(**{name.lower(): value}) for name, value in rows}
    assert len(given) == 26
    assert {name for name, settings in given.items() if settings != plain} == set()


def test_links() -> None:
    """Every file and folder that the README links to is there."""
    targets = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert targets == ["docs/summary.png", "docs/landing.png", "schema.graphql", *targets[3:]]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def served_from(server: Server, command: str, folder: Path, **variables: str) -> int:
    """Type a command with the address of a real database; return how many countries are served."""
    address = server.url(server.create_database()).partition("://")[2]
    typed = re.sub(r"user:password@host:\d+/countries", lambda _: address, command)
    typed = typed.replace("make run", f"exec {shlex.join(PROGRAM)} serve")
    given = environment({**BUNDLED, "PORT": "0", **variables})
    with running(["sh", "-c", typed], folder, given) as started:
        answer = started.query("{ status { totalCountries } }")
    total: int = answer["data"]["status"]["totalCountries"]
    return total


def test_mysql(
    new_mariadb: Callable[..., MariaDB], certificates: Certificates, tmp_path: Path
) -> None:
    """Both commands for MySQL serve from a server that takes no connection without TLS."""
    public, private = MYSQL
    shutil.copy(certificates.authority, tmp_path / "ca.pem")
    with new_mariadb("--require-secure-transport=ON", tls=certificates.good) as server:
        trusted = {"SSL_CERT_FILE": str(certificates.authority)}
        assert served_from(server, public, tmp_path, **trusted) == 250
        assert served_from(server, private, tmp_path) == 250


def test_postgresql(
    new_postgresql: Callable[..., PostgreSQL], certificates: Certificates, tmp_path: Path
) -> None:
    """The command for PostgreSQL serves from it, by TLS."""
    trusted = {"SSL_CERT_FILE": str(certificates.authority)}
    with new_postgresql(tls=certificates.good) as server:
        assert served_from(server, POSTGRESQL, tmp_path, **trusted) == 250


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
