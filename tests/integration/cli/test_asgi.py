"""`graphql_api.asgi:app` under plain uvicorn, which knows nothing of `graphql-api serve`."""

import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.environments import build_environment
from tests.support.processes import BUNDLED_SOURCES, CommandResult, Process, running_process
from tests.support.server_log import FILLED, MIGRATED, NO_DATABASE, mask_log

pytestmark = pytest.mark.slow

UVICORN = (sys.executable, "-m", "uvicorn", "graphql_api.asgi:app", "--port", "0")
NO_TOKEN = (
    "TIME WARNING ADMIN_TOKEN is not set: any client that reaches this server can refresh and "
    "delete. Set it, or listen on a loopback address only.\n"
)
READY = "TIME INFO    Ready to serve.\n"
QUERY = '{ country(name: "brazil") { code } status { totalCountries } }'
ANSWER = {"data": {"country": {"code": "BR"}, "status": {"totalCountries": 250}}}


def running_uvicorn(folder: Path, *arguments: str, **variables: str) -> AbstractContextManager[Process]:
    """Start uvicorn in a folder for as long as the context lasts."""
    environment = build_environment({**BUNDLED_SOURCES, **variables})
    return running_process([*UVICORN, *arguments], folder, environment)


def test_uvicorn_serves_the_application(tmp_path: Path) -> None:
    """Plain uvicorn serves queries, pages and probes, keeps its own log lines, stops on Ctrl-C, and ignores HOST."""
    with running_uvicorn(tmp_path, HOST="x86_64-conda-linux-gnu") as server:
        server.wait_for_log("Ready to serve")
        assert server.query(QUERY) == ANSWER
        assert [server.get(path).status_code for path in ("/", "/readyz", "/metrics")] == [200] * 3
        assert server.get("/graphql", Accept="text/html").status_code == 200
        result = server.stop(signal.SIGINT)
    lines = mask_log(result.stderr).splitlines(keepends=True)
    assert [line for line in lines if line in (NO_TOKEN, MIGRATED, FILLED, READY)] == [
        NO_TOKEN,
        MIGRATED,
        FILLED,
        READY,
    ]
    assert "INFO:     Uvicorn running on http://HERE (Press CTRL+C to quit)\n" in lines
    assert "INFO:     Application shutdown complete.\n" in lines
    assert "Traceback" not in result.stderr


def test_production(tmp_path: Path) -> None:
    """The settings of production hold: a token for mutations, no playground, a log in JSON."""
    variables = {
        "ENVIRONMENT": "production",
        "DATABASE_URL": "sqlite:///var/countries.db",
        "ADMIN_TOKEN": "hunter2-hunter2-hunter2",
        "PUBLIC_URL": "https://example.org",
    }
    with running_uvicorn(tmp_path, **variables) as server:
        server.wait_for_log('"message": "Ready to serve."')
        assert server.query(QUERY) == ANSWER
        assert server.get("/graphql", Accept="text/html").status_code == 406
        denied = server.query("mutation { refreshCountries { totalCountries } }")
        assert denied["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        assert "ADMIN_TOKEN" not in server.stderr


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"QUERY_LIMITS": "cost"}, "QUERY_LIMITS: should be name=number, separated by commas"),
        ({"RATES_SOURCES": "bank"}, "RATES_SOURCES names 'bank', which is not one of "),
        (
            {"ENVIRONMENT": "production", "ADMIN_TOKEN": "a"},
            "ADMIN_TOKEN is too short; it needs at least 16 characters",
        ),
        ({"ENVIRONMENT": "production"}, "ADMIN_TOKEN is required in production; without it"),
    ],
)
def test_wrong_setting(tmp_path: Path, variables: dict[str, str], message: str) -> None:
    """A wrong setting ends uvicorn with one line and the exit code that supervisors stop at."""
    with running_uvicorn(tmp_path, **variables) as server:
        exit_code, stdout, stderr = server.wait()
    assert (exit_code, stdout, stderr.count("\n")) == (3, "", 1)
    assert stderr.startswith(f"graphql_api.asgi: {message}")


def test_permanent_failure_ends_the_workers(tmp_path: Path) -> None:
    """A database that can never be opened ends uvicorn and its workers, without a traceback."""
    (tmp_path / "diary").write_text("Dear diary,\n" * 100)
    with running_uvicorn(tmp_path, "--workers", "2", DATABASE_URL="sqlite:///diary", ADMIN_TOKEN="hunter2") as server:
        result = server.wait()
    assert result == CommandResult(0, "", result.stderr)
    assert f"TIME CRITICAL {NO_DATABASE}\n" in mask_log(result.stderr).splitlines(keepends=True)
    assert "failed to start, stopping the parent process." in result.stderr
    assert "Traceback" not in result.stderr


def test_database_that_is_away(tmp_path: Path) -> None:
    """While the database is away, that is logged once, probes respond, and queries get 503."""
    # No server listens on port 1.
    with running_uvicorn(tmp_path, DATABASE_URL="mysql://somebody:hunter2@127.0.0.1:1/countries") as server:
        server.wait_for_log(r" Retrying until it responds\.\n")
        statuses = [server.get(path).status_code for path in ("/healthz", "/readyz")]
        assert statuses == [200, 503]
        assert server.query(QUERY).keys() == {"errors"}
        assert server.stderr.count("Retrying") == 1
        assert "hunter2" not in server.stop(signal.SIGTERM).stderr
