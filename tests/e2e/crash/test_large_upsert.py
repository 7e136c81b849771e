"""Ten thousand rows, more than one statement holds, are written as a whole."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.crash.byte_limit_proxy import ByteLimitProxy, TriggerPoint
from tests.e2e.crash.environment import CrashEnvironment, ServerEnvironment, SQLiteEnvironment, running_fork_server
from tests.e2e.crash.large_upsert import ROW_COUNT
from tests.support.database import NEW_SERVERS
from tests.support.db_servers.process import DatabaseServer
from tests.support.environments import build_environment
from tests.support.paths import ROOT

KILL_COUNT = max(1, round(4 * float(os.environ.get("KILLS", "1"))))

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", *NEW_SERVERS])
def crash_environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CrashEnvironment]:
    """Return an environment of each kind in turn."""
    with running_fork_server(tmp_path) as (fork_server, upstream):
        if request.param == "sqlite":
            yield SQLiteEnvironment(fork_server, upstream, tmp_path)
            return
        new_server: Callable[[], DatabaseServer] = request.getfixturevalue(request.param)
        with new_server() as server, ByteLimitProxy(server.port) as proxy:
            yield ServerEnvironment(fork_server, upstream, server, proxy)


def start_writer(url: str, revision: int) -> "subprocess.Popen[str]":
    """Start a process that writes all rows; return once it begins."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.crash.large_upsert", url, f"{revision}"],
        cwd=ROOT,
        env=build_environment({}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_killed_between_batches(
    crash_environment: CrashEnvironment, record_property: Callable[[str, object], None]
) -> None:
    """A process killed between its statements leaves all old rows or all new ones."""
    assert crash_environment.fork_server.run("migrate", **crash_environment.settings("a"))[0] == 0
    started_at = time.monotonic()
    with start_writer(crash_environment.url, 1) as process:
        assert process.communicate()[0] == "written\n"
    elapsed = time.monotonic() - started_at
    upsert_bytes = (
        crash_environment.proxy.passed["to_server"] if isinstance(crash_environment, ServerEnvironment) else 0
    )
    rng = random.Random(crash_environment.database_kind)  # noqa: S311 - it decides nothing secret
    outcomes: Counter[str] = Counter()
    revision = 1
    for turn in range(2, 2 + KILL_COUNT):
        with start_writer(crash_environment.url, turn) as process:
            if isinstance(crash_environment, ServerEnvironment):
                trigger_point = TriggerPoint("to_server", rng.randint(1, upsert_bytes))
                crash_environment.proxy.arm(trigger_point, partial(process.send_signal, signal.SIGKILL))
                process.wait()
                crash_environment.proxy.disarm()
            else:
                time.sleep(elapsed * rng.random())
                process.kill()
        rows = crash_environment.query("SELECT revision, name, count(*) FROM countries GROUP BY revision, name")
        stored_revision = int(rows[0][0])
        assert rows == [(f"{stored_revision}", f"{stored_revision}" * 50, f"{ROW_COUNT}")]
        assert stored_revision in (revision, turn)
        outcomes["old" if stored_revision == revision else "new"] += 1
        revision = stored_revision
    label = f"{crash_environment.database_kind}: SIGKILL amid {ROW_COUNT} rows"
    record_property("kills", [[label, "", outcome, "", n] for outcome, n in outcomes.items()])
