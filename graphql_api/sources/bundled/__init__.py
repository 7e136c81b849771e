"""Data shipped with the package, built by `make bundled-data`."""
