"""The range of the dot product of two vectors that are at most 1 long, as in a cosine.

By the inequality of Cauchy and Schwarz it is from -1 to 1, and so is the part of it that a filter selects.
"""

from __future__ import annotations

from collections.abc import Sequence

from lossdsl.graph import Axis, Node
from lossdsl.ranges import UNIT, Interval, multiply

_WITHIN_ONE = Interval(-1.0, 1.0)


def dot_range(body: Node, axes: Sequence[Axis]) -> Interval | None:
    """The range of the sum of a product along axes; None where it is not known to be one of short vectors."""
    if body.op.name == "pow" and body.arguments[1].is_constant and body.arguments[1].value == 2:
        factors: tuple[Node, ...] = (body.arguments[0], body.arguments[0])
    elif body.op.name == "mul":
        factors = body.arguments
    else:
        return None
    constants = [f for f in factors if not f.axes]
    vectors = [f for f in factors if f.axes]
    if len(vectors) != 2 or not all(_short(v, tuple(axes)) for v in vectors):
        return None
    total = UNIT if all(v.range.nonnegative for v in vectors) or vectors[0] is vectors[1] else _WITHIN_ONE
    for c in constants:
        total = multiply(total, c.range)
    return total


def _short(node: Node, axes: tuple[Axis, ...]) -> bool:
    """Whether the vectors along these axes are at most 1 long: unit vectors, and distributions."""
    while True:
        if node.op.name == "rename":
            axes = tuple(next((old for old, new in node.attributes if new is a), a) for a in axes)
            (node,) = node.arguments
        elif node.op.name in ("outer", "stop", "scale_gradient"):
            node = node.arguments[0]
        elif node.op.name == "expand" and not set(axes) & set(node.attributes):
            (node,) = node.arguments
        else:
            return node.op.name in ("unit", "softmax") and set(node.attributes[0].axes) == set(axes)
