"""Conventions that no linter checks: names, sizes, docstrings, and rules with one place each."""

import ast
import subprocess
import sys

import pytest

from tests.support.conventions import (
    SINGLE_PLACES,
    SinglePlace,
    find_gerund_names,
    find_indirect_docstrings,
    find_long_functions,
    find_long_modules,
    find_renamed_settings,
    find_repeated_classes,
    find_restating_docstrings,
    find_undocumented,
    find_unexplained_ignores,
    is_sentence,
    iter_functions,
    parse_modules,
)
from tests.support.paths import ROOT

PACKAGE = parse_modules("graphql_api")
PROGRAMS = {**PACKAGE, **parse_modules("benchmarks", "scripts")}
TESTS = parse_modules("tests")


def test_modules_are_found() -> None:
    """Every check below has modules to check."""
    assert "graphql_api/__init__.py" in PACKAGE
    assert "benchmarks/__init__.py" in PROGRAMS
    assert "tests/unit/test_conventions.py" in TESTS


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("It works.", True),
        ("It works, e.g. in\n    two lines.", True),
        (None, False),
        ("", False),
        (".", False),
        ("It works", False),
        ("It works. It does.", False),
        ("Does it? It does.", False),
    ],
)
def test_is_sentence(docstring: str | None, expected: bool) -> None:
    """One sentence ends with its only full stop."""
    assert is_sentence(docstring) is expected


def test_test_modules() -> None:
    """Every module of the tests begins with one sentence."""
    assert [path for path, module in TESTS.items() if not is_sentence(ast.get_docstring(module))] == []


def test_tests() -> None:
    """Every test has one sentence that says what it proves."""
    tests = [(place, node) for place, node in iter_functions(TESTS) if node.name.startswith("test")]
    assert [place for place, node in tests if not is_sentence(ast.get_docstring(node))] == []


def test_no_module_is_a_bare_gerund() -> None:
    """Modules are named by the noun that a reader searches for."""
    assert find_gerund_names([*PROGRAMS, *TESTS]) == []


@pytest.mark.parametrize(
    ("path", "is_bare"),
    [
        ("graphql_api/sources/keeping.py", True),
        ("tests/unit/test_telling.py", True),
        ("graphql_api/domain/sorting.py", False),
        ("graphql_api/http/graphql/server_timing.py", False),
    ],
)
def test_find_gerund_names(path: str, is_bare: bool) -> None:
    """A bare gerund is found; a noun of the field and a compound are not."""
    assert find_gerund_names([path]) == [path] * is_bare


def test_class_names_are_unique() -> None:
    """A public class name occurs once in the package."""
    assert find_repeated_classes(PACKAGE) == {}


def test_find_repeated_classes() -> None:
    """A public class that two modules define is found; private ones may be repeated."""
    modules = {
        "a.py": ast.parse("class Page: ...\nclass _Page: ..."),
        "b.py": ast.parse("class Page: ...\nclass _Page: ..."),
    }
    assert find_repeated_classes(modules) == {"Page": ["a.py:1", "b.py:1"]}


def test_functions_are_short() -> None:
    """No function has more than 50 lines."""
    assert find_long_functions(PROGRAMS) == []


@pytest.mark.parametrize(("lines", "is_long"), [(50, False), (51, True)])
def test_find_long_functions(lines: int, is_long: bool) -> None:
    """The fifty-first line of a function is one too many."""
    module = ast.parse("async def run():\n" + "    pass\n" * (lines - 1))
    assert find_long_functions({"a.py": module}) == ["a.py:1 run"] * is_long


def test_modules_are_short() -> None:
    """No module of the package or of the benchmarks has more than 350 lines."""
    paths = [path for path in PROGRAMS if not path.startswith("scripts/")]
    assert find_long_modules({path: (ROOT / path).read_text("utf-8") for path in paths}) == {}


@pytest.mark.parametrize(("lines", "is_long"), [(350, False), (351, True)])
def test_find_long_modules(lines: int, is_long: bool) -> None:
    """The 351st line of a module is one too many."""
    assert find_long_modules({"a.py": "pass\n" * lines}) == ({"a.py": 351} if is_long else {})


def test_docstrings() -> None:
    """Every module, public class and public function has a docstring, or a GraphQL description."""
    assert find_undocumented(PROGRAMS) == []


@pytest.mark.parametrize(
    ("code", "undocumented"),
    [
        ("x = 1", ["a.py"]),
        ('"""A."""\ndef run(): ...', ["a.py:2 run"]),
        ('"""A."""\nclass Run: ...', ["a.py:2 Run"]),
        ('"""A."""\ndef _run(): ...', []),
        ('"""A."""\n@strawberry.type(description="A run.")\nclass Run: ...', []),
    ],
)
def test_find_undocumented(code: str, undocumented: list[str]) -> None:
    """A missing docstring is found, except of a private name or beside a description."""
    assert find_undocumented({"a.py": ast.parse(code)}) == undocumented


def test_docstrings_say_more_than_names() -> None:
    """No docstring only repeats the name that it documents."""
    assert find_restating_docstrings(PACKAGE) == []


@pytest.mark.parametrize(
    ("code", "restates"),
    [
        ('def load_rows():\n    """Load the rows."""', True),
        ('class HTTPClient:\n    """An HTTP client."""', True),
        ('class Proxy:\n    def close(self):\n        """Close the proxy."""', True),
        ('def load_rows():\n    """Load the rows, in order of code."""', False),
    ],
)
def test_find_restating_docstrings(code: str, restates: bool) -> None:
    """A docstring that has no other word than the name is found."""
    assert bool(find_restating_docstrings({"a.py": ast.parse(code)})) is restates


def test_docstrings_are_direct() -> None:
    """No docstring opens with What, Who, Whoever, Whose or Whether."""
    assert find_indirect_docstrings({**PROGRAMS, **TESTS}) == []


@pytest.mark.parametrize(
    ("code", "is_indirect"),
    [
        ('"""What is shared."""', True),
        ('class Page:\n    is_last: bool\n    """Whether it is the last."""', True),
        ('def has_rows():\n    """Return whether there are rows."""', False),
        ('"""Whatever."""', False),
    ],
)
def test_find_indirect_docstrings(code: str, is_indirect: bool) -> None:
    """An indirect opening is found, of an attribute's docstring too."""
    assert bool(find_indirect_docstrings({"a.py": ast.parse(code)})) is is_indirect


def test_ignores_have_reasons() -> None:
    """Each comment that silences a check has a reason of its own beside it."""
    paths = [*PROGRAMS, *TESTS]
    assert find_unexplained_ignores({path: (ROOT / path).read_text("utf-8") for path in paths}) == []


@pytest.mark.parametrize(
    ("comment", "is_unexplained"),
    [
        ("no" + "qa", True),
        ("no" + "qa: E501", True),
        ("no" + "qa: E501, S101 - as above", True),
        ("no" + "qa: E501 - a URL", False),
        ("type: " + "ignore[misc]", True),
        ("type: " + "ignore[misc] # likewise", True),
        ("type: " + "ignore[misc] # it has no types", False),
        ("Not an ignore.", False),
    ],
)
def test_find_unexplained_ignores(comment: str, is_unexplained: bool) -> None:
    """An ignore without a reason is found, and so is one that refers to another's."""
    assert bool(find_unexplained_ignores({"a.py": f"x = 1  # {comment}\n"})) is is_unexplained


@pytest.mark.parametrize("rule", SINGLE_PLACES, ids=lambda rule: rule.name)
def test_rule_has_one_place(rule: SinglePlace) -> None:
    """A rule of the project stands in its home alone."""
    assert rule.find_outside(PACKAGE) == []


@pytest.mark.parametrize("rule", SINGLE_PLACES, ids=lambda rule: rule.name)
def test_find_outside(rule: SinglePlace) -> None:
    """A rule written a second time is found, and so is its home."""
    example = ast.parse(rule.example)
    assert rule.find_outside({"a.py": example}) != []
    for home in rule.homes:
        assert rule.find_outside({home: example}) == []
        assert rule.find_outside({"a.py": PACKAGE[home]}) != []


@pytest.mark.parametrize(
    ("code", "is_renamed"),
    [
        ("Server(patience=settings.request_timeout)", True),
        ("Server(timeout=self._settings.request_timeout)", False),
        ("Server(request_timeout=settings.request_timeout)", False),
        ("timedelta(seconds=settings.stale_after)", False),
    ],
)
def test_find_renamed_settings(code: str, is_renamed: bool) -> None:
    """An argument that takes a setting under another name is found."""
    assert bool(find_renamed_settings({"a.py": ast.parse(code)})) is is_renamed


def test_settings_keep_their_names() -> None:
    """A setting is passed on under its own name."""
    assert find_renamed_settings(PACKAGE) == []


def test_imports() -> None:
    """The contracts of import-linter in pyproject.toml hold, as `make lint` checks them."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "Contracts: 5 kept, 0 broken." in result.stdout
