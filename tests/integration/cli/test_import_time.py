"""Imports of a start: only what the first query needs."""

import re
import signal
import sys
from pathlib import Path

import pytest

from tests.support.environments import build_environment
from tests.support.processes import BUNDLED_SOURCES, run_command, running_process

pytestmark = pytest.mark.slow

DEFERRED_MODULES = {
    "PIL",  # for images
    "alembic",  # at the newest revision there is nothing to migrate
    "asyncmy",  # for another database
    "asyncpg",  # for another database
    "cryptography",  # for asyncmy
    "fastapi",  # for pages
    "httpx",  # for sources
    "jinja2",  # for pages
    "opentelemetry",  # only if tracing is on
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",  # for SQLAlchemy's sessions
}
QUERY = "{ countries { totalCount } }"


def test_until_it_serves(tmp_path: Path) -> None:
    """A server with data imports nothing before it is ready that queries do not need."""
    assert run_command(tmp_path, "refresh", **BUNDLED_SOURCES).exit_code == 0
    command = [sys.executable, "-X", "importtime", "-m", "graphql_api", "serve"]
    settings = {**BUNDLED_SOURCES, "PORT": "0", "LOG_LEVEL": "debug"}
    with running_process(command, tmp_path, build_environment(settings)) as server:
        assert server.query(QUERY) == {"data": {"countries": {"totalCount": 250}}}
        startup_log, _, _ = server.stderr.partition("Ready to serve")
        imported = set(re.findall(r"^import time: .*\| +(\S+)$", startup_log, re.MULTILINE))
        assert server.stop(signal.SIGTERM).exit_code == 0
    assert {"graphql_api.app", "aiosqlite", "sqlalchemy"} <= imported
    assert imported & DEFERRED_MODULES == set()


def test_workers_share(tmp_path: Path) -> None:
    """With several workers, the supervisor imports everything once, before it forks them."""
    command = [sys.executable, "-X", "importtime", "-m", "graphql_api", "serve"]
    settings = {**BUNDLED_SOURCES, "PORT": "0", "WORKERS": "2"}
    with running_process(command, tmp_path, build_environment(settings)) as server:
        assert {server.get("/healthz").status_code for _ in range(8)} == {200}
        imported = re.findall(r"^import time: .*\| +(\S+)$", server.stderr, re.MULTILINE)
        assert server.stop(signal.SIGTERM).exit_code == 0
    assert [imported.count(name) for name in ("fastapi", "httpx")] == [1, 1]
