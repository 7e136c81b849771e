"""`python -m benchmarks [PART …]`: measure the parts, or all, and publish what was found."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from benchmarks import load, refreshing, serving, starting
from benchmarks.machine import describe
from benchmarks.publishing import Missing, in_words, publish

ROOT = Path(__file__).parent.parent
PARTS: Mapping[str, ModuleType] = {
    "refresh": refreshing,
    "serving": serving,
    "load": load,
    "start": starting,
}
"""Each can `require()` what it needs, `run(say)`, and tell the `versions()` of what took part."""


def main(names: list[str]) -> None:
    """Run the parts of these names; without any, all."""
    if unknown := [name for name in names if name not in PARTS]:
        sys.exit(f"There is no part {unknown[0]}; there is {', '.join(PARTS)}.")
    parts = {name: PARTS[name] for name in names or PARTS}
    try:
        for part in parts.values():
            part.require()
    except Missing as missing:
        sys.exit(f"{missing}")
    for name, part in parts.items():
        outcome = part.run(_say)
        machine = describe(part.versions())
        publish(ROOT, name, outcome, machine)
        print(f"\n{outcome.told}\n{in_words(machine)}")


def _say(what: str) -> None:
    print(f"Measuring {what} …", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
