"""`python -m benchmarks [PART …]`: run the parts, by default all, and publish their figures."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from benchmarks import growth_benchmark, load_benchmark, queries_benchmark, refresh_benchmark, startup_benchmark
from benchmarks.environment import describe_environment
from benchmarks.report import MissingToolError, format_environment, publish

ROOT = Path(__file__).parent.parent
BENCHMARKS: Mapping[str, ModuleType] = {
    "refresh": refresh_benchmark,
    "serving": queries_benchmark,
    "growth": growth_benchmark,
    "load": load_benchmark,
    "start": startup_benchmark,
}
"""Each module has `require()`, `run(on_progress)` and `versions()`."""


def main(selected_names: list[str]) -> None:
    """Run the named parts, by default all."""
    if unknown_names := [name for name in selected_names if name not in BENCHMARKS]:
        sys.exit(f"Unknown part {unknown_names[0]}; choose from {', '.join(BENCHMARKS)}.")
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
        print(f"\n{report.markdown}\n{format_environment(machine)}")


def _print_progress(activity: str) -> None:
    print(f"Measuring {activity} …", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
