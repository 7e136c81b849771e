"""Standard streams that never fail a command, whatever becomes of its terminal, pipe or disk."""

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


_BROKEN_PIPE = 128 + 13
"""Exit code of a program that SIGPIPE ends. Windows has no such signal, but its pipes break too."""


class _StandardStream(io.FileIO):
    """A raw stream that drops what cannot be written."""

    failure: OSError | None = None
    """First failure to write."""

    def write(self, data: "ReadableBuffer") -> int:
        """Return the number of bytes written or dropped."""
        try:
            # A parent may have made a pipe non-blocking, e.g. Node.
            while (count := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes
        return count


@contextmanager
def protected_streams() -> Iterator[None]:
    """Run a command that writes to stdout and stderr, and exits by `SystemExit`.

    A failure to write changes its exit code only if it has none of its own: 141, as SIGPIPE, if the reader of stdout
    has gone, else 1 with the reason on stderr. A closed stream counts as the null device.
    """
    _open_missing()
    stdout, stderr = (_StandardStream(number, "w", closefd=False) for number in (1, 2))
    sys.stdout, sys.stderr = _open_text(stdout, sys.stdout), _open_text(stderr, sys.stderr)
    try:
        yield
    except SystemExit as result:
        sys.stdout.flush()
        if result.code or stdout.failure is None:
            raise
        if stdout.failure.errno == errno.EPIPE:
            sys.exit(_BROKEN_PIPE)
        reason = os.strerror(stdout.failure.errno or 0)
        sys.stderr.write(f"graphql-api: The command is done, but its output could not be written: {reason}.\n")
        sys.exit(1)


def _open_missing() -> None:
    """Open the null device for each closed stream: a database must not get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _open_text(raw: _StandardStream, former: TextIO | None) -> TextIO:
    """Return a text stream over `raw` with the options of the one that Python opened, if any."""
    options = former if isinstance(former, io.TextIOWrapper) else None
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=options.encoding if options else "utf-8",
        errors="backslashreplace",
        line_buffering=options.line_buffering if options else False,
        write_through=options.write_through if options else False,
    )
