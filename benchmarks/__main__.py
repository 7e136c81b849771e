"""`python -m benchmarks [PART …]`: measure the parts, or all, and publish what was found."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import refreshing, serving
from benchmarks.machine import describe
from benchmarks.publishing import Outcome, Say, in_words, publish
from tests.servers.mariadb import MariaDB

ROOT = Path(__file__).parent.parent
PARTS: Mapping[str, Callable[[Say], Outcome]] = {
    "refresh": refreshing.run,
    "serving": serving.run,
}


def main(names: list[str]) -> None:
    """Run the parts of these names; without any, all."""
    if unknown := [name for name in names if name not in PARTS]:
        sys.exit(f"There is no part {unknown[0]}; there is {', '.join(PARTS)}.")
    if MariaDB.find() is None:
        sys.exit("Install mariadb-server to measure (apt-get install mariadb-server).")
    machine = describe()
    for name in names or PARTS:
        outcome = PARTS[name](_say)
        publish(ROOT, name, outcome, machine)
        print(f"\n{outcome.told}")
    print(in_words(machine))


def _say(what: str) -> None:
    print(f"Measuring {what} …", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
