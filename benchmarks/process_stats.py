"""Samples of a process: memory, open files, threads and database connections."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Resources at one moment."""

    second: float
    """Since the start."""
    megabytes: float
    """Resident memory."""
    files: int
    """Open files, sockets included."""
    sockets: int
    threads: int
    connections: int
    """Connections that the database counts."""
    answers: int
    """Responses to queries since the start."""


@dataclass(frozen=True, slots=True)
class ProcessStats:
    """Resources of a process, from /proc."""

    megabytes: float
    files: int
    sockets: int
    threads: int

    @classmethod
    def of_process(cls, pid: int) -> "ProcessStats":
        """Read the current resources of a process."""
        folder = Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text("ascii").splitlines())
        files = [_read_link(file) for file in (folder / "fd").iterdir()]
        return cls(
            megabytes=round(int(status["VmRSS"].split()[0]) / 1024, 2),
            files=len(files),
            sockets=sum(file.startswith("socket:") for file in files),
            threads=int(status["Threads"]),
        )


def slope_per_minute(samples: Sequence[Sample], get_value: Callable[[Sample], float]) -> float:
    """Return the growth of a value per minute, by least squares; 0 for fewer than two samples."""
    if len(samples) < 2:  # noqa: PLR2004 - a line has two points
        return 0.0
    seconds = [sample.second for sample in samples]
    values = [get_value(sample) for sample in samples]
    mean_second, mean_value = sum(seconds) / len(seconds), sum(values) / len(values)
    squared_deviations = sum((second - mean_second) ** 2 for second in seconds)
    cross_deviations = sum(
        (second - mean_second) * (value - mean_value) for second, value in zip(seconds, values, strict=True)
    )
    return 60 * cross_deviations / squared_deviations


def sleep_until_second(started_at: float, second: int) -> None:
    """Sleep until `second` seconds after `started_at`, by the monotonic clock."""
    time.sleep(max(0.0, started_at + second - time.monotonic()))


def _read_link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile
        return ""
