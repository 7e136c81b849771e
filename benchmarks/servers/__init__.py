"""The servers that the benchmarks compare with, on Python and, beside them, on Node."""
