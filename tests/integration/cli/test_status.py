"""`graphql-api status` describes a running server to people and monitors."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support.processes import (
    BUNDLED_SOURCES,
    UNREACHABLE_SOURCES,
    Process,
    run_command,
    run_forked,
    running_server,
)
from tests.support.server import free_port, running_http_server

REFRESHED_PATTERN = r"0 new, 0 changed, 250 unchanged\)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Run a server of bundled data, which is stale by definition."""
    with running_server(tmp_path_factory.mktemp("status"), **BUNDLED_SOURCES) as server:
        server.wait_for_log(REFRESHED_PATTERN)
        yield server


@pytest.mark.parametrize("suffix", ["", "/", "/graphql"])
def test_stale_server(server: Process, tmp_path: Path, suffix: str) -> None:
    """One line each describes server, database, data, sources and the last refresh; bundled data has exit code 3."""
    code, stdout, stderr = run_forked(tmp_path, "status", f"{server.url}{suffix}")
    assert (code, stderr) == (3, "")
    lines = [re.sub(r"\d{4}-\d\d-\d\dT\S+Z?", "INSTANT", line) for line in stdout.splitlines()]
    assert lines[0] == f"server       {server.url}, ready"
    assert lines[1] == "database     ok"
    assert re.fullmatch(r"data         version \S+, 250 countries, stale", lines[2])
    assert [line.split()[0] for line in lines[3:]] == ["countries", "rates", "statistics", "refreshed"]
    assert re.match(r"countries +bundled, \d+ countries$", lines[3])
    assert re.fullmatch(r"refreshed +INSTANT \(\d:\d\d:\d\d ago\), by start, in \d\.\d s", lines[-1])


def test_json(server: Process, tmp_path: Path) -> None:
    """`--json` prints the field `status` and the readiness, and the exit code stays."""
    code, stdout, stderr = run_forked(tmp_path, "status", server.url, "--json")
    assert (code, stderr) == (3, "")
    status = json.loads(stdout)
    assert (status["totalCountries"], status["stale"], status["lastFailure"]) == (250, True, None)
    assert status["ready"] == server.get("/readyz").json()


def test_settings_name_the_server(server: Process, tmp_path: Path) -> None:
    """Without a URL the command requests the server of this folder's settings."""
    (tmp_path / ".env").write_text(f"PORT={server.port}\nHOST=0.0.0.0\n")
    code, stdout, _ = run_command(tmp_path, "status")
    assert (code, stdout.splitlines()[0]) == (3, f"server       {server.url}, ready")


@pytest.mark.slow
def test_failed_refresh(tmp_path: Path) -> None:
    """The last failure is a line of its own."""
    sources = {name: value.removesuffix(",bundled") for name, value in UNREACHABLE_SOURCES.items()}
    with running_server(tmp_path, **sources) as server:
        server.wait_for_log("SOURCE_UNAVAILABLE")
        code, stdout, _ = run_forked(tmp_path, "status", server.url)
    assert code == 3
    assert re.search(r"^failed +\S+ \(0:00:\d\d ago\): SOURCE_UNAVAILABLE: ", stdout, re.MULTILINE)


class OtherProgram(BaseHTTPRequestHandler):
    """Another program: every response is a page."""

    def do_GET(self) -> None:
        """Respond with a page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>It works!</h1>")

    do_POST = do_GET  # noqa: N815 - the name of the method of HTTP

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_no_server(tmp_path: Path) -> None:
    """A port without a server, and another program on it, are reported in one line with exit code 1."""
    url = f"http://127.0.0.1:{free_port()}"
    assert run_forked(tmp_path, "status", url) == (
        1,
        "",
        f"graphql-api: No status from {url}: [Errno 111] Connection refused.\n",
    )
    with running_http_server(OtherProgram) as port:
        url = f"http://127.0.0.1:{port}"
        expected = f"graphql-api: No status from {url}: it is another program.\n"
        assert run_forked(tmp_path, "status", url) == (1, "", expected)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://[::1", "x"])
def test_not_a_url(tmp_path: Path, url: str) -> None:
    """A text that is not a URL is refused by name."""
    code, stdout, stderr = run_forked(tmp_path, "status", url)
    assert (code, stdout) == (2, "")
    assert url in stderr
    assert "Traceback" not in stderr
