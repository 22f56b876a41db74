"""Operations along an axis in terms of reductions over it, whose results for blocks can be combined."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

from lossdsl.build import Builder
from lossdsl.graph import Axis, Node, reachable
from lossdsl.optable import OPS
from lossdsl.streaming.varying import amplified, varying


def prepared(graph: Builder, roots: Sequence[Node], axes: Container[Axis]) -> dict[Node, Node]:
    """The roots with operations on large values along some axes written out."""
    nodes = reachable(roots)
    large = set(amplified(nodes, varying(nodes)))
    plain = graph.plainly()
    done: dict[Node, Node] = {}
    for node in nodes:
        plain.span = node.span
        arguments = tuple(done[a] for a in node.arguments)
        form = _FORMS.get(node.op.name)
        if form is not None and node.arguments[0] in large and any(a in axes for a in _along(node)):
            done[node] = form(plain, node, arguments)
        elif arguments == node.arguments:
            done[node] = node
        else:
            done[node] = plain.node(node.op, arguments, node.attributes)
    return {root: done[root] for root in roots}


def _along(node: Node) -> tuple[Axis, ...]:
    over = node.attributes[0]
    return (over,) if isinstance(over, Axis) else tuple(over.axes)


def _pick(graph: Builder, node: Node, arguments: Sequence[Node]) -> Node:
    """The value at an index is the sum of the values that are there."""
    value, index = arguments
    axis: Axis = node.attributes[0]
    found = graph.reduce("sum", (axis,), value, graph.compare("==", graph.index(axis), index))
    return graph.expand(found, node.axes)


def _softmax(graph: Builder, node: Node, arguments: Sequence[Node]) -> Node:
    return graph.apply("exp", _log_softmax(graph, node, arguments))


def _log_softmax(graph: Builder, node: Node, arguments: Sequence[Node]) -> Node:
    total = graph.node(OPS["logsumexp"], arguments, node.attributes)
    return graph.subtract(arguments[0], total)


def _unit(graph: Builder, node: Node, arguments: Sequence[Node]) -> Node:
    length = graph.node(OPS["norm"], arguments, node.attributes)
    nothing = graph.compare("==", length, graph.constant(0))
    return graph.select(nothing, graph.constant(0), graph.divide(arguments[0], length))


def _mean(graph: Builder, node: Node, arguments: Sequence[Node]) -> Node:
    total = graph.node(OPS["sum"], arguments, node.attributes)
    count = graph.node(OPS["sum"], (graph.constant(1), *arguments[1:]), node.attributes)
    return graph.divide(total, count)


_FORMS: Mapping[str, Callable[[Builder, Node, Sequence[Node]], Node]] = {
    "pick": _pick,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "unit": _unit,
    "mean": _mean,
}
