"""Environments of the processes that tests start."""

import os
from collections.abc import Mapping

from tests.support.paths import ROOT


def build_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that runs this tree with these settings only."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
