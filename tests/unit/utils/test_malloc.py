"""The allocator of the C library returns large buffers."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from graphql_api.utils.malloc import return_large_buffers

def resident_pages():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

if sys.argv[1] == "return":
    return_large_buffers()
_ = [b"x" * size for size in (8_000_000,)]
_.clear()  # glibc keeps what is freed from the second buffer on
kept = [b"x" * size for size in (4_000_000, 100_000)]
before = resident_pages()
del kept[0]
print(before - resident_pages() >= 900)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
@pytest.mark.parametrize(("mode", "is_returned"), [("return", "True"), ("keep", "False")])
def test_large_buffer(mode: str, is_returned: str) -> None:
    """A large buffer is returned to the system once it is freed, even if a smaller one lies behind it."""
    result = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, check=True, text=True)
    assert result.stdout.strip() == is_returned
