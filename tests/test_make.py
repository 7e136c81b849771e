"""The two commands, on a clone in a folder with a space, as somebody who has never seen it."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from graphql_api.settings import Settings

ROOT = Path(__file__).parent.parent


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without what this run of the tests has in it."""
    ours = {"PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    ours |= {name for name in os.environ if name.startswith("PYTEST_")}
    ours |= {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "COUNTRIES_SOURCES": "bundled", "RATES_SOURCES": "bundled", **variables}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lend a clone of the last commit."""
    folder = tmp_path_factory.mktemp("somebody's") / "new folder"
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    return folder


def run_and_ask(clone: Path) -> tuple[object, int, str]:
    """Type `make run`, ask for the number of countries, press Ctrl-C; tell what came of each."""
    with subprocess.Popen(
        ["make", "run"],
        cwd=clone,
        env=environment(PORT="0"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as make:
        assert make.stderr is not None
        lines = []
        for line in make.stderr:
            lines.append(line)
            if found := re.search(r"http://\S+/graphql", line):
                query = {"query": "{ status { totalCountries } }"}
                answer = httpx.post(found[0], json=query, trust_env=False).json()
                os.killpg(make.pid, signal.SIGINT)
    return answer, make.returncode, "".join(lines)


@pytest.mark.slow
def test_make_run(clone: Path) -> None:
    """From a clone to an answer by one command, and again; Ctrl-C leaves no traceback."""
    for _ in range(2):
        answer, code, said = run_and_ask(clone)
        assert answer == {"data": {"status": {"totalCountries": 250}}}
        assert code == -signal.SIGINT  # make's own way to end
        assert "Traceback" not in said


@pytest.mark.slow
def test_make_test(clone: Path) -> None:
    """`make test` sets up what it needs and runs; here a small part, twice."""
    for _ in range(2):
        variables = environment(PYTEST_ADDOPTS="tests/test_errors.py")
        done = subprocess.run(
            ["make", "test"], cwd=clone, env=variables, capture_output=True, check=True, text=True
        )
        assert re.search(r"^3 passed", done.stdout, re.MULTILINE)


def make_with(path: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Type `make run` where PATH holds just the programs given, by name and script."""
    programs = folder / "bin"
    programs.mkdir()
    for name, script in path.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.txt", "pyproject.toml"):
        (folder / name).touch()
    return subprocess.run(
        [str(shutil.which("make")), "run"],
        cwd=folder,
        env={"PATH": str(programs)},
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.parametrize("path", [{}, {"python3": "exit 1"}], ids=["none", "too old"])
def test_no_python(tmp_path: Path, path: Mapping[str, str]) -> None:
    """Without a Python that is new enough, one line says so, and nothing is made."""
    done = make_with(path, tmp_path)
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert said == ["Python 3.11 or newer is needed; none is in PATH."]
    assert done.returncode == 2
    assert not (tmp_path / ".venv").exists()


def test_no_venv(tmp_path: Path) -> None:
    """A Python without the module venv, as Debian's is at first: one line says what to install."""
    done = make_with({"python3": 'case "$2" in *ensurepip*) exit 1;; esac'}, tmp_path)
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert said == ["python3 lacks the module venv; on Debian, install python3-venv."]
    assert done.returncode == 2
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("npm", "said"),
    [
        (None, "npm is not here, so the playground is not installed."),
        ("exit 1", "npm could not download the playground, so it is not installed."),
    ],
)
def test_no_playground(tmp_path: Path, npm: str | None, said: str) -> None:
    """Without npm, or when it fails, one line says so, and the next run tries again."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cp", "mkdir", "touch"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if npm is not None:
        (programs / "npm").write_text(f"#!/bin/sh\n{npm}\n")
        (programs / "npm").chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "playground", tmp_path / "playground")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    target = ".venv/share/graphql-api/playground/installed"
    done = subprocess.run(
        [str(shutil.which("make")), target],
        cwd=tmp_path,
        env={"PATH": str(programs)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{said}\n", "")
    assert not (tmp_path / target).exists()
