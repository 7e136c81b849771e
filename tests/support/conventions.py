"""Checks of the project's conventions: each returns what breaks one, over parsed modules."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from tests.support.paths import ROOT

MAX_FUNCTION_LINES = 50
MAX_MODULE_LINES = 350
GERUND_NOUNS = {
    "folding": "case folding is Unicode's term",
    "formatting": "the noun for turning values into text",
    "logging": "named as in the standard library",
    "parsing": "the noun for turning bytes into values",
    "sorting": "the noun for putting rows in order",
    "tracing": "the name of what OpenTelemetry records",
}
"""Gerunds that a module may have for a name, with the reason."""
_STOP_WORDS = set(
    re.findall(
        r"\w+",
        "a all an and are as at be been by each every for from has have if in into is it its no of "
        "on one or return returned than that the their then this to was what when which with",
    )
)

_IGNORE_PATTERN = re.compile(r"(noqa(: *[A-Z0-9]+(, *[A-Z0-9]+)*)?|type: *ignore(\[[^]]*\])?)[ #-]*(?P<reason>.*)$")

Modules = Mapping[str, ast.Module]
Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parse_modules(*folders: str) -> dict[str, ast.Module]:
    """Return the modules below folders of the project by their path."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def iter_functions(modules: Modules) -> Iterator[tuple[str, Function]]:
    """Yield every function, nested ones too, with its place."""
    for path, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, Function):
                yield f"{path}:{node.lineno} {node.name}", node


def is_sentence(docstring: str | None) -> bool:
    """Return whether a docstring is one sentence that ends with a full stop."""
    text = " ".join((docstring or "").split())
    return re.fullmatch(r"(?!.*[.!?] [A-Z]).+\.", text) is not None


def find_gerund_names(paths: Iterable[str]) -> list[str]:
    """Return the modules named by a bare gerund that is not a noun of the field."""
    names = {path: PurePath(path).stem.removeprefix("test_") for path in paths}
    return [path for path, name in names.items() if re.fullmatch(r"[a-z]+ing", name) and name not in GERUND_NOUNS]


def find_repeated_classes(modules: Modules) -> dict[str, list[str]]:
    """Return each public class name that is defined more than once, with its places."""
    places = defaultdict(list)
    for path, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path}:{node.lineno}")
    return {name: paths for name, paths in places.items() if len(paths) > 1}


def find_long_functions(modules: Modules) -> list[str]:
    """Return the functions of more than 50 lines."""
    return [
        place
        for place, node in iter_functions(modules)
        if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


def find_long_modules(texts: Mapping[str, str]) -> dict[str, int]:
    """Return the modules of more than 350 lines, with their length."""
    lengths = {path: len(text.splitlines()) for path, text in texts.items()}
    return {path: length for path, length in lengths.items() if length > MAX_MODULE_LINES}


def find_undocumented(modules: Modules) -> list[str]:
    """Return the modules, public classes and public functions without a docstring."""
    undocumented = [path for path, module in modules.items() if not ast.get_docstring(module)]
    for path, module in modules.items():
        for node in module.body:
            if not isinstance(node, Documented) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node) and not _is_described(node):
                undocumented.append(f"{path}:{node.lineno} {node.name}")
    return undocumented


def _is_described(node: Documented) -> bool:
    """Return whether a decorator documents the node, as Strawberry's `description` does."""
    return any(
        isinstance(decorator, ast.Call) and any(keyword.arg == "description" for keyword in decorator.keywords)
        for decorator in node.decorator_list
    )


def find_restating_docstrings(modules: Modules) -> list[str]:
    """Return the docstrings whose words, but for the commonest, are all in the name."""
    restating = []
    for path, module in modules.items():
        for parent in ast.walk(module):
            owner = parent.name if isinstance(parent, ast.ClassDef) else ""
            for node in ast.iter_child_nodes(parent):
                docstring = ast.get_docstring(node) if isinstance(node, Documented) else None
                if not isinstance(node, Documented) or docstring is None:
                    continue
                if _words(docstring) - _STOP_WORDS <= _words(f"{owner} {node.name}"):
                    restating.append(f"{path}:{node.lineno} {node.name}: {docstring}")
    return restating


def find_indirect_docstrings(modules: Modules) -> list[str]:
    """Return the docstrings, also of attributes, that open with a relative pronoun."""
    return [
        f"{path}:{node.lineno} {node.value.value.splitlines()[0]}"
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and re.match(r"(What|Who|Whoever|Whose|Whether)\b", node.value.value)
    ]


def find_unexplained_ignores(texts: Mapping[str, str]) -> list[str]:
    """Return the comments that silence a check without a reason of their own."""
    return [
        f"{path}:{token.start[0]} {token.string}"
        for path, text in texts.items()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
        and (match := _IGNORE_PATTERN.search(token.string))
        and (not match["reason"].strip() or re.search(r"\b(above|below|likewise|ditto)\b", match["reason"]))
    ]


def _words(text: str) -> set[str]:
    """Return the words of a text or a name, without the ending of a plural or a third person."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return {word.lower().removesuffix("s") for word in re.findall(r"[A-Za-z0-9]+", spaced)}


@dataclass(frozen=True, slots=True)
class SinglePlace:
    """A rule that stands in one place: the pattern of its code occurs in `homes` alone."""

    name: str
    matches: Callable[[ast.AST], bool]
    homes: frozenset[str]
    example: str
    """Code that matches."""

    def find_outside(self, modules: Modules) -> list[str]:
        """Return where the pattern occurs in another module."""
        return [
            f"{path}:{getattr(node, 'lineno', 0)}"
            for path, module in modules.items()
            if path not in self.homes
            for node in ast.walk(module)
            if self.matches(node)
        ]


def _is_error_body(node: ast.AST) -> bool:
    """Match a dict whose "errors" are written out; results of an execution are formatted."""
    return isinstance(node, ast.Dict) and any(
        isinstance(key, ast.Constant) and key.value == "errors" and isinstance(value, ast.List)
        for key, value in zip(node.keys, node.values, strict=True)
    )


def _is_raw_response(node: ast.AST) -> bool:
    return _is_text(node, r"HTTP/1\.1 ")


def _is_conditional_header(node: ast.AST) -> bool:
    return _is_text(node, "(?i)if-none-match")


def _is_text(node: ast.AST, pattern: str) -> bool:
    """Match text or bytes that begin with a pattern; docstrings begin with a sentence."""
    if not isinstance(node, ast.Constant):
        return False
    value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
    return isinstance(value, str) and re.match(pattern, value) is not None


def _is_not_modified(node: ast.AST) -> bool:
    is_import = isinstance(node, ast.ImportFrom) and any(alias.name == "NOT_MODIFIED" for alias in node.names)
    is_attribute = isinstance(node, ast.Attribute) and node.attr == "NOT_MODIFIED"
    return is_import or is_attribute or (isinstance(node, ast.Constant) and node.value == 304)


def _is_ordered_dict(node: ast.AST) -> bool:
    is_import = isinstance(node, ast.ImportFrom) and any(alias.name == "OrderedDict" for alias in node.names)
    return is_import or (isinstance(node, ast.Attribute) and node.attr in ("OrderedDict", "move_to_end"))


def _is_doubling(node: ast.AST) -> bool:
    """Match two to a power that is not a constant: the growth of a backoff."""
    if not isinstance(node, ast.BinOp) or isinstance(node.right, ast.Constant):
        return False
    base = node.left.value if isinstance(node.left, ast.Constant) else None
    return (isinstance(node.op, ast.Pow) and base == 2) or (isinstance(node.op, ast.LShift) and base == 1)


def _is_repeated_cancellation(node: ast.AST) -> bool:
    return isinstance(node, ast.While) and any(
        isinstance(child, ast.Attribute) and child.attr == "cancel" for child in ast.walk(node)
    )


SINGLE_PLACES = (
    SinglePlace(
        "GraphQL error body",
        _is_error_body,
        frozenset({"graphql_api/errors.py"}),
        'body = {"errors": [{"message": "No."}]}',
    ),
    SinglePlace(
        "raw HTTP response",
        _is_raw_response,
        frozenset({"graphql_api/http/raw_response.py"}),
        'head = f"HTTP/1.1 {status} OK"',
    ),
    SinglePlace(
        "conditional request",
        _is_conditional_header,
        frozenset(
            {
                "graphql_api/http/conditional.py",
                # The header of a request in raw bytes.
                "graphql_api/http/graphql/request.py",
                # Requests to providers.
                "graphql_api/sources/response.py",
            }
        ),
        'etag = headers.get(b"if-none-match")',
    ),
    SinglePlace(
        "304 response",
        _is_not_modified,
        frozenset(
            {
                "graphql_api/http/conditional.py",
                # Providers respond with it.
                "graphql_api/sources/fetch.py",
                "graphql_api/sources/http_client.py",
            }
        ),
        "response = Response(status_code=304)",
    ),
    SinglePlace(
        "LRU cache", _is_ordered_dict, frozenset({"graphql_api/utils/lru.py"}), "from collections import OrderedDict"
    ),
    SinglePlace("backoff", _is_doubling, frozenset({"graphql_api/utils/backoff.py"}), "delay = 0.1 * 2**attempt"),
    SinglePlace(
        "cancelling until done",
        _is_repeated_cancellation,
        frozenset({"graphql_api/utils/tasks.py"}),
        "while not task.done():\n    task.cancel()",
    ),
)

LIBRARY_KEYWORDS = {
    "allow_origins": "Starlette's CORSMiddleware",
    "seconds": "datetime.timedelta",
    "timeout_keep_alive": "uvicorn",
    "ws_max_size": "uvicorn",
}
"""Keyword arguments of libraries that take a setting under a name of their own."""


def find_renamed_settings(modules: Modules) -> list[str]:
    """Return the arguments that take a setting under another name.

    A parameter may leave out the beginning of the name, which its class says: the database's
    `timeout` is DATABASE_TIMEOUT.
    """
    return [
        f"{path}:{node.value.lineno} {ast.unparse(node)}"
        for path, module in modules.items()
        for node in ast.walk(module)
        if isinstance(node, ast.keyword)
        and isinstance(node.value, ast.Attribute)
        and re.search(r"(^|[._])settings$", ast.unparse(node.value.value))
        and node.arg not in LIBRARY_KEYWORDS
        and not f"_{node.value.attr}".endswith(f"_{node.arg}")
    ]
