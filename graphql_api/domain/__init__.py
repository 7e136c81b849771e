"""The rules of the data: pure functions and frozen dataclasses, without I/O or framework."""
