"""What differs only at a label is told apart last.

A gradient along classes is mostly one formula with another value at the label. Added to further terms it would be
made once for all places and then corrected: `y + (if C == t then a else b)` is `if C == t then y[C = t] + a else y + b`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lossdsl.build import Builder, readings
from lossdsl.graph import REAL, Axis, Node, reachable, users


def told_apart_last(graph: Builder, roots: Iterable[Node]) -> dict[Node, Node]:
    """What stands for each node that the roots need."""
    nodes = reachable(roots)
    using = users(nodes)
    done: dict[Node, Node] = {}
    for node in nodes:
        graph.span = node.span
        arguments = tuple(done[a] for a in node.arguments)
        after = None
        if node.op.name == "add" and node.kind == REAL:
            once = [now for now, old in zip(arguments, node.arguments, strict=True) if len(using[old]) == 1]
            after = _apart(graph, arguments, once)
        if after is None:
            same = all(now is old for now, old in zip(arguments, node.arguments, strict=True))
            after = node if same else graph.node(node.op, arguments, node.attributes)
        done[node] = after
    return done


def _apart(graph: Builder, terms: tuple[Node, ...], once: list[Node]) -> Node | None:
    """The sum with the choice at a label outside, if one of the terms used here alone is such a choice."""
    for term in once:
        found = labelled(term)
        if found is None:
            continue
        axis, label, at_label, elsewhere = found
        rest = [t for t in terms if t is not term]
        if any(axis in t.axes for t in rest):
            inside = graph.add(at_label, *(graph.pick(t, axis, label) for t in rest))
            condition = graph.compare("==", graph.index(axis), label)
            return graph.select(condition, inside, graph.add(elsewhere, *rest))
    return None


class Labelled(NamedTuple):
    """A choice `if C == t then a else b`, where t and a do not vary along C."""

    axis: Axis
    label: Node
    at_label: Node
    elsewhere: Node


def labelled(node: Node) -> Labelled | None:
    """A node as a choice at a label."""
    if node.op.name != "select":
        return None
    condition, at_label, elsewhere = node.arguments
    if condition.op.name == "not":
        condition, at_label, elsewhere = condition.arguments[0], elsewhere, at_label
    for axis, label in readings(condition):
        if label.op.name == "leaf" and axis not in (*label.axes, *at_label.axes):
            return Labelled(axis, label, at_label, elsewhere)
    return None


def label_of(condition: Node, axis: Axis) -> Node | None:
    """The label of a condition `C == t`, where it is declared to be a place along that axis, or its sentinel."""
    for over, label in readings(condition):
        if over is axis and label.op.name == "leaf" and axis not in label.axes:
            of = label.attributes[0].of
            return label if of is not None and of.root is axis.root else None
    return None
