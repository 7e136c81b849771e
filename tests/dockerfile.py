"""The Dockerfile, read as its builder reads it: stages, each a list of instructions."""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Instruction(NamedTuple):
    """One instruction, e.g. RUN, and what follows it, in one line."""

    name: str
    text: str


Stage = list[Instruction]


def read_stages() -> list[Stage]:
    """Return the stages, each of which begins with FROM."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("#")).replace("\\\n", "")
    stages: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, rest))
    return stages


def all_of(stage: Stage, name: str) -> list[str]:
    """Return what follows each instruction of that name."""
    return [text for found, text in stage if found == name]


def environment_of(stage: Stage) -> dict[str, str]:
    """Return what ENV sets; the values are as they are written."""
    pairs = (pair for text in all_of(stage, "ENV") for pair in shlex.split(text))
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def command_of(stage: Stage, name: str) -> list[str]:
    """Return the words of a command that is given as a list, after options if there are any."""
    (text,) = all_of(stage, name)
    command: list[str] = json.loads(text[text.index("[") :])
    return command


def is_sent(path: str) -> bool:
    """Tell whether .dockerignore lets a file of the project be sent to the builder."""
    rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    sent = True
    for rule in (rule for rule in rules if rule and not rule.startswith("#")):
        pattern = re.escape(rule.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", ".*")
        if re.fullmatch(f"{pattern}(/.*)?", path):
            sent = rule.startswith("!")
    return sent
