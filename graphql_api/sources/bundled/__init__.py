"""Data shipped with the package, made by `scripts/build_bundled_data.py`."""
