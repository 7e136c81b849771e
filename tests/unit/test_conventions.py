"""The rules of the house that no linter knows: docstrings, short functions, one-way imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.paths import ROOT

MAX_FUNCTION_LINES = 50

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def parse_modules(folder: str) -> dict[str, ast.Module]:
    """Return the modules below a folder, by their path in the project."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8"))
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def iter_functions(folder: str) -> Iterator[tuple[str, FunctionNode]]:
    """Yield every function below a folder, those within others too, with where it is."""
    for path, module in parse_modules(folder).items():
        for node in ast.walk(module):
            if isinstance(node, FunctionNode):
                yield f"{path}:{node.lineno} {node.name}", node


def is_sentence(docstring: str | None) -> bool:
    """Tell whether a docstring is one sentence, which ends with a full stop."""
    text = " ".join((docstring or "").split())
    return re.fullmatch(r"(?!.*[.!?] [A-Z]).+\.", text) is not None


@pytest.mark.parametrize(
    ("docstring", "sentence"),
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
def test_sentences(docstring: str | None, sentence: bool) -> None:
    """What counts as one sentence in the tests below is this."""
    assert is_sentence(docstring) is sentence


def test_test_modules_say_what_they_prove() -> None:
    """Every module of the tests begins with one sentence."""
    parsed = parse_modules("tests")
    assert "tests/unit/test_conventions.py" in parsed
    undocumented = [
        path for path, module in parsed.items() if not is_sentence(ast.get_docstring(module))
    ]
    assert undocumented == []


def test_tests_say_what_they_prove() -> None:
    """Every test has one sentence that says what it proves."""
    tests = {name: node for name, node in iter_functions("tests") if node.name.startswith("test")}
    assert [name for name, node in tests.items() if not is_sentence(ast.get_docstring(node))] == []


def test_modules_say_what_they_own() -> None:
    """Every module of the package and of the benchmarks begins with a docstring."""
    parsed = parse_modules("graphql_api") | parse_modules("benchmarks")
    assert {"graphql_api/__init__.py", "benchmarks/__init__.py"} <= set(parsed)
    assert [path for path, module in parsed.items() if not ast.get_docstring(module)] == []


def test_functions_are_short() -> None:
    """No function of the package or of the benchmarks is longer than 50 lines."""
    lengths = {
        name: (node.end_lineno or 0) - node.lineno + 1
        for folder in ("graphql_api", "benchmarks")
        for name, node in iter_functions(folder)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def test_imports_point_one_way() -> None:
    """The contracts of import-linter in pyproject.toml are kept, as `make lint` checks them."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "Contracts: 4 kept, 0 broken." in result.stdout
