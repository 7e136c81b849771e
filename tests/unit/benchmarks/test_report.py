"""Figures are published where they belong, and replace those before."""

import json
from pathlib import Path

import pytest

from benchmarks.report import BenchmarkReport, publish, replace_section

OUTCOME = BenchmarkReport(
    results={"seconds": 3}, markdown="| table |\n", chart="<svg/>\n", caption="A chart"
)
README = "before\n<!-- benchmark x -->\nold\n<!-- end of benchmark x -->\nafter\n"


def test_publish(tmp_path: Path) -> None:
    """JSON, chart and README hold the figures, once, however often they are published."""
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(README, "utf-8")
    for _ in range(2):
        publish(tmp_path, "x", OUTCOME, {"Python": "3", "on": "2 cores"})
    results = json.loads((tmp_path / "benchmarks/results/x.json").read_text("utf-8"))
    assert results == {"machine": {"Python": "3", "on": "2 cores"}, "seconds": 3}
    assert (tmp_path / "docs/x.svg").read_text("utf-8") == "<svg/>\n"
    assert (tmp_path / "README.md").read_text("utf-8") == (
        "before\n<!-- benchmark x -->\n![A chart](docs/x.svg)\n\n| table |\n\n"
        "Measured with Python 3, on 2 cores.\n<!-- end of benchmark x -->\nafter\n"
    )


@pytest.mark.parametrize("text", ["", README.replace("end of", ""), README.replace("x", "y")])
def test_no_place(text: str) -> None:
    """A README without the place for a part is left alone, and said to be so."""
    with pytest.raises(ValueError, match="no place between <!-- benchmark x --> and"):
        replace_section(text, "x", "new")
