"""Sizes of lists, by which the fields of their items cost."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import graphql

from graphql_api.domain.aggregation import get_keys
from graphql_api.domain.report import Attempt, RefreshReport
from graphql_api.domain.snapshot import Snapshot
from graphql_api.domain.snapshot_reader import SnapshotReader
from graphql_api.execution.compiler import get_resolver
from graphql_api.schema.inputs import CountryGroupField
from graphql_api.utils.slices import end_slice


class ListSize(NamedTuple):
    """Number of items of a field's lists."""

    longest: int
    """Of one object."""
    total: int
    """Of all objects together."""
    are_disjoint: bool = False
    """True if no item is in the lists of two objects."""


ListSizes = Mapping[str, ListSize]
"""By type and field, such as `Country.neighbours`."""


GROUPED_COUNTRIES, GROUP_KEYS = "CountryGroup.countries", "CountryGroup.keys"
"""The lists whose sizes depend on what countries are grouped by."""


class GroupSize(NamedTuple):
    """Size of the groups by one value."""

    groups: int
    countries: int
    """Of all groups together: a country may be in several."""


GroupSizes = Mapping[str, GroupSize]
"""By value of `CountryGroupField`."""


class _Info(NamedTuple):
    """The `info` of resolvers, as `SnapshotInfo` describes it."""

    root_value: SnapshotReader


def is_list(field: graphql.GraphQLField) -> bool:
    """Return whether the values of a field are lists."""
    return graphql.is_list_type(graphql.get_nullable_type(field.type))


def measure_graph(schema: graphql.GraphQLSchema, snapshot: Snapshot) -> ListSizes:
    """Measure every list of every node, the lists of all nodes of a type, and the longest that a group may have."""
    info = _Info(SnapshotReader(snapshot))
    sizes = {GROUPED_COUNTRIES: _measure([snapshot.rows]), GROUP_KEYS: _measure([list(CountryGroupField)])}
    roots: dict[str, graphql.GraphQLField] = schema.query_type.fields if schema.query_type else {}
    for type_name, nodes in snapshot.graph.nodes_by_type.items():
        node_type = graphql.assert_object_type(schema.type_map[type_name])
        for name, field in node_type.fields.items():
            if is_list(field):
                resolve, _ = get_resolver(field.extensions["strawberry-definition"])
                sizes[f"{type_name}.{name}"] = _measure([resolve(node, info=info) for node in nodes.values()])
        for name, field in roots.items():
            if is_list(field) and graphql.get_named_type(field.type) is node_type:
                sizes[f"Query.{name}"] = _measure([list(nodes.values())])
    return sizes


def measure_groups(snapshot: Snapshot) -> GroupSizes:
    """Measure the groups by each value."""
    sizes = {}
    for field in CountryGroupField:
        end_slice()
        keys = [key for row in snapshot.rows for key in get_keys(row, field.value, snapshot.graph)]
        sizes[field.name] = GroupSize(groups=len(set(keys)), countries=len(keys))
    return sizes


def measure_reports(history: Iterable[Attempt]) -> ListSizes:
    """Measure every list in the reports of a history."""
    reports = [attempt for attempt in history if isinstance(attempt, RefreshReport)]
    sources = [source for report in reports for source in report.sources]
    return {
        "RefreshReport.sources": _measure([report.sources for report in reports]),
        "SourceReport.failures": _measure([source.failures for source in sources]),
        "RefreshReport.skipped": _measure([report.skipped for report in reports]),
        "RefreshReport.missing": _measure([report.missing for report in reports]),
    }


def _measure(lists: Sequence[Sequence[object]]) -> ListSize:
    end_slice()
    total = sum(map(len, lists))
    items = set(map(id, chain.from_iterable(lists)))
    return ListSize(max(map(len, lists), default=0), total, are_disjoint=len(items) == total)
