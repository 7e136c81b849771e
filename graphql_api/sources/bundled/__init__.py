"""Data shipped with the package, built by `scripts/build_bundled_data.py` and `scripts/build_graph_data.py`."""
