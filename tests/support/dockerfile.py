"""Parser of the Dockerfile: stages, each a list of instructions."""

import json
import re
import shlex
from typing import NamedTuple

from tests.support.paths import ROOT


class Instruction(NamedTuple):
    """One instruction, for example RUN, and its arguments on one line."""

    name: str
    text: str


Stage = list[Instruction]


def read_stages() -> list[Stage]:
    """Return the stages. Each begins with FROM."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("#")).replace("\\\n", "")
    stages: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, rest))
    return stages


def find_instructions(stage: Stage, name: str) -> list[str]:
    """Return the arguments of each instruction of this name."""
    return [text for instruction, text in stage if instruction == name]


def parse_environment(stage: Stage) -> dict[str, str]:
    """Return the variables that ENV sets, with their values unexpanded."""
    pairs = (pair for text in find_instructions(stage, "ENV") for pair in shlex.split(text))
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def parse_command(stage: Stage, name: str) -> list[str]:
    """Return the words of a command in its JSON form, without the instruction's options."""
    (text,) = find_instructions(stage, name)
    command: list[str] = json.loads(text[text.index("[") :])
    return command


def is_in_build_context(path: str) -> bool:
    """Return whether .dockerignore includes a file of the project in the build context."""
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    is_included = True
    for rule in (rule for rule in rules if rule and not rule.startswith("#")):
        pattern = re.escape(rule.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", ".*")
        if re.fullmatch(f"{pattern}(/.*)?", path):
            is_included = rule.startswith("!")
    return is_included
