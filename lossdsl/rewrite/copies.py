"""What is computed along two copies of one axis is computed once.

A triplet loss has distances to positives along P and to negatives along N, where both are copies of B: the same numbers
twice. One of them becomes a rename of the other, so that the value is there once and so is its gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

from lossdsl.build import Builder
from lossdsl.graph import Axis, Node, reachable


def once_along_copies(graph: Builder, roots: Iterable[Node]) -> dict[Node, Node]:
    """What stands for each node that the roots need."""
    nodes = reachable(roots)
    twins = _twins(graph, nodes)
    done: dict[Node, Node] = {}
    for node in nodes:
        graph.span = node.span
        if node in twins:
            twin, axis, copy = twins[node]
            done[node] = graph.rename(done[twin], {copy: axis})
        elif any(done[a] is not a for a in node.arguments):
            done[node] = graph.node(node.op, tuple(done[a] for a in node.arguments), node.attributes)
        else:
            done[node] = node
    return done


def _twins(graph: Builder, nodes: Sequence[Node]) -> dict[Node, tuple[Node, Axis, Axis]]:
    """Reductions for which there is an earlier one that has another copy in place of an axis, with axis and copy."""
    axes = dict.fromkeys(a for n in nodes for a in n.axes if a.base is not None)
    found: dict[Node, tuple[Node, Axis, Axis]] = {}
    for axis, copy in permutations(axes, 2):
        if axis.root is not copy.root:
            continue
        moved: dict[Node, Node | None] = {}
        for node in nodes:
            twin = _moved(graph, node, moved, axis, copy)
            # The graph also has nodes that no root needs any more; those in `moved` are needed, and come first.
            if node.op.family == "reduce" and len(node.axes) > 1 and twin is not None and twin in moved:
                found.setdefault(node, (twin, axis, copy))
            moved[node] = twin
    return found


def _moved(graph: Builder, node: Node, moved: dict[Node, Node | None], old: Axis, new: Axis) -> Node | None:
    """The node with one axis in place of another, if the graph has it; `moved` has its arguments."""
    if old not in node.axes:
        return node
    if new in node.axes or node.op.name == "leaf" or {old, new} & set(_bound(node)):
        return None
    attributes = node.attributes
    if node.op.name == "index":
        attributes = (new,)
    elif node.op.name == "expand":
        attributes = tuple(new if a is old else a for a in attributes)
    elif node.op.name == "rename":
        attributes = tuple((a, new if b is old else b) for a, b in attributes if (a, b) != (new, old))
        if not attributes:
            return node.arguments[0]
    arguments = [a for a in (moved[a] for a in node.arguments) if a is not None]
    return graph.existing(node.op, arguments, attributes) if len(arguments) == len(node.arguments) else None


def _bound(node: Node) -> tuple[Axis, ...]:
    """The axes over which an operation works."""
    if node.op.name == "pick":
        return node.attributes
    return node.attributes[0].axes if node.op.family in ("reduce", "scan") else ()
