"""Selections of an operation as validation and execution see them: with the fields of their fragments."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from graphql.language import ast

Fragments = Mapping[str, ast.FragmentDefinitionNode]
"""The fragments of a document by name."""


def iterate_fields(
    selection_sets: Sequence[ast.SelectionSetNode], fragments: Fragments, visited: set[str]
) -> Iterator[ast.FieldNode]:
    """Yield the fields of selections that are merged, but not those of the `visited` fragments, to which it adds."""
    for selection_set in selection_sets:
        for selection in selection_set.selections:
            if isinstance(selection, ast.FieldNode):
                yield selection
            elif isinstance(selection, ast.InlineFragmentNode):
                yield from iterate_fields((selection.selection_set,), fragments, visited)
            elif isinstance(selection, ast.FragmentSpreadNode):
                name = selection.name.value
                if name in fragments and name not in visited:
                    visited.add(name)
                    yield from iterate_fields((fragments[name].selection_set,), fragments, visited)


def count_fields(selection_set: ast.SelectionSetNode, fragments: Fragments, max_fields: int) -> tuple[int, int]:
    """Return the number of fields, and of the pairs that validation compares.

    These are the fragments that are merged, and fields of one response name with arguments or a selection.
    Stops at more than `max_fields`: fragments may use each other in a cycle.
    """
    fields, pairs, scopes = 0, 0, deque([[selection_set]])
    while scopes and fields <= max_fields:
        nodes_by_name: dict[str, list[ast.FieldNode]] = {}
        merged_fragments: set[str] = set()
        for node in iterate_fields(scopes.popleft(), fragments, merged_fragments):
            nodes_by_name.setdefault((node.alias or node.name).value, []).append(node)
        pairs += _count_pairs(len(merged_fragments))
        for nodes in nodes_by_name.values():
            fields += len(nodes)
            if nodes[0].arguments or nodes[0].selection_set:
                pairs += _count_pairs(len(nodes))
            if nested := [node.selection_set for node in nodes if node.selection_set]:
                scopes.append(nested)
    return fields, pairs


def _count_pairs(items: int) -> int:
    return items * (items - 1) // 2
