"""The allocator of the C library."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt."""
_LARGE_BYTES = 128 * 1024
"""glibc's own start value."""


def return_large_buffers() -> None:
    """Return large buffers to the system once they are freed, if the C library is glibc.

    It raises its thresholds with every one that is freed, and so keeps those of images and statements: 4 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _LARGE_BYTES)
