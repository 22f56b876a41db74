"""Taking off the outermost mean or sum of a loss, for `reduction="none"` and `reduction="sum"`."""

from __future__ import annotations

from fractions import Fraction

from lossdsl.build import Builder
from lossdsl.graph import Node


class NoReduction(Exception):
    """The loss is not one mean or sum of something."""


def unreduced(graph: Builder, root: Node) -> Node:
    """What the outermost reduction is taken of; 0 in excluded places."""
    factor, reduction = _split(graph, root)
    body = reduction.arguments[0]
    if len(reduction.arguments) > 1:
        body = graph.select(reduction.arguments[1], body, graph.constant(Fraction(0)))
    missing = [a for a in reduction.attributes[0].axes if a not in body.axes]
    return graph.expand(graph.mul(factor, body), missing)


def summed(graph: Builder, root: Node) -> Node:
    """The outermost mean as a sum."""
    factor, reduction = _split(graph, root)
    return graph.mul(factor, reduction)


def _split(graph: Builder, root: Node) -> tuple[Node, Node]:
    """The constant before the outermost sum, and the sum."""
    one = graph.constant(Fraction(1))
    if root.op.name == "select":
        # `else`: what it is where nothing is selected.
        found = [a for a in root.arguments[1:] if not a.is_constant]
        if len(found) == 1:
            return _split(graph, found[0])
    if root.op.name == "expand":
        return _split(graph, root.arguments[0])
    if root.op.name in ("sum", "mean"):
        if root.axes:
            raise NoReduction
        return one, root
    if root.op.name == "mul":
        kept: list[Node] = []
        sums: list[Node] = []
        for factor in root.arguments:
            if _is_count(factor):
                continue
            (sums if _holds_sum(factor) else kept).append(factor)
        if len(sums) == 1 and all(not k.axes for k in kept):
            inner, reduction = _split(graph, sums[0])
            return graph.mul(*kept, inner), reduction
    raise NoReduction


def _is_count(factor: Node) -> bool:
    """Whether a factor is one over a count or a sum of weights, and no setting or parameter."""
    exponent = factor.arguments[1] if factor.op.name == "pow" else None
    return exponent is not None and exponent.is_constant and exponent.value == -1 and _counts(factor.arguments[0])


def _counts(node: Node) -> bool:
    return node.op.name in ("sum", "mean", "size") or any(_counts(a) for a in node.arguments)


def _holds_sum(node: Node) -> bool:
    if node.op.name in ("sum", "mean"):
        return True
    return node.op.name in ("select", "mul", "expand") and any(_holds_sum(a) for a in node.arguments)
