"""Pure functions and frozen dataclasses: what the project knows, without I/O or framework."""
