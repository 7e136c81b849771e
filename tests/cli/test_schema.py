"""`graphql-api schema`: the schema as text, and nothing else."""

from pathlib import Path

from tests.cli.running import ROOT, Ended, names, run


def test_schema(tmp_path: Path) -> None:
    """It prints the file of the repository, whatever the settings are, and writes nothing."""
    printed = run(tmp_path, "schema", ENVIRONMENT="production", DATABASE_URL="mysql://db/countries")
    assert printed == Ended(0, (ROOT / "schema.graphql").read_text(), "")
    assert names(tmp_path) == []
