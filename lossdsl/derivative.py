"""Reverse-mode derivatives on the graph.

The adjoint of a node is kept as a value together with the condition under which it counts. The condition is carried
through the chain and applied last, as a filter of a sum or as a selection, so that what a filter or an `if` excludes
never meets the gradient: an excluded infinity times 0 does not arise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from lossdsl.build import Builder, conjuncts
from lossdsl.flow import passes_gradient
from lossdsl.formulas import write_out
from lossdsl.graph import REAL, Axis, Node, reachable, union
from lossdsl.scope import Along


class Adjoint(NamedTuple):
    """A gradient that counts where `where` holds, and is 0 elsewhere. Axes it lacks are axes along which it is constant."""

    value: Node
    where: Node | None = None


def gradients(graph: Builder, root: Node, leaves: Sequence[Node]) -> dict[Node, Node]:
    """The gradient of a scalar by each leaf, with the leaf's axes."""
    reverse = _Reverse(graph, root, leaves)
    return {leaf: reverse.gradient(leaf) for leaf in leaves}


class _Reverse:
    def __init__(self, graph: Builder, root: Node, leaves: Iterable[Node]) -> None:
        self.graph = graph
        self.adjoints: dict[Node, list[Adjoint]] = {root: [Adjoint(graph.constant(Fraction(1)))]}
        nodes = reachable([root])
        self.wanted = _leading_to(set(leaves), nodes)
        for node in reversed(nodes):
            if node in self.wanted and node in self.adjoints:
                self._visit(node)

    def gradient(self, leaf: Node) -> Node:
        if leaf not in self.adjoints:
            return self.graph.expand(self.graph.constant(Fraction(0)), leaf.axes)
        total = self._total(leaf)
        return self.graph.expand(self._applied(total), leaf.axes)

    def _visit(self, node: Node) -> None:
        self.graph.span = node.span
        adjoint = self._total(node)
        name = node.op.name
        if name in _STRUCTURE:
            _STRUCTURE[name](self, node, adjoint)
        elif node.op.family == "reduce":
            self._reduce(node, adjoint)
        elif node.op.family == "scan":
            self._scan(node, adjoint)
        else:
            self._elementwise(node, adjoint)

    def _total(self, node: Node) -> Adjoint:
        """The sum of what reaches a node; alike conditions are kept, others applied."""
        parts: dict[Node | None, list[Node]] = {}
        for adjoint in self.adjoints[node]:
            parts.setdefault(adjoint.where, []).append(adjoint.value)
        sums = [Adjoint(self.graph.add(*values), where) for where, values in parts.items()]
        sums = self._joined(sums)
        return sums[0] if len(sums) == 1 else self._united(sums)

    def _united(self, sums: list[Adjoint]) -> Adjoint:
        """The sum of adjoints under different conditions, which counts where one of the conditions holds."""
        parts = [conjuncts(a.where) if a.where is not None else () for a in sums]
        shared = [c for c in parts[0] if all(c in other for other in parts)]
        own = [self.graph.conjunction(c for c in part if c not in shared) for part in parts]
        values = [self._applied(Adjoint(a.value, w)) for a, w in zip(sums, own, strict=True)]
        where = self.graph.conjunction((*shared, self.graph.disjunction(own)))
        return Adjoint(self.graph.add(*values), None if where.is_constant else where)

    def _joined(self, sums: list[Adjoint]) -> list[Adjoint]:
        """Two gradients whose conditions differ in one that the other denies become one selection."""
        for first in sums:
            for second in sums:
                split = _denied(first.where, second.where)
                if split is not None:
                    common, condition = split
                    value = self.graph.select(condition, first.value, second.value)
                    where = self.graph.conjunction(common) if common else None
                    rest = [a for a in sums if a is not first and a is not second]
                    return self._joined([*rest, Adjoint(value, where)])
        return sums

    def _applied(self, adjoint: Adjoint) -> Node:
        if adjoint.where is None:
            return adjoint.value
        return self.graph.select(adjoint.where, adjoint.value, self.graph.constant(Fraction(0)))

    def _send(self, node: Node, argument: Node, adjoint: Adjoint) -> None:
        """Add to an argument's adjoint, summed over the axes that the argument does not have."""
        axes = union((node.axes, adjoint.value.axes, adjoint.where.axes if adjoint.where is not None else ()))
        self._receive(argument, adjoint, tuple(a for a in axes if a not in argument.axes))

    def _receive(self, argument: Node, adjoint: Adjoint, extra: tuple[Axis, ...]) -> None:
        """Add an adjoint, summed over `extra`. Where nothing at all was summed the sum does not count either."""
        if argument not in self.wanted:
            return
        if extra:
            adjoint = self._summed(argument, adjoint, extra)
        self.adjoints.setdefault(argument, []).append(adjoint)

    def _summed(self, argument: Node, adjoint: Adjoint, extra: tuple[Axis, ...]) -> Adjoint:
        parts = conjuncts(adjoint.where) if adjoint.where is not None else ()
        inside = [c for c in parts if set(c.axes) & set(extra)]
        outside = [c for c in parts if c not in inside]
        within = self.graph.conjunction(inside) if inside else None
        value = self.graph.reduce("sum", extra, adjoint.value, within)
        if within is not None and argument.op.name != "leaf":
            # The gradient goes on through the argument's own derivative, which may be infinite in a place
            # of which nothing was selected.
            over = tuple(a for a in extra if a in within.axes)
            outside.append(self.graph.reduce("any", over, within))
        return Adjoint(value, self.graph.conjunction(outside) if outside else None)

    def _also(self, where: Node | None, condition: Node) -> Node:
        return condition if where is None else self.graph.conjunction((where, condition))

    def _elementwise(self, node: Node, adjoint: Adjoint) -> None:
        for position, argument in enumerate(node.arguments):
            if argument not in self.wanted or argument.kind != REAL:
                continue
            partial = self._partial(node, position)
            if partial is None:
                continue
            self._send(node, argument, self._times(adjoint, partial))

    def _times(self, adjoint: Adjoint, partial: Node) -> Adjoint:
        """The chain rule; a partial that is 0 where its condition fails becomes a condition."""
        where = adjoint.where
        while partial.op.name == "select" and partial.arguments[2].is_constant and partial.arguments[2].value == 0:
            where = self._also(where, partial.arguments[0])
            partial = partial.arguments[1]
        return Adjoint(self.graph.mul(adjoint.value, partial), where)

    def _partial(self, node: Node, position: int) -> Node | None:
        if node.op.name == "add":
            return self.graph.constant(Fraction(1))
        if node.op.name == "mul":
            return self.graph.mul(*(a for i, a in enumerate(node.arguments) if i != position))
        assert node.op.partials is not None, node.op
        text = node.op.partials[min(position, len(node.op.partials) - 1)]
        return None if text is None else write_out(self.graph, text, dict(zip("xyzw", node.arguments, strict=False)))

    def _reduce(self, node: Node, adjoint: Adjoint) -> None:
        body = node.arguments[0]
        if body.kind != REAL or body not in self.wanted:
            return
        over = node.attributes[0]
        selection = node.arguments[1] if len(node.arguments) > 1 else None
        assert node.op.partials is not None, node.op
        assert node.op.partials[0] is not None, node.op
        along = {"K": Along(over.axes, selection, over.local)}
        partial = write_out(self.graph, node.op.partials[0], {"x": body, "r": node}, along)
        where = adjoint.where if selection is None else self._also(adjoint.where, selection)
        found = self._times(Adjoint(adjoint.value, where), partial)
        # A body that does not vary along the axis counts once for each place of it.
        axes = union((node.axes, over.axes, found.value.axes, found.where.axes if found.where is not None else ()))
        self._receive(body, found, tuple(a for a in axes if a not in body.axes))

    def _scan(self, node: Node, adjoint: Adjoint) -> None:
        body, over = node.arguments[0], node.attributes[0]
        given = self.graph.expand(self._applied(adjoint), node.axes)
        values = {"x": body, "r": node, "g": given}
        values |= {name: self.graph.constant(over.option(name, False)) for name in node.op.options}
        text, along = node.op.adjoint, {"K": Along(over.axes, None, over.local)}
        rows = self._left(adjoint.where, over.axes)
        found = self._times(Adjoint(self.graph.constant(Fraction(1)), rows), write_out(self.graph, text, values, along))
        self._send(node, body, found)

    def _left(self, where: Node | None, over: tuple[Axis, ...]) -> Node | None:
        """What is left of a condition for whole rows along axes: that it holds in some place of the row."""
        if where is None:
            return None
        parts = conjuncts(where)
        inside = [c for c in parts if set(c.axes) & set(over)]
        outside = [c for c in parts if c not in inside]
        if inside:
            within = self.graph.conjunction(inside)
            outside.append(self.graph.reduce("any", tuple(a for a in over if a in within.axes), within))
        return self.graph.conjunction(outside)

    def _select(self, node: Node, adjoint: Adjoint) -> None:
        condition, then, otherwise = node.arguments
        self._send(node, then, Adjoint(adjoint.value, self._also(adjoint.where, condition)))
        self._send(node, otherwise, Adjoint(adjoint.value, self._also(adjoint.where, self.graph.negation(condition))))

    def _rename(self, node: Node, adjoint: Adjoint) -> None:
        back = {new: old for old, new in node.attributes}
        where = adjoint.where
        if where is not None:
            # One by one: what does not have the axis stays what it is.
            where = self.graph.conjunction(self.graph.rename(c, back) for c in conjuncts(where))
        self._send(node.arguments[0], node.arguments[0], Adjoint(self.graph.rename(adjoint.value, back), where))

    def _pick(self, node: Node, adjoint: Adjoint) -> None:
        """Each place of the argument gets what was picked from it."""
        x, index = node.arguments
        axis: Axis = node.attributes[0]
        value, where = adjoint
        axes = node.axes
        if axis in index.axes:
            # The result's axis is another than the one picked from: give it a name of its own.
            copy = Axis(f"{axis.name}_", pack=axis.pack, base=axis, declared=True)
            swap = {axis: copy}
            value, index = self.graph.rename(value, swap), self.graph.rename(index, swap)
            where = self.graph.rename(where, swap) if where is not None else None
            axes = tuple(swap.get(a, a) for a in axes)
        picked = self.graph.compare("==", index, self.graph.index(axis))
        where = self._also(where, picked)
        self._receive(x, Adjoint(value, where), tuple(a for a in axes if a not in x.axes))

    def _pass(self, node: Node, adjoint: Adjoint) -> None:
        self._send(node, node.arguments[0], adjoint)

    def _scale(self, node: Node, adjoint: Adjoint) -> None:
        x, factor = node.arguments
        self._send(node, x, Adjoint(self.graph.mul(adjoint.value, factor), adjoint.where))

    def _stop(self, node: Node, adjoint: Adjoint) -> None:
        del node, adjoint


_STRUCTURE = {
    "select": _Reverse._select,
    "rename": _Reverse._rename,
    "pick": _Reverse._pick,
    "expand": _Reverse._pass,
    "outer": _Reverse._pass,
    "scale_gradient": _Reverse._scale,
    "stop": _Reverse._stop,
    "leaf": _Reverse._stop,
}


def _denied(first: Node | None, second: Node | None) -> tuple[list[Node], Node] | None:
    """The shared conditions, and the one of `first` whose negation is all that `second` has besides."""
    if first is None or second is None:
        return None
    a, b = conjuncts(first), conjuncts(second)
    only_a, only_b = [c for c in a if c not in b], [c for c in b if c not in a]
    if len(only_a) == len(only_b) == 1 and only_b[0].op.name == "not" and only_b[0].arguments[0] is only_a[0]:
        return [c for c in a if c in b], only_a[0]
    return None


def _leading_to(leaves: set[Node], nodes: list[Node]) -> set[Node]:
    """The nodes through which a gradient reaches one of the leaves."""
    wanted = set(leaves)
    for node in nodes:
        if any(a in wanted for a in passes_gradient(node)):
            wanted.add(node)
    return wanted
