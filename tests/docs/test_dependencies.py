"""Dependencies: none may be older than the fix of a known vulnerability."""

import re
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FLOORS = {
    requirement.name: Version(re.findall(r">=([\d.]+)", str(requirement.specifier))[0])
    for requirement in map(Requirement, PROJECT["dependencies"])
}
PINS = {
    name: Version(pinned)
    for name, pinned in re.findall(
        r"^([\w-]+)(?:\[\w+\])?==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
}
FIRST_FIXED = {"asyncmy": "0.2.13", "pillow": "12.3", "starlette": "1.3.1", "strawberry-graphql": "0.327.2"}
"""First version of each package without known vulnerabilities."""


@pytest.mark.parametrize(("name", "fixed"), FIRST_FIXED.items())
def test_fixed(name: str, fixed: str) -> None:
    """The lowest allowed, the pinned and the installed version have the fix."""
    assert FLOORS[name] >= Version(fixed)
    assert PINS[name] >= Version(fixed)
    assert Version(version(name)) >= Version(fixed)


def test_no_uploads() -> None:
    """The package reads no forms; their parser, if another package requires it, has its fix."""
    assert "python-multipart" not in FLOORS
    assert PINS.get("python-multipart", Version("0.0.26")) >= Version("0.0.26")
    code = "".join(path.read_text() for path in (ROOT / "graphql_api").rglob("*.py"))
    assert ".form(" not in code


def test_every_dependency_has_a_floor() -> None:
    """Every dependency has a lowest version, and its pin satisfies it."""
    assert {name for name in FLOORS if PINS[name.lower()] < FLOORS[name]} == set()
    assert len(FLOORS) == len(PROJECT["dependencies"])
