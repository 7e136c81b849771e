"""`graphql-api serve`: from an empty folder to answers, what it refuses, and how it ends."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cli.running import BUNDLED, UNREACHABLE, Ended, Process, names, run, serving
from tests.upstream.server import Answer, Upstream

COUNT = "{ countries { totalCount } }"
COUNTED = {"data": {"countries": {"totalCount": 250}}}
REFRESH = "mutation { refreshCountries { totalCountries sources { provider live } } }"
PROVIDERS = "{ status { lastRefresh { sources { provider } } } }"


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Lend a server that began in an empty folder and whose sources cannot be reached."""
    with serving(tmp_path_factory.mktemp("a folder, 100% new"), **UNREACHABLE) as server:
        yield server


def test_first_start_offline(offline: Process) -> None:
    """Without a network an empty folder becomes a server with every country."""
    assert offline.query(COUNT) == COUNTED
    ready = offline.get("/readyz")
    assert (ready.status_code, ready.json()["countries"]) == (200, 250)
    assert offline.get("/healthz").json() == {"status": "ok"}


def test_refresh_offline(offline: Process) -> None:
    """Offline the mutation works too, from the bundled data, and says so."""
    assert offline.query(REFRESH)["data"]["refreshCountries"] == {
        "totalCountries": 250,
        "sources": [{"provider": "bundled", "live": False}] * 2,
    }


def test_what_is_said(offline: Process) -> None:
    """The log tells of the migration, of the load, and where the playground is."""
    lines = [line.split(maxsplit=2)[2] for line in offline.said.splitlines()]
    assert lines[0] == "Migrated the database at sqlite:///var/countries.db"
    assert lines[1].startswith("Refresh ")
    assert lines[2] == f"The playground is at {offline.url}/graphql (Ctrl-C stops)"


def test_second_start(tmp_path: Path) -> None:
    """A second start serves what is there, and loads nothing anew."""
    for said in (3, 1):
        with serving(tmp_path, **BUNDLED, STALE_AFTER="1e9") as server:
            assert server.query(COUNT) == COUNTED
            before_greeting = server.said.split("The playground")[0].count("\n")
            assert before_greeting == said - 1
            server.end(signal.SIGINT)


def test_live_data_follows(tmp_path: Path, upstream: Upstream) -> None:
    """After the start, live data takes the place of the bundled data by itself."""
    with serving(tmp_path, **upstream.environment) as server:
        server.wait_until_said("countries from geonames, rates from er-api")
        assert server.query(PROVIDERS) == {
            "data": {
                "status": {
                    "lastRefresh": {"sources": [{"provider": "geonames"}, {"provider": "er-api"}]}
                }
            }
        }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_end(tmp_path: Path, upstream: Upstream, number: signal.Signals) -> None:
    """A signal ends it with code 0 and without a traceback, whatever hangs on it."""
    upstream.answer("countries", Answer(until=lambda: False))
    with serving(tmp_path, **upstream.environment, API_TIMEOUT="60") as server:
        address = urlsplit(server.url)
        with closing(socket.create_connection((address.hostname, address.port))) as half_sent:
            half_sent.sendall(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            upstream.wait_until_asked("countries", 1)
            ended = server.end(number)
    assert ended.code == 0
    assert "Traceback" not in ended.stderr


def test_production(tmp_path: Path) -> None:
    """In production there is no playground, no schema, and mutations need the token."""
    settings = {
        "ENVIRONMENT": "production",
        "ADMIN_TOKEN": "hunter2-hunter2",
        "PUBLIC_URL": "https://countries.example",
    }
    with serving(tmp_path, **BUNDLED, **settings) as server:
        assert f"Serving https://countries.example, served from {server.url} " in server.said
        assert server.get("/graphql", accept="text/html").status_code == 406
        assert server.get("/schema.graphql").status_code == 404
        refused = server.query(REFRESH)
        assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        bearer = {"Authorization": "Bearer hunter2-hunter2"}
        assert server.query(REFRESH, **bearer)["data"]["refreshCountries"]["totalCountries"] == 250
        assert "hunter2" not in server.end(signal.SIGINT).stderr


def test_access_log(tmp_path: Path) -> None:
    """ACCESS_LOG has each request logged; without it none is."""
    with serving(tmp_path, **BUNDLED, ACCESS_LOG="true") as server:
        server.get("/healthz")
        server.wait_until_said(r'"GET /healthz HTTP/1\.1" 200')
    with serving(tmp_path, **BUNDLED) as server:
        server.get("/healthz")
        assert "/healthz" not in server.end(signal.SIGINT).stderr


def test_env_file(tmp_path: Path) -> None:
    """Settings are read from .env in the folder of the start, too."""
    (tmp_path / ".env").write_text("PORT=not a number\n")
    assert run(tmp_path, "serve").stderr == (
        "graphql-api: PORT: Input should be a valid integer, unable to parse string as an integer\n"
    )


def test_taken_port(tmp_path: Path) -> None:
    """A taken port is one line that says what to do, and nothing is made."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = str(other.getsockname()[1])
        assert run(tmp_path, "serve", PORT=port) == Ended(
            2,
            "",
            f"graphql-api: PORT {port} of HOST 127.0.0.1 cannot be listened on: "
            "Address already in use. Set PORT to a free one, for example 8001.\n",
        )
    assert names(tmp_path) == []


NO_TOKEN = (
    "ADMIN_TOKEN is needed in production, and when HOST is not loopback: "
    "whoever can reach the server could refresh and delete."
)
NO_PUBLIC_URL = (
    "PUBLIC_URL is needed in production, for example https://countries.example.org; "
    "absolute URLs begin with it."
)
NO_FOLDER = (
    "The folder file for the database cannot be made (File exists); "
    "set DATABASE_URL to a place that can be written."
)


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        ({"PORT": "70000"}, 2, "PORT: Input should be less than or equal to 65535"),
        ({"HOST": "0.0.0.0"}, 2, NO_TOKEN),  # noqa: S104 - refused is what it is
        ({"ENVIRONMENT": "production", "ADMIN_TOKEN": "x"}, 2, NO_PUBLIC_URL),
        (
            {"COUNTRIES_SOURCES": "atlas"},
            2,
            "COUNTRIES_SOURCES names 'atlas', which is not one of bundled, geonames.",
        ),
        ({"DATABASE_URL": "sqlite:///file/countries.db"}, 1, NO_FOLDER),
    ],
    ids=["port", "host", "production", "source", "folder"],
)
def test_refused(tmp_path: Path, variables: dict[str, str], code: int, message: str) -> None:
    """What cannot work is refused at once, in one line that names the variable."""
    (tmp_path / "file").touch()
    ended = run(tmp_path, "serve", **{"PORT": "0", **variables})
    assert ended == Ended(code, "", f"graphql-api: {message}\n")
    assert names(tmp_path) == ["file"]
