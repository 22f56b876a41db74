"""Along which axes values really vary, and which values are larger than everything that a loss is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from lossdsl.graph import Axis, Node

Varying = Mapping[Node, frozenset[Axis]]


def varying(nodes: Sequence[Node]) -> dict[Node, frozenset[Axis]]:
    """The axes along which each node really varies: `expand` adds none. Arguments stand before what uses them."""
    found: dict[Node, frozenset[Axis]] = {}
    for node in nodes:
        inner = [found[a] for a in node.arguments]
        union = frozenset().union(*inner) if inner else frozenset(node.axes)
        if node.op.family == "reduce":
            union -= set(node.attributes[0].axes)
        elif node.op.name == "rename":
            swap = dict(node.attributes)
            union = frozenset(swap.get(a, a) for a in union)
        elif node.op.name == "pick":
            union = (inner[0] - {node.attributes[0]}) | inner[1] if node.attributes[0] in inner[0] else inner[0]
        found[node] = union
    return found


def amplified(nodes: Sequence[Node], held: Varying) -> list[Node]:
    """The nodes that have more places than any leaf: products of the axes of several.

    An axis with a stated range is short. An axis and its copies count as one axis twice.
    """
    leaves = [_extent(node.axes) for node in nodes if node.op.name == "leaf"]
    return [n for n in nodes if n.op.name != "leaf" and not any(_extent(held[n]) <= leaf for leaf in leaves)]


def _extent(axes: Iterable[Axis]) -> Counter[Axis]:
    """How often each axis is there, its copies counted with it."""
    return Counter(a.root for a in axes if a.root.first is None)
