"""Benchmarks: `python -m benchmarks`, or `make bench`, updates docs/performance.md."""
