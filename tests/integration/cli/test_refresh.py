"""`graphql-api refresh`: its output, the rows it stores, and failures that change nothing."""

import errno
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.environments import build_environment
from tests.support.fake_providers.server import RATES, FakeResponse, Upstream
from tests.support.processes import (
    PROGRAM,
    UNREACHABLE_SOURCES,
    CommandResult,
    list_paths,
    run_command,
    run_forked,
    running_command,
    running_server,
)
from tests.support.refresh_service import change_column, countries_response
from tests.support.wait import WAIT_TIMEOUT, wait_until

DATABASE = "countries.db"
DATABASE_SETTINGS = {"DATABASE_URL": f"sqlite:///{DATABASE}"}
DOWN = FakeResponse(status=500)
HANGING = FakeResponse(hold_until=threading.Event().is_set)
FAILURE = "graphql-api: No source of countries could be used. geonames: responded with status 500.\n"
NOT_BUNDLED = (
    "graphql-api: No live source of countries could be used, and bundled data never replaces "
    "live data. geonames: responded with status 500.\n"
)
STEPS = """\
Started
Fetching countries, exchange rates and statistics
Merging
Writing 250 countries
Drawing the summary
Done
"""
FIRST_STEPS = ["Started", "Fetching countries, exchange rates and statistics"]
REPORT = """\
250 countries: {counts}, 0 missing, 2 skipped; 1 SQL statement
countries from geonames; GeoNames (https://www.geonames.org), CC BY 4.0
rates from er-api; as of 2026-09-29 00:02 UTC; Rates by Exchange Rate API \
(https://www.exchangerate-api.com)
statistics from world-bank; as of 2026-10-07 00:00 UTC; 18 records of no country dropped; \
World Bank, World Development Indicators (https://data.worldbank.org), CC BY 4.0
skipped Netherlands Antilles: AN is not a current ISO 3166-1 alpha-2 code
skipped Serbia and Montenegro: CS is not a current ISO 3166-1 alpha-2 code
phase ms
fetch countries N
fetch rates N
fetch statistics N
transform N
upsert N
draw N
total N
"""
ALL_NEW, UNCHANGED = ("250 new, 0 changed, 0 unchanged", "0 new, 0 changed, 250 unchanged")


class FirstRefresh(NamedTuple):
    """A first refresh: its folder and its result."""

    folder: Path
    result: CommandResult


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> FirstRefresh:
    """Run a first refresh in a folder of its own."""
    folder = tmp_path_factory.mktemp("first")
    with Upstream() as upstream:
        return FirstRefresh(folder, run_command(folder, "refresh", **DATABASE_SETTINGS, **upstream.environment))


@pytest.fixture
def folder(first: FirstRefresh, tmp_path: Path) -> Path:
    """Return a copy of the folder of the first refresh."""
    shutil.copy(first.folder / DATABASE, tmp_path)
    return tmp_path


def refresh_settings(upstream: Upstream) -> dict[str, str]:
    """Return settings with `upstream` as the provider, and timeouts that never expire."""
    return {**DATABASE_SETTINGS, **upstream.environment, "API_TIMEOUT": "1000", "REFRESH_TIMEOUT": "1000"}


def settings_without_fallback(upstream: Upstream) -> dict[str, str]:
    """Return settings with one provider of each kind, so that its failure fails the refresh."""
    return {
        **refresh_settings(upstream),
        "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}",
        "RATES_SOURCES": f"er-api={upstream.rates_url}",
    }


def mask(text: str) -> str:
    """Return output with its timings and bars masked."""
    return re.sub(r"\d+\.\d$", "N", re.sub("[ █]+", " ", text), flags=re.MULTILINE)


def read_rows(folder: Path) -> list[tuple[object, ...]]:
    """Return all rows of the table of countries."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return connection.execute("SELECT * FROM countries ORDER BY code").fetchall()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:7890/"),
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        ("NO_PROXY", "example.org,[::1"),
        ("SSL_CERT_FILE", "/nowhere/authorities.pem"),
    ],
)
def test_malformed_environment(tmp_path: Path, upstream: Upstream, variable: str, value: str) -> None:
    """If a variable for proxies or certificates cannot be used, the next provider is, and a line names the variable."""
    result = run_forked(tmp_path, "refresh", **refresh_settings(upstream), **{variable: value})
    assert result.exit_code == 0
    assert re.fullmatch(
        r"graphql-api: Live sources failed\."
        rf" Countries: .*{variable}.* Rates: .*{variable}.* Statistics: .*{variable}.*\n",
        result.stderr,
    )
    for kind in ("countries", "rates", "statistics"):
        assert f"\n{kind} from bundled" in result.stdout
    assert value not in result.stdout + result.stderr
    assert upstream.requests == ()


def test_proxy(tmp_path: Path, upstream: Upstream) -> None:
    """Requests go through the proxy of the environment, which gets their complete URL."""
    sources = {
        "COUNTRIES_SOURCES": "geonames=http://mirror.example/countries",
        "RATES_SOURCES": "er-api=http://mirror.example/rates",
        "STATISTICS_SOURCES": "bundled",
    }
    result = run_forked(tmp_path, "refresh", **DATABASE_SETTINGS, **sources, http_proxy=upstream.url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert {request.headers["host"] for request in upstream.requests} == {"mirror.example"}


def run_on_terminal(folder: Path, **variables: str) -> CommandResult:
    """Refresh with a terminal as stdout; return its text without escape sequences."""
    controller_fd, terminal_fd = pty.openpty()
    try:
        with subprocess.Popen(
            [*PROGRAM, "refresh"],
            cwd=folder,
            env=build_environment({"TERM": "xterm", "COLUMNS": "80", **variables}),
            stdin=subprocess.DEVNULL,
            stdout=terminal_fd,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            os.close(terminal_fd)
            output = b"".join(_read_terminal(controller_fd)).decode()
            _, stderr = process.communicate(timeout=WAIT_TIMEOUT)
    finally:
        os.close(controller_fd)
    return CommandResult(process.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output), stderr)


def _read_terminal(controller_fd: int) -> Iterator[bytes]:
    try:
        while chunk := os.read(controller_fd, 4096):
            yield chunk
    except OSError as error:
        # Linux' error once the other end is closed.
        if error.errno != errno.EIO:
            raise


def last_bar(output: str) -> str:
    """Return the last state of the progress bar, with its time masked."""
    bars = re.findall(r"^.* (?:━|╸|╺).*$", output.replace("\r", "\n"), re.MULTILINE)
    return re.sub(r"\d:\d\d:\d\d", "TIME", re.sub("[━╸╺]+", "BAR", bars[-1].strip()))


def without_provider_lines(stdout: str) -> list[str]:
    """Return the printed lines except those of providers, whose order varies."""
    return [line for line in stdout.split("\n") if " returned " not in line]


def test_first(first: FirstRefresh) -> None:
    """In an empty folder, a refresh creates the database, fills it, and prints each step."""
    expected = mask(STEPS + REPORT.format(counts=ALL_NEW))
    result = first.result._replace(stdout=mask("\n".join(without_provider_lines(first.result.stdout))))
    assert result == CommandResult(0, expected, "")
    assert sorted(set(first.result.stdout.splitlines()) - set(without_provider_lines(first.result.stdout))) == [
        "er-api returned 155 rates",
        "geonames returned 250 countries",
        "world-bank returned statistics of 216 countries",
    ]
    assert list_paths(first.folder) == [DATABASE]
    assert len(read_rows(first.folder)) == 250


def test_terminal(folder: Path, upstream: Upstream) -> None:
    """On a terminal, a refresh shows a bar up to 100 %, and its report below."""
    result = run_on_terminal(folder, **refresh_settings(upstream))
    assert (result.exit_code, result.stderr) == (0, "")
    assert last_bar(result.stdout) == "Done BAR 100 % TIME"
    report = mask(result.stdout.replace("\r\n", "\n"))
    assert report.endswith("\n" + mask(REPORT.format(counts=UNCHANGED)))


def test_failure(folder: Path, upstream: Upstream) -> None:
    """A failing provider is named with its reason in one line; the rows stay as they were."""
    before = read_rows(folder)
    upstream.set_responses("countries", DOWN)
    result = run_forked(folder, "refresh", **settings_without_fallback(upstream))
    assert (result.exit_code, without_provider_lines(result.stdout)[:-1], result.stderr) == (1, FIRST_STEPS, FAILURE)
    assert read_rows(folder) == before


def test_failure_on_a_terminal(folder: Path, upstream: Upstream) -> None:
    """On a terminal too, the reason is printed once; bundled data does not replace live data."""
    before = read_rows(folder)
    upstream.set_responses("countries", DOWN)
    result = run_on_terminal(folder, **refresh_settings(upstream))
    assert (result.exit_code, result.stderr) == (1, NOT_BUNDLED)
    assert read_rows(folder) == before
    assert last_bar(result.stdout) == "Failed BAR  70 % TIME"
    assert "500" not in result.stdout


OFFLINE = (
    "Live sources failed. Countries: the bundled data still serves (geonames: the server refuses connections). "
    "Rates: the bundled data of 2026-09-29 still serves (er-api: the server refuses connections). "
    "Statistics: the bundled data of 2024-10-24 still serves (world-bank: the server refuses connections)."
)


@pytest.mark.slow
def test_offline(tmp_path: Path, upstream: Upstream) -> None:
    """Failed live sources are named once, on stderr, also beside JSON; with --live, nothing live is exit code 3."""
    keyless = UNREACHABLE_SOURCES | {"COUNTRIES_SOURCES": f"restcountries,{UNREACHABLE_SOURCES['COUNTRIES_SOURCES']}"}
    result = run_forked(tmp_path, "refresh", **DATABASE_SETTINGS, **keyless)
    assert (result.exit_code, result.stderr) == (0, f"graphql-api: {OFFLINE}\n")
    assert "refuses" not in result.stdout
    result = run_forked(tmp_path, "refresh", "--live", "--json", **DATABASE_SETTINGS, **keyless)
    assert (result.exit_code, result.stderr) == (3, f"graphql-api: {OFFLINE}\n")
    report = json.loads(result.stdout)
    assert (report["totalCountries"], report["warning"]) == (250, OFFLINE)
    assert [source["failures"] for source in report["sources"]] == [
        [f"{name}: the server refuses connections"] for name in ("geonames", "er-api", "world-bank")
    ]
    live = run_forked(tmp_path, "refresh", "--live", "--json", **DATABASE_SETTINGS, **upstream.environment)
    assert (live.exit_code, live.stderr, json.loads(live.stdout)["warning"]) == (0, "", None)
    assert [entry["record"] for entry in json.loads(live.stdout)["skipped"]] == [
        "Netherlands Antilles",
        "Serbia and Montenegro",
    ]
    rows = read_rows(tmp_path)
    result = run_forked(tmp_path, "refresh", "--live", **DATABASE_SETTINGS, **keyless)
    assert (result.exit_code, result.stderr.startswith("graphql-api: No live source of countries")) == (3, True)
    assert read_rows(tmp_path) == rows


def test_interrupt(folder: Path, upstream: Upstream) -> None:
    """Ctrl-C while a provider hangs ends the command at once, silently, and changes nothing."""
    before = read_rows(folder)
    upstream.set_responses("countries", HANGING)
    with running_command(folder, "refresh", **refresh_settings(upstream)) as process:
        upstream.wait_for_requests("countries")
        result = process.stop(signal.SIGINT)
    assert (result.exit_code, without_provider_lines(result.stdout)[:-1], result.stderr) == (130, FIRST_STEPS, "")
    assert read_rows(folder) == before


@pytest.mark.slow
def test_running_server(folder: Path, upstream: Upstream) -> None:
    """A server on the same database serves the refreshed data after its next poll."""
    query = '{ country(code: "FR") { capital } }'
    old = {"data": {"country": {"capital": "Paris"}}}
    new = {"data": {"country": {"capital": "Lyon"}}}
    upstream.set_responses("countries", countries_response(change_column("FR", "Paris", "Lyon")))
    with running_server(folder, **refresh_settings(upstream), SNAPSHOT_POLL="0.1") as server:
        assert server.query(query) == old
        assert run_forked(folder, "refresh", **refresh_settings(upstream)).exit_code == 0
        wait_until(lambda: server.query(query) != old)
        assert server.query(query) == new
    assert upstream.request_count("countries") == 1


@pytest.mark.slow
def test_force(folder: Path, upstream: Upstream) -> None:
    """Provider data is cached across processes, the report says so, and --force bypasses it."""
    rates = {**json.loads(RATES), "time_next_update_unix": int(time.time()) + 10**6}
    upstream.set_responses("rates", FakeResponse(body=json.dumps(rates).encode()))
    settings = settings_without_fallback(upstream)
    rates_lines = [
        re.findall("^rates from .*$", run_forked(folder, *command, **settings).stdout, re.MULTILINE)
        for command in (["refresh"], ["refresh"], ["refresh", "--force"])
    ]
    fetched_line = (
        "rates from er-api; as of 2026-09-29 00:02 UTC; Rates by Exchange Rate API (https://www.exchangerate-api.com)"
    )
    cached_line = fetched_line.replace("er-api;", "er-api, cached (nothing new);")
    assert rates_lines == [[fetched_line], [cached_line], [fetched_line]]
    assert upstream.request_count("rates") == 2
