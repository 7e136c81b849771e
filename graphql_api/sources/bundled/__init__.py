"""Data shipped with the package; `scripts/make_bundle.py` makes it, LICENSES.md says from what."""
