"""The wheel and the sdist, built as for a release, work without the repository and without a network."""

import re
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from graphql_api import __version__
from tests.support.paths import ROOT
from tests.support.processes import BUNDLED_SOURCES, Process, inherited_environment, running_process

pytestmark = pytest.mark.slow

MAX_WHEEL_BYTES = 5_000_000
TO_HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and from it the wheel, of the last commit. Return their folder."""
    if shutil.which("npm") is None:
        pytest.skip("install nodejs and npm to build the distribution")
    folder = tmp_path_factory.mktemp("distribution")
    subprocess.run(["git", "clone", "-q", ROOT, folder / "source"], check=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", f"{folder}/dist", f"{folder}/source"]
    subprocess.run(command, env=inherited_environment(), check=True, capture_output=True)
    status = ["git", "status", "--porcelain"]
    assert subprocess.run(status, cwd=folder / "source", check=True, capture_output=True).stdout == b""
    return folder / "dist"


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in an environment of its own, and return its folder of programs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    (wheel,) = dist.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--no-deps", "-q"]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    # The dependencies are those of the tests; the package itself is the wheel's.
    dependencies = Path(pytest.__file__).parents[1]
    (packages / "dependencies.pth").write_text(f"{dependencies}\n", "utf-8")
    return folder / "bin"


@pytest.fixture
def server(installed: Path, tmp_path: Path) -> Iterator[Process]:
    """Run the installed program in an empty folder."""
    variables = {"PATH": f"{installed}:/usr/bin:/bin", "PORT": "0", **BUNDLED_SOURCES}
    with running_process([str(installed / "graphql-api"), "serve"], tmp_path, variables) as server:
        yield server


def test_files(dist: Path) -> None:
    """There are one wheel and one sdist of this version, of a few MB, with licences and without tests."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    assert wheel.name == f"graphql_api-{__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < MAX_WHEEL_BYTES
    names = ZipFile(wheel).namelist()
    assert any(name.endswith("/playground/dist/LICENSES.txt") for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    with tarfile.open(sdist) as archive:
        names += archive.getnames()
    assert [name for name in names if re.search(r"(^|/)tests/|\.env$|__pycache__", name)] == []


def test_playground(server: Process) -> None:
    """The installed server responds to queries, and its playground loads every file from it."""
    assert server.query("{ status { totalCountries } }")["data"] == {"status": {"totalCountries": 250}}
    page = server.get("/graphql", **TO_HTML).text
    urls = re.findall(r'(?:src|href|data-bundle)="(\.[^"#]+)"', page)
    assert {"graphiql.css", "graphiql.js"} <= {url.rpartition("/")[2] for url in urls}
    for url in urls:
        assert server.get(f"/{url.lstrip('./')}").status_code == 200, url
    assert "not installed" not in server.stderr


def test_completion(installed: Path) -> None:
    """The shell's completion knows the commands."""
    env = {"_GRAPHQL_API_COMPLETE": "bash_complete", "COMP_WORDS": "graphql-api re", "COMP_CWORD": "1"}
    printed = subprocess.run([str(installed / "graphql-api")], env=env, check=True, capture_output=True, text=True)
    assert printed.stdout == "plain,refresh\n"


def test_version(installed: Path) -> None:
    """`--version` prints the version of the wheel."""
    command = [str(installed / "graphql-api"), "--version"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == f"graphql-api, version {__version__}\n"
