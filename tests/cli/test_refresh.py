"""`graphql-api refresh`: what it prints, what it stores, and that a failure changes nothing."""

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

from tests.cli.running import PATIENCE, PROGRAM, Ended, environment, names, run, serving, started
from tests.refresh.running import line, listing
from tests.upstream.server import RATES, Answer, Upstream

DATABASE = "countries.db"
ELSEWHERE = {"DATABASE_URL": f"sqlite:///{DATABASE}"}
DOWN = Answer(status=500)
MUTE = Answer(until=threading.Event().is_set)
FAILURE = (
    "graphql-api: No source of countries could be used. geonames: it answered with status 500.\n"
)
NOT_BUNDLED = (
    "graphql-api: No live source of countries could be used, and bundled data never replaces "
    "live data. geonames: it answered with status 500.\n"
)
STEPS = """\
Started
Fetching countries and exchange rates
Merging
Writing 250 countries
Drawing the summary
Done
"""
BEGUN = ["Started", "Fetching countries and exchange rates"]
REPORT = """\
250 countries: {counts}, 0 missing, 2 skipped; 1 SQL statement
countries from geonames; GeoNames (https://www.geonames.org), CC BY 4.0
rates from er-api; as of 2026-09-29 00:02 UTC; Rates by Exchange Rate API \
(https://www.exchangerate-api.com)
phase ms
fetch countries N
fetch rates N
transform N
upsert N
draw N
total N
"""
ALL_NEW, UNCHANGED = (
    "250 new, 0 changed, 0 unchanged",
    "0 new, 0 changed, 250 unchanged",
)


class First(NamedTuple):
    """A first refresh: where it was run, and what came of it."""

    folder: Path
    ended: Ended


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """Lend a folder in which the countries were refreshed once."""
    folder = tmp_path_factory.mktemp("first")
    with Upstream() as upstream:
        return First(folder, run(folder, "refresh", **ELSEWHERE, **upstream.environment))


@pytest.fixture
def folder(first: First, tmp_path: Path) -> Path:
    """Lend a copy of that folder."""
    shutil.copy(first.folder / DATABASE, tmp_path)
    return tmp_path


def asking(upstream: Upstream) -> dict[str, str]:
    """Return the settings of a refresh that asks `upstream`, and has no patience to lose."""
    return {**ELSEWHERE, **upstream.environment, "API_TIMEOUT": "1000", "REFRESH_TIMEOUT": "1000"}


def asking_nobody_after(upstream: Upstream) -> dict[str, str]:
    """Return the settings with which a source that fails has no other after it."""
    return {
        **asking(upstream),
        "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}",
        "RATES_SOURCES": f"er-api={upstream.rates_url}",
    }


def masked(text: str) -> str:
    """Return a text without what differs from run to run: timings, and the widths of what is."""
    return re.sub(r"\d+\.\d$", "N", re.sub("[ █]+", " ", text), flags=re.MULTILINE)


def rows(folder: Path) -> list[tuple[object, ...]]:
    """Return every row that is stored of the countries."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return connection.execute("SELECT * FROM countries ORDER BY code").fetchall()


def run_on_terminal(folder: Path, **variables: str) -> Ended:
    """Refresh with a terminal for stdout; return what it shows, without its colours."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [*PROGRAM, "refresh"],
            cwd=folder,
            env=environment({"TERM": "xterm", "COLUMNS": "80", **variables}),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            os.close(theirs)
            shown = b"".join(_shown(ours)).decode()
            _, said = process.communicate(timeout=PATIENCE)
    finally:
        os.close(ours)
    return Ended(process.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown), said)


def _shown(terminal: int) -> Iterator[bytes]:
    try:
        while read := os.read(terminal, 4096):
            yield read
    except OSError as error:
        # What Linux says when nobody has the other end any more.
        if error.errno != errno.EIO:
            raise


def last_bar(shown: str) -> str:
    """Return the progress as it was shown last, with its time masked."""
    bars = re.findall(r"^.* (?:━|╸|╺).*$", shown.replace("\r", "\n"), re.MULTILINE)
    return re.sub(r"\d:\d\d:\d\d", "TIME", re.sub("[━╸╺]+", "BAR", bars[-1].strip()))


def without_answers(stdout: str) -> list[str]:
    """Return the lines that were printed but for those of sources, whose order is of chance."""
    return [line for line in stdout.split("\n") if " answered: " not in line]


def test_first(first: First) -> None:
    """On an empty folder it makes the database, fills it, and says each step in plain lines."""
    expected = masked(STEPS + REPORT.format(counts=ALL_NEW))
    told = first.ended._replace(stdout=masked("\n".join(without_answers(first.ended.stdout))))
    assert told == Ended(0, expected, "")
    assert sorted(
        set(first.ended.stdout.splitlines()) - set(without_answers(first.ended.stdout))
    ) == [
        "er-api answered: 155 rates",
        "geonames answered: 250 countries",
    ]
    assert names(first.folder) == [DATABASE]
    assert len(rows(first.folder)) == 250


def test_terminal(folder: Path, upstream: Upstream) -> None:
    """On a terminal a bar is drawn up to its end; below it, a second refresh says unchanged."""
    ended = run_on_terminal(folder, **asking(upstream))
    assert (ended.code, ended.stderr) == (0, "")
    assert last_bar(ended.stdout) == "Done BAR 100 % TIME"
    report = masked(ended.stdout.replace("\r\n", "\n"))
    assert report.endswith("\n" + masked(REPORT.format(counts=UNCHANGED)))


def test_failure(folder: Path, upstream: Upstream) -> None:
    """A source that fails is named with its reason in one line; the rows stay as they were."""
    before = rows(folder)
    upstream.answer("countries", DOWN)
    ended = run(folder, "refresh", **asking_nobody_after(upstream))
    assert (ended.code, without_answers(ended.stdout)[:-1], ended.stderr) == (1, BEGUN, FAILURE)
    assert rows(folder) == before


def test_failure_on_a_terminal(folder: Path, upstream: Upstream) -> None:
    """On a terminal too the reason is told once, below a bar; bundled data replaces nothing."""
    before = rows(folder)
    upstream.answer("countries", DOWN)
    ended = run_on_terminal(folder, **asking(upstream))
    assert (ended.code, ended.stderr) == (1, NOT_BUNDLED)
    assert rows(folder) == before
    assert last_bar(ended.stdout) == "Failed BAR  70 % TIME"
    assert "500" not in ended.stdout


def test_interrupt(folder: Path, upstream: Upstream) -> None:
    """Ctrl-C while a source is mute ends it at once, without a word, and nothing is changed."""
    before = rows(folder)
    upstream.answer("countries", MUTE)
    with started(folder, "refresh", **asking(upstream)) as process:
        upstream.wait_until_asked("countries")
        ended = process.end(signal.SIGINT)
    assert (ended.code, without_answers(ended.stdout)[:-1], ended.stderr) == (130, BEGUN, "")
    assert rows(folder) == before


def test_running_server(folder: Path, upstream: Upstream) -> None:
    """A server on the same database serves what was refreshed beside it, at its next look."""
    query = '{ country(code: "FR") { population } }'
    old = {"data": {"country": {"population": 66_987_244}}}
    new = {"data": {"country": {"population": 1}}}
    upstream.answer("countries", listing(line("FR", "66987244", "1")))
    with serving(folder, **asking(upstream), SNAPSHOT_POLL="0.1") as server:
        assert server.query(query) == old
        assert run(folder, "refresh", **asking(upstream)).code == 0
        deadline = time.monotonic() + PATIENCE
        while server.query(query) == old and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.query(query) == new
    assert upstream.asked("countries") == 1


def test_force(folder: Path, upstream: Upstream) -> None:
    """What a source said is kept over processes, the report says so, and --force asks anyway."""
    rates = {**json.loads(RATES), "time_next_update_unix": int(time.time()) + 10**6}
    upstream.answer("rates", Answer(body=json.dumps(rates).encode()))
    settings = asking_nobody_after(upstream)
    said = [
        re.findall("^rates from .*$", run(folder, *command, **settings).stdout, re.MULTILINE)
        for command in (["refresh"], ["refresh"], ["refresh", "--force"])
    ]
    asked = (
        "rates from er-api; as of 2026-09-29 00:02 UTC; "
        "Rates by Exchange Rate API (https://www.exchangerate-api.com)"
    )
    kept = asked.replace("er-api;", "er-api, kept since it had nothing new;")
    assert said == [[asked], [kept], [asked]]
    assert upstream.asked("rates") == 2
