"""`make run` and `make test` on a fresh clone in a folder whose name has a space."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import http_client
from tests.support.paths import ROOT
from tests.support.processes import inherited_environment


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone of the last commit."""
    folder = tmp_path_factory.mktemp("user's") / "new folder"
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    return folder


def run_and_query(clone: Path) -> tuple[object, int, str]:
    """Run `make run`, send a query, press Ctrl-C; return the response, exit code and stderr."""
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
                body = http_client.post(match[0], json=query).json()
                os.killpg(process.pid, signal.SIGINT)
    return body, process.returncode, "".join(lines)


@pytest.mark.slow
def test_make_run(clone: Path) -> None:
    """`make run` serves a query on a fresh clone, and a second time; Ctrl-C prints no traceback."""
    for _ in range(2):
        body, code, output = run_and_query(clone)
        assert body == {"data": {"status": {"totalCountries": 250}}}
        assert code == -signal.SIGINT  # make's own way to end
        assert "Traceback" not in output


_UNUSED_PACKAGES = ("mypy", "playwright", "ruff")
"""Large ones, which take a minute to install and which the tests run here do not import."""


def drop_packages(requirements: Path) -> None:
    """Remove the pins of unused packages, each with its hashes."""
    pins = re.split(r"^(?=\S)", requirements.read_text("utf-8"), flags=re.MULTILINE)
    kept = [pin for pin in pins if pin.partition("==")[0] not in _UNUSED_PACKAGES]
    assert len(kept) == len(pins) - len(_UNUSED_PACKAGES)
    requirements.write_text("".join(kept), "utf-8")


@pytest.mark.slow
def test_make_test(clone: Path) -> None:
    """`make test` installs dependencies and runs the tests: one module, twice, without packages it never imports."""
    drop_packages(clone / "requirements-dev.txt")
    for _ in range(2):
        variables = inherited_environment(PYTEST_ADDOPTS="tests/unit/test_errors.py")
        result = subprocess.run(["make", "test"], cwd=clone, env=variables, capture_output=True, check=True, text=True)
        assert re.search(r"^[1-9]\d* passed", result.stdout, re.MULTILINE)


def run_make_with(scripts: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `make run` with a PATH of these scripts only, by program name."""
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
    """Without a new enough Python, `make run` prints one line and creates nothing."""
    result = run_make_with(scripts, tmp_path)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert lines == ["Python 3.11 or newer is required, but PATH has none. Install one."]
    assert result.returncode == 2
    assert not (tmp_path / ".venv").exists()


def test_no_venv(tmp_path: Path) -> None:
    """With a Python that has no module venv, `make run` prints one line naming the package."""
    result = run_make_with({"python3": 'case "$2" in *ensurepip*) exit 1;; esac'}, tmp_path)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]
    assert lines == ["python3 has no module venv. On Debian, install python3-venv."]
    assert result.returncode == 2
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("npm", "message"),
    [
        (None, "npm is not installed; the server will have no playground."),
        ("exit 1", "npm could not build the playground; the server will have none."),
    ],
)
def test_no_playground(tmp_path: Path, npm: str | None, message: str) -> None:
    """Without npm, or when npm fails, make prints one line and the next run tries again."""
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
