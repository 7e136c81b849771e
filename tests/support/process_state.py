"""State of processes as Linux reports it: which run, which have stopped, which are children."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def child_pids(pid: int) -> list[int]:
    """Return the process ids of the children; empty if the process has ended or is not on Linux."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except FileNotFoundError:
        return []
    return [int(child) for child in children.split()]


def open_files(pid: int) -> set[str]:
    """Return the names of the files that a process has open, without their folders."""
    names = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            names.add(entry.readlink().name)
    return names


def owns_socket(pid: int, port: int) -> bool:
    """Return whether a process has a TCP socket on this port of an IPv6 address; False if it has ended."""
    try:
        files = open_files(pid)
    except OSError:
        return False
    sockets = (line.split() for line in Path("/proc/net/tcp6").read_text("ascii").splitlines()[1:])
    return any(int(columns[1][-4:], 16) == port and f"socket:[{columns[9]}]" in files for columns in sockets)


def resident_bytes(pid: int) -> int:
    """Return the memory of a process that is resident."""
    resident_pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
    return int(resident_pages) * os.sysconf("SC_PAGE_SIZE")


def is_running(pid: int) -> bool:
    """Return whether a process exists and has not ended; a zombie has."""
    try:
        return _read_state(Path(f"/proc/{pid}")) not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_stopped(pid: int) -> bool:
    """Return whether every thread of a process has stopped or ended; a signal takes a while."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return all(_read_state(thread) in "TXZ" for thread in threads)
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stop a process while the context lasts, or until it is killed."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _read_state(folder: Path) -> str:
    """Return the state letter of /proc/*/stat; the name before it may hold parentheses."""
    return (folder / "stat").read_text("utf-8").rpartition(")")[2].split()[0]
