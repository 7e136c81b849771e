"""`graphql-api refresh`: what it prints, for people and for programs, and what it leaves."""

import os
import pty
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

from tests.cli.running import PATIENCE, PROGRAM, Ended, environment, run, serving, started
from tests.upstream.server import HTML, Answer, Upstream

FAILED = (
    "graphql-api: No source of countries could be used. geonames: it answered with status 500.\n"
)


def rows(folder: Path) -> list[tuple[object, ...]]:
    """Return every country that a folder's database holds."""
    with closing(sqlite3.connect(folder / "var" / "countries.db")) as connection:
        return connection.execute("SELECT * FROM countries ORDER BY code").fetchall()


def test_lines(tmp_path: Path, upstream: Upstream) -> None:
    """Not on a terminal it prints one plain line after another, and ends with code 0."""
    first = run(tmp_path, "refresh", **upstream.environment)
    assert (first.code, first.stderr) == (0, "")
    assert first.stdout.splitlines()[:7] == [
        "Started",
        "Fetching countries and exchange rates",
        "Merging",
        "Writing 250 countries",
        "Drawing the summary",
        "Done",
        "250 countries: 250 new, 0 changed, 0 unchanged, 0 missing, 2 skipped; 1 SQL statement",
    ]
    second = run(tmp_path, "refresh", **upstream.environment)
    assert second.stdout.splitlines()[6].startswith(
        "250 countries: 0 new, 0 changed, 250 unchanged"
    )


def test_terminal(tmp_path: Path, upstream: Upstream) -> None:
    """On a terminal it draws a bar that fills."""
    ours, theirs = pty.openpty()
    variables = environment({**upstream.environment, "TERM": "xterm"})
    with subprocess.Popen(
        [*PROGRAM, "refresh"], cwd=tmp_path, env=variables, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        printed = b""
        try:
            while chunk := os.read(ours, 65536):
                printed += chunk
        except OSError:
            pass  # Linux's way to say that nobody writes any more
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    shown = printed.decode()
    assert "━━━━" in shown
    assert "100 %" in shown
    assert "250 countries: 250 new" in shown


def test_failing_source(tmp_path: Path, upstream: Upstream) -> None:
    """A source that fails is one line and code 1, and every row stays as it was."""
    variables = {**upstream.environment, "COUNTRIES_SOURCES": f"geonames={upstream.countries_url}"}
    run(tmp_path, "refresh", **variables)
    before = rows(tmp_path)
    upstream.answer("countries", Answer(status=500, body=HTML))
    ended = run(tmp_path, "refresh", **variables)
    assert ended == Ended(1, "Started\nFetching countries and exchange rates\n", FAILED)
    assert len(before) == 250
    assert rows(tmp_path) == before


def test_bundled_never_replaces_live(tmp_path: Path, upstream: Upstream) -> None:
    """With live data stored, a failing source is not made up for by the bundled data."""
    run(tmp_path, "refresh", **upstream.environment)
    before = rows(tmp_path)
    upstream.answer("countries", Answer(status=500))
    assert run(tmp_path, "refresh", **upstream.environment).code == 1
    assert rows(tmp_path) == before


def test_server_follows(tmp_path: Path, upstream: Upstream) -> None:
    """A server on the same file serves what the command fetched."""
    bundled = {"COUNTRIES_SOURCES": "bundled", "RATES_SOURCES": "bundled"}
    with serving(tmp_path, **bundled, SNAPSHOT_POLL="0.05", STALE_AFTER="1e9") as server:
        server.wait_until_said("playground")
        run(tmp_path, "refresh", **upstream.environment)
        deadline = time.monotonic() + PATIENCE
        query = "{ status { lastRefresh { sources { provider } } } }"
        expected = {"sources": [{"provider": "geonames"}, {"provider": "er-api"}]}
        while server.query(query)["data"]["status"]["lastRefresh"] != expected:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_interrupted(tmp_path: Path, upstream: Upstream) -> None:
    """Ctrl-C while a source is mute ends it with code 130, quietly, with nothing written."""
    upstream.answer("countries", Answer(until=lambda: False))
    with started(tmp_path, "refresh", **upstream.environment) as command:
        upstream.wait_until_asked("countries", 1)
        ended = command.end(signal.SIGINT)
    assert (ended.code, ended.stderr) == (130, "")
    assert rows(tmp_path) == []
