"""Partial derivatives of elementwise operations, from the text of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from lossdsl.build import Builder
from lossdsl.formulas import write_out
from lossdsl.graph import INT, REAL, Axis, Node
from lossdsl.ops import Leaf, Op
from lossdsl.reference.interpreter import Environment, evaluate, spread
from lossdsl.reference.numbers import Value


def partial(op: Op, position: int, values: Sequence[Value], precision: int | None) -> Value:
    """The partial derivative of an elementwise operation by one of its arguments, at numbers of one shape.

    It is None where the argument has no part in the result.
    """
    node, leaves, axis = _parsed(op, position)
    size = values[0].size
    environment = Environment(
        {leaf: value.reshape(-1) for leaf, value in zip(leaves, values, strict=True)}, {axis: size}, precision
    )
    found = evaluate([node], environment)
    result = np.array(spread(found[node], node.axes, (axis,), environment), dtype=object)
    if node.op.name == "select" and node.arguments[2].is_constant and node.arguments[2].value == 0:
        # By the convention of the rows, `if c then d else 0` counts only where c holds.
        condition = node.arguments[0]
        result[~spread(found[condition], condition.axes, (axis,), environment)] = None
    return result.reshape(values[0].shape)


@cache
def _parsed(op: Op, position: int) -> tuple[Node, list[Leaf], Axis]:
    """The partial's node over one leaf for each argument, all along one axis."""
    assert op.partials is not None
    text = op.partials[position]
    assert text is not None
    axis = Axis("K")
    takes = [op.takes[min(i, len(op.takes) - 1)] for i in range(len(op.partials))]
    leaves = [
        Leaf(name, "input", INT if kind == INT else REAL, (axis,)) for name, kind in zip("xyzw", takes, strict=False)
    ]
    graph = Builder()
    return write_out(graph, text, {leaf.name: graph.leaf(leaf) for leaf in leaves}), leaves, axis
