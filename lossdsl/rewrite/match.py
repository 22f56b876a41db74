"""Matching patterns against nodes.

Sums and products are matched in any order. At the root of a pattern terms may be left over: the rule then replaces a
part of the sum. Further in, one bare metavariable may take all that is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lossdsl.build import Builder
from lossdsl.graph import Axis, Node
from lossdsl.ops import Leaf, Over
from lossdsl.scope import Along

# Longer sums are not searched for patterns: the search is quadratic.
_LONGEST = 24


@dataclass(frozen=True)
class Binding:
    """What the names and axes of a pattern stand for."""

    values: dict[str, Node] = field(default_factory=dict)
    along: dict[Axis, Along] = field(default_factory=dict)

    def with_value(self, name: str, node: Node) -> Binding | None:
        found = self.values.get(name)
        if found is not None:
            return self if found is node else None
        return Binding({**self.values, name: node}, self.along)

    def with_axes(self, axis: Axis, along: Along, *, filtered: bool) -> Binding | None:
        """Bind an axis; a pick or scan says nothing about the filter, a reduction does."""
        found = self.along.get(axis)
        if found is not None:
            if found.axes != along.axes or (filtered and found.filter is not along.filter):
                return None
            return self
        return Binding(self.values, {**self.along, axis: along})


def match_root(pattern: Node, node: Node, graph: Builder) -> Iterator[tuple[Binding, tuple[Node, ...]]]:
    """Every way to match a node, with the arguments of a sum or product that are left over."""
    if pattern.op is not node.op or len(node.arguments) > _LONGEST:
        return
    if pattern.op.arity is None:
        yield from _match_unordered(pattern.arguments, node.arguments, Binding(), graph)
        return
    for binding in _match(pattern, node, Binding(), graph):
        yield binding, ()


def _match(pattern: Node, node: Node, binding: Binding, graph: Builder) -> Iterator[Binding]:
    if is_metavariable(pattern):
        extended = binding.with_value(pattern.attributes[0].name, node)
        if extended is not None:
            yield extended
        return
    if pattern.op is not node.op:
        return
    if pattern.is_constant:
        if pattern.attributes == node.attributes:
            yield binding
        return
    if pattern.op.arity is None:
        yield from _match_whole(pattern, node, binding, graph)
        return
    start = _match_attributes(pattern, node, binding)
    if start is not None:
        yield from _match_arguments(pattern, node, start, graph)


def _match_arguments(pattern: Node, node: Node, binding: Binding, graph: Builder) -> Iterator[Binding]:
    wanted = pattern.arguments
    # The filter of a reduction belongs to the axes, not to the arguments.
    found = node.arguments[: len(wanted)]
    if pattern.op.commutative and len(wanted) == 2:
        orders: Sequence[tuple[Node, ...]] = (found, found[::-1])
    else:
        orders = (found,)
    for order in orders:
        states = [binding]
        for part, target in zip(wanted, order, strict=True):
            states = [after for before in states for after in _match(part, target, before, graph)]
        yield from states


def _match_attributes(pattern: Node, node: Node, binding: Binding) -> Binding | None:
    if not pattern.attributes:
        return binding
    first, found = pattern.attributes[0], node.attributes[0]
    if isinstance(first, Over):
        if first.options != found.options:
            return None
        reduces = node.op.family == "reduce"
        selection = node.arguments[1] if reduces and len(node.arguments) > 1 else None
        return binding.with_axes(first.axes[0], Along(found.axes, selection, found.local), filtered=reduces)
    if pattern.op.name in ("pick", "index"):
        return binding.with_axes(first, Along((found,)), filtered=False)
    return binding if pattern.attributes == node.attributes else None


def _match_whole(pattern: Node, node: Node, binding: Binding, graph: Builder) -> Iterator[Binding]:
    """A sum inside a pattern: nothing may be left over but for one bare metavariable, which takes it all."""
    if len(node.arguments) > _LONGEST:
        return
    collectors = [p for p in pattern.arguments if is_metavariable(p)]
    if collectors and len(node.arguments) > len(pattern.arguments):
        others = tuple(p for p in pattern.arguments if p is not collectors[-1])
        for found, left in _match_unordered(others, node.arguments, binding, graph):
            rest = graph.node(node.op, left)
            extended = found.with_value(collectors[-1].attributes[0].name, rest)
            if extended is not None:
                yield extended
        return
    if len(pattern.arguments) == len(node.arguments):
        for found, _ in _match_unordered(pattern.arguments, node.arguments, binding, graph):
            yield found


def _match_unordered(
    patterns: Sequence[Node], nodes: Sequence[Node], binding: Binding, graph: Builder
) -> Iterator[tuple[Binding, tuple[Node, ...]]]:
    if len(patterns) > len(nodes):
        return
    # The most particular parts first, so that metavariables take what is left.
    ordered = sorted(patterns, key=is_metavariable)
    yield from _assign(ordered, tuple(nodes), binding, graph)


def _assign(
    patterns: list[Node], nodes: tuple[Node, ...], binding: Binding, graph: Builder
) -> Iterator[tuple[Binding, tuple[Node, ...]]]:
    if not patterns:
        yield binding, nodes
        return
    for position, node in enumerate(nodes):
        for extended in _match(patterns[0], node, binding, graph):
            yield from _assign(patterns[1:], nodes[:position] + nodes[position + 1 :], extended, graph)


def ingredients(arguments: Iterable[Node]) -> frozenset[str]:
    """What arguments are made of, to see at a glance which patterns they cannot match.

    The name of each operation, twice marked where it stands twice, and each constant by its value.
    """
    found: set[str] = set()
    for node in arguments:
        name = f"{node.op.name} {node.attributes[0]}" if node.is_constant else node.op.name
        found.add(f"{name} again" if name in found else name)
    return frozenset(found)


def is_metavariable(node: Node) -> bool:
    if node.op.name != "leaf":
        return False
    leaf: Leaf = node.attributes[0]
    return leaf.role == "metavariable"
