"""`python -m benchmarks [PART …]`: measure the parts, or all, and publish what was found."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from benchmarks import load_benchmark, queries_benchmark, refresh_benchmark, startup_benchmark
from benchmarks.environment import describe_environment
from benchmarks.report import MissingToolError, format_environment, publish

ROOT = Path(__file__).parent.parent
BENCHMARKS: Mapping[str, ModuleType] = {
    "refresh": refresh_benchmark,
    "serving": queries_benchmark,
    "load": load_benchmark,
    "start": startup_benchmark,
}
"""Each can `require()` what it needs, `run(say)`, and tell the `versions()` of what took part."""


def main(selected_names: list[str]) -> None:
    """Run the parts of these names; without any, all."""
    if unknown_names := [name for name in selected_names if name not in BENCHMARKS]:
        sys.exit(f"There is no part {unknown_names[0]}; there is {', '.join(BENCHMARKS)}.")
    benchmarks_to_run = {name: BENCHMARKS[name] for name in selected_names or BENCHMARKS}
    try:
        for benchmark in benchmarks_to_run.values():
            benchmark.require()
    except MissingToolError as error:
        sys.exit(f"{error}")
    for name, benchmark in benchmarks_to_run.items():
        report = benchmark.run(_print_progress)
        machine = describe_environment(benchmark.versions())
        publish(ROOT, name, report, machine)
        print(f"\n{report.told}\n{format_environment(machine)}")


def _print_progress(activity: str) -> None:
    print(f"Measuring {activity} …", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
