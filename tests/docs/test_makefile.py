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

from tests.support.paths import ROOT
from tests.support.processes import inherited_environment


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lend a clone of the last commit."""
    folder = tmp_path_factory.mktemp("somebody's") / "new folder"
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    return folder


def run_and_query(clone: Path) -> tuple[object, int, str]:
    """Type `make run`, ask for the number of countries, press Ctrl-C; tell what came of each."""
    with subprocess.Popen(
        ["make", "run"],
        cwd=clone,
        env=inherited_environment(PORT="0"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if match := re.search(r"http://\S+/graphql", line):
                query = {"query": "{ status { totalCountries } }"}
                body = httpx.post(match[0], json=query, trust_env=False).json()
                os.killpg(process.pid, signal.SIGINT)
    return body, process.returncode, "".join(lines)


@pytest.mark.slow
def test_make_run(clone: Path) -> None:
    """From a clone to an answer by one command, and again; Ctrl-C leaves no traceback."""
    for _ in range(2):
        body, code, output = run_and_query(clone)
        assert body == {"data": {"status": {"totalCountries": 250}}}
        assert code == -signal.SIGINT  # make's own way to end
        assert "Traceback" not in output


@pytest.mark.slow
def test_make_test(clone: Path) -> None:
    """`make test` sets up what it needs and runs; here a small part, twice."""
    for _ in range(2):
        variables = inherited_environment(PYTEST_ADDOPTS="tests/unit/test_errors.py")
        result = subprocess.run(
            ["make", "test"], cwd=clone, env=variables, capture_output=True, check=True, text=True
        )
        assert re.search(r"^3 passed", result.stdout, re.MULTILINE)


def run_make_with(scripts: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Type `make run` where PATH holds just the programs given, by name and script."""
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    for name, script in scripts.items():
        (bin_dir / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_dir / name).chmod(0o755)
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.txt", "pyproject.toml"):
        (folder / name).touch()
    return subprocess.run(
        [str(shutil.which("make")), "run"],
        cwd=folder,
        env={"PATH": str(bin_dir)},
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.parametrize("scripts", [{}, {"python3": "exit 1"}], ids=["none", "too old"])
def test_no_python(tmp_path: Path, scripts: Mapping[str, str]) -> None:
    """Without a Python that is new enough, one line says so, and nothing is made."""
    result = run_make_with(scripts, tmp_path)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert lines == ["Python 3.11 or newer is needed; none is in PATH."]
    assert result.returncode == 2
    assert not (tmp_path / ".venv").exists()


def test_no_venv(tmp_path: Path) -> None:
    """A Python without the module venv, as Debian's is at first: one line says what to install."""
    result = run_make_with({"python3": 'case "$2" in *ensurepip*) exit 1;; esac'}, tmp_path)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert lines == ["python3 lacks the module venv; on Debian, install python3-venv."]
    assert result.returncode == 2
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("npm", "message"),
    [
        (None, "npm is not here, so the playground is not installed."),
        ("exit 1", "npm could not download the playground, so it is not installed."),
    ],
)
def test_no_playground(tmp_path: Path, npm: str | None, message: str) -> None:
    """Without npm, or when it fails, one line says so, and the next run tries again."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name in ("cp", "mkdir", "touch"):
        (bin_dir / name).symlink_to(str(shutil.which(name)))
    if npm is not None:
        (bin_dir / "npm").write_text(f"#!/bin/sh\n{npm}\n")
        (bin_dir / "npm").chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "playground", tmp_path / "playground")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    target = ".venv/share/graphql-api/playground/installed"
    result = subprocess.run(
        [str(shutil.which("make")), target],
        cwd=tmp_path,
        env={"PATH": str(bin_dir)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert (result.stdout, result.stderr) == (f"{message}\n", "")
    assert not (tmp_path / target).exists()
