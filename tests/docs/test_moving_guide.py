"""The moving guide: every field that it names exists, here and there."""

import json
import re

from graphql import GraphQLInputObjectType, GraphQLObjectType

from tests.support.paths import ROOT
from tests.support.schema_client import SCHEMA

GUIDE = (ROOT / "docs" / "moving.md").read_text("utf-8")
ROWS = re.findall(r"^\| (`.*?) \| (.*?) \|", GUIDE, re.MULTILINE)
V3 = ROOT / "tests" / "support" / "fake_providers" / "bodies" / "restcountries.v3.1.all.json"


def find_paths(cell: str) -> list[str]:
    """Return the texts in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_fields_exist_here() -> None:
    """Each field of the middle column is in the schema; a dash stands for none."""
    paths = {path for _, here in ROWS for path in find_paths(here)}
    types = SCHEMA.executable.type_map
    unknown = []
    for path in paths:
        type_name, _, name = path.partition(".")
        named_type = types.get(type_name)
        if not isinstance(named_type, GraphQLObjectType | GraphQLInputObjectType) or name not in named_type.fields:
            unknown.append(path)
    assert unknown == []
    assert len(paths) > 30
    assert [here for _, here in ROWS if not find_paths(here) and here != "–"] == []


def test_fields_exist_there() -> None:
    """The guide names every field of a body of REST Countries."""
    table = GUIDE.split("Endpoints are arguments", 1)[1]
    named = {
        path.partition(".")[0]
        for there in re.findall(r"^\| (`[^/].*?) \|", table, re.MULTILINE)
        for path in find_paths(there)
    }
    served = {name for country in json.loads(V3.read_bytes()) for name in country}
    assert served <= named
