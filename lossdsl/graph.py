"""The program as a graph: frozen, interned, typed nodes.

Two nodes of a graph that compute the same thing are the same object, so equality is identity. A node knows its
axes, its kind and its range. Arguments are always made before what uses them, so ordering nodes by number is a
topological order and no traversal needs recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING, Any

from lossdsl.ranges import Interval
from lossdsl.source import Span

if TYPE_CHECKING:
    from lossdsl.ops import Op

REAL, INT, BOOL = "real", "int", "bool"


@dataclass(frozen=True, eq=False)
class Axis:
    """A named axis. Axes are equal only where they are the same object."""

    name: str
    pack: bool = False
    base: Axis | None = None
    """The axis that this one is a copy of (`axis P like B`)."""
    declared: bool = False
    """Whether an `axis` statement declares it: then combining it with others is meant."""
    first: Node | None = None
    """Where an `axis J in first..last` starts and ends."""
    last: Node | None = None
    order: float = field(default_factory=count().__next__)
    """The place of the declaration among all: axes of a value always stand in this order."""

    @property
    def root(self) -> Axis:
        """The axis that fixes the size."""
        axis = self
        while axis.base is not None:
            axis = axis.base
        return axis

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One operation on earlier nodes."""

    op: Op
    arguments: tuple[Node, ...]
    attributes: tuple[Any, ...]
    axes: tuple[Axis, ...]
    kind: str
    range: Interval
    span: Span | None
    number: int = field(compare=False)

    def __repr__(self) -> str:
        inside = [f"%{a.number}" for a in self.arguments] + [str(a) for a in self.attributes]
        return f"%{self.number} = {self.op.name}({', '.join(inside)})"

    @property
    def is_constant(self) -> bool:
        return self.op.name == "constant"

    @property
    def value(self) -> Fraction | float | bool:
        """The value of a constant."""
        assert self.is_constant
        result: Fraction | float | bool = self.attributes[0]
        return result


class GraphTooLarge(Exception):
    """The limit on nodes is reached."""


class Graph:
    """Makes and interns nodes."""

    def __init__(self, limit: int | None = None) -> None:
        self._interned: dict[tuple[Any, ...], Node] = {}
        self._limit = limit
        self.span: Span | None = None
        """The place given to the nodes made next."""

    def __len__(self) -> int:
        return len(self._interned)

    def node(self, op: Op, arguments: Sequence[Node] = (), attributes: Iterable[Any] = ()) -> Node:
        """The node for an operation; its type follows from the op's row."""
        arguments = tuple(sorted(arguments, key=_number)) if op.commutative else tuple(arguments)
        attributes = tuple(attributes)
        key = (op.name, arguments, attributes)
        found = self._interned.get(key)
        if found is None:
            if self._limit is not None and len(self._interned) >= self._limit:
                raise GraphTooLarge
            axes, kind, interval = op.type(arguments, attributes)
            found = Node(op, arguments, attributes, axes, kind, interval, self.span, len(self._interned))
            self._interned[key] = found
        return found

    def existing(self, op: Op, arguments: Sequence[Node], attributes: Iterable[Any] = ()) -> Node | None:
        """The node for an operation if it was made before."""
        arguments = tuple(sorted(arguments, key=_number)) if op.commutative else tuple(arguments)
        return self._interned.get((op.name, arguments, tuple(attributes)))


def _number(node: Node) -> int:
    return node.number


def reachable(roots: Iterable[Node]) -> list[Node]:
    """Every node that the roots need, arguments before users."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(node.arguments)
    return sorted(seen, key=_number)


def users(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each node, the nodes among `nodes` that take it as an argument."""
    result: dict[Node, list[Node]] = {}
    for node in nodes:
        result.setdefault(node, [])
        for argument in node.arguments:
            result.setdefault(argument, []).append(node)
    return result


def union(axes: Iterable[Sequence[Axis]]) -> tuple[Axis, ...]:
    """The axes of an elementwise result, in the order in which they were declared."""
    distinct = {axis for some in axes for axis in some}
    return tuple(distinct) if len(distinct) < 2 else tuple(sorted(distinct, key=_order))


def _order(axis: Axis) -> float:
    return axis.order


def in_order(axes: Iterable[Axis]) -> tuple[Axis, ...]:
    """The axes as dimensions stand: a copy stands beside the axis it copies, so that features stay last."""
    return tuple(sorted(set(axes), key=lambda a: (a.root.order, a.order)))
