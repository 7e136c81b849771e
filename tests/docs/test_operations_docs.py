"""docs/operations.md, the dashboard and the alerts name every metric, and no unknown one."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from graphql_api.metrics.definitions import FAMILIES, MetricType
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
GUIDE = (DOCS / "operations.md").read_text("utf-8")
DASHBOARD = json.loads((DOCS / "grafana.json").read_text("utf-8"))
RULES = [
    rule for group in yaml.safe_load((DOCS / "alerts.yaml").read_text("utf-8"))["groups"] for rule in group["rules"]
]
METRIC = re.compile(r"\b(?:graphql_api|process)_[a-z_]+\b")
SAMPLES = {
    f"{family.name}{suffix}"
    for family in FAMILIES
    for suffix in (("_bucket", "_count", "_sum") if family.type is MetricType.HISTOGRAM else ("",))
}
"""Names of the samples in Prometheus."""


def expressions(node: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON holds
    """Yield every query of a dashboard."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("expr", "query") if isinstance(node.get(key), str))
        for child in node.values():
            yield from expressions(child)
    elif isinstance(node, list):
        for child in node:
            yield from expressions(child)


def test_table() -> None:
    """The table of metrics matches the definitions: name, type, labels and meaning."""
    rows = [
        "| `{}` | {} | {} | {} |".format(
            family.name, family.type, ", ".join(f"`{label}`" for label in family.labels) or "–", family.documentation
        )
        for family in FAMILIES
    ]
    section = GUIDE.split("## Metrics")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    assert table[2:] == rows


def test_dashboard() -> None:
    """The dashboard queries every metric, and no unknown one."""
    queried = {name for text in expressions(DASHBOARD) for name in METRIC.findall(text)}
    assert queried - SAMPLES == set()
    displayed = {re.sub("_(bucket|count|sum)$", "", name) for name in queried}
    assert displayed == {family.name for family in FAMILIES}


def test_labels() -> None:
    """The dashboard and the alerts select by labels that the metric has."""
    labels = {family.name: {*family.labels, "instance", "le"} for family in FAMILIES}
    texts = [*expressions(DASHBOARD), *(rule["expr"] for rule in RULES)]
    matchers = [
        (re.sub("_(bucket|count|sum)$", "", name), label)
        for text in texts
        for name, selector in re.findall(r"((?:graphql_api|process)_[a-z_]+)\{([^}]*)\}", text)
        for label in re.findall(r"(\w+)(?:=~|!=|=)\"", selector)
    ]
    assert [matcher for matcher in matchers if matcher[1] not in labels[matcher[0]]] == []
    assert len(matchers) == 50


def test_panels() -> None:
    """Each panel has a position, an id and a title of its own, and queries."""
    panels = DASHBOARD["panels"]
    positions = [tuple(panel["gridPos"][side] for side in "xy") for panel in panels]
    for values in (positions, [panel["id"] for panel in panels], [panel["title"] for panel in panels]):
        assert len(set(values)) == len(panels)
    empty = [panel["title"] for panel in panels if panel["type"] != "row" and not panel["targets"]]
    assert empty == []


def test_rules() -> None:
    """The alerts query known metrics, and docs/operations.md describes each, in the same order."""
    queried = {name for rule in RULES for name in METRIC.findall(rule["expr"])}
    assert queried - SAMPLES == set()
    section = GUIDE.split("## Alerts")[1].split("\n## ")[0]
    documented = re.findall(r"^### (\w+)\n\n\S", section, re.MULTILINE)
    assert documented == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"].endswith(f"/operations.md#{rule['alert'].lower()}")


def test_rules_group_by_job() -> None:
    """No alert mixes jobs, whose replicas may have different databases: each aggregation keeps the label."""
    aggregations = [match for rule in RULES for match in re.findall(r"\b(?:sum|max|min)\b[^(]*\(\w*", rule["expr"])]
    assert len(aggregations) == 12
    assert [text for text in aggregations if " by (job" not in text] == []
