"""What a process takes, second by second: memory, open files, threads, and database connections."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What there was at one moment."""

    second: float
    """Since the begin."""
    megabytes: float
    """Of memory that the process has in use."""
    files: int
    """That it has open, sockets among them."""
    sockets: int
    threads: int
    connections: int
    """Of the database, by its own count."""
    answers: int
    """To queries, since the begin."""


@dataclass(frozen=True, slots=True)
class ProcessStats:
    """What a process takes by what the system says."""

    megabytes: float
    files: int
    sockets: int
    threads: int

    @classmethod
    def of_process(cls, pid: int) -> "ProcessStats":
        """Look at a process."""
        folder = Path(f"/proc/{pid}")
        status = dict(
            line.split(":", 1) for line in (folder / "status").read_text("ascii").splitlines()
        )
        files = [_read_link(file) for file in (folder / "fd").iterdir()]
        return cls(
            megabytes=round(int(status["VmRSS"].split()[0]) / 1024, 2),
            files=len(files),
            sockets=sum(file.startswith("socket:") for file in files),
            threads=int(status["Threads"]),
        )


def slope_per_minute(samples: Sequence[Sample], get_value: Callable[[Sample], float]) -> float:
    """Return by how much a value grows in a minute, by least squares; 0 of less than two."""
    if len(samples) < 2:  # noqa: PLR2004 - a line has two points
        return 0.0
    seconds = [sample.second for sample in samples]
    values = [get_value(sample) for sample in samples]
    mean_second, mean_value = sum(seconds) / len(seconds), sum(values) / len(values)
    squared_deviations = sum((second - mean_second) ** 2 for second in seconds)
    cross_deviations = sum(
        (second - mean_second) * (value - mean_value)
        for second, value in zip(seconds, values, strict=True)
    )
    return 60 * cross_deviations / squared_deviations


def sleep_until_second(started_at: float, second: int) -> None:
    """Wait until so many seconds after the begin have passed, by the monotonic clock."""
    time.sleep(max(0.0, started_at + second - time.monotonic()))


def _read_link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile
        return ""
