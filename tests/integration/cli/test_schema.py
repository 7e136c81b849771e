"""`graphql-api schema` prints the schema, and nothing else."""

from pathlib import Path

from tests.support.paths import ROOT
from tests.support.processes import CommandResult, list_paths, run_command


def test_schema(tmp_path: Path) -> None:
    """The output equals schema.graphql, independent of the settings, and no file is written."""
    result = run_command(tmp_path, "schema", ENVIRONMENT="production", DATABASE_URL="mysql://db/countries")
    assert result == CommandResult(0, (ROOT / "schema.graphql").read_text(), "")
    assert list_paths(tmp_path) == []
