"""Ten thousand rows are more than one statement holds, and are written whole all the same."""

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

from tests.cli.running import ROOT, environment
from tests.kills.batches import NUMBER
from tests.kills.stage import FileStage, ServerStage, Stage, spawning
from tests.kills.trap import Moment, Trap
from tests.servers.process import Server

KILLS = max(1, round(4 * float(os.environ.get("KILLS", "1"))))

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "new_mariadb", "new_postgresql"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Lend a stage of each kind in turn."""
    with spawning(tmp_path) as (spawner, upstream):
        if request.param == "sqlite":
            yield FileStage(spawner, upstream, tmp_path)
            return
        new_server: Callable[[], Server] = request.getfixturevalue(request.param)
        with new_server() as server, Trap(server.port) as trap:
            yield ServerStage(spawner, upstream, server, trap)


def writing(url: str, revision: int) -> "subprocess.Popen[str]":
    """Start a process that writes all rows, and return when it begins to."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kills.batches", url, f"{revision}"],
        cwd=ROOT,
        env=environment({}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_killed_between_batches(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    """A process that is killed amid its statements leaves all old rows or all new ones."""
    assert stage.spawner.run("migrate", **stage.settings("a"))[0] == 0
    begun = time.monotonic()
    with writing(stage.url, 1) as process:
        assert process.communicate()[0] == "written\n"
    took = time.monotonic() - begun
    length = stage.trap.passed["there"] if isinstance(stage, ServerStage) else 0
    chance = random.Random(stage.system)  # noqa: S311 - it decides nothing secret
    outcomes: Counter[str] = Counter()
    revision = 1
    for turn in range(2, 2 + KILLS):
        with writing(stage.url, turn) as process:
            if isinstance(stage, ServerStage):
                moment = Moment("there", chance.randint(1, length))
                stage.trap.set(moment, partial(process.send_signal, signal.SIGKILL))
                process.wait()
                stage.trap.disarm()
            else:
                time.sleep(took * chance.random())
                process.kill()
        rows = stage.ask("SELECT revision, name, count(*) FROM countries GROUP BY revision, name")
        now = int(rows[0][0])
        assert rows == [(f"{now}", f"{now}" * 50, f"{NUMBER}")]
        assert now in (revision, turn)
        outcomes["old" if now == revision else "new"] += 1
        revision = now
    way = f"{stage.system}: SIGKILL amid {NUMBER} rows"
    record_property("kills", [[way, "", outcome, "", n] for outcome, n in outcomes.items()])
