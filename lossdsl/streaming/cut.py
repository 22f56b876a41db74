"""Each step of a schedule as a program of its own.

A piece has stand-ins for what it is given: the part of a value that belongs to a block, values that earlier steps have
computed, places along the axis of the blocks. What costs nothing is computed again where it is used, so that
the code of a piece still sees the forms that it has a good way to write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lossdsl.build import Builder
from lossdsl.graph import INT, Axis, Node, in_order, reachable
from lossdsl.ops import Leaf, Over
from lossdsl.ranges import NATURALS
from lossdsl.streaming.stages import Schedule, Sweep, Whole

GIVEN, KEPT, PLACES = "given", "kept", "places"


class Stand(NamedTuple):
    """Where a stand-in comes from."""

    kind: str
    """`given` by the caller, `kept` from an earlier step, or the `places` of a block along its axis."""
    name: str
    """The name of the leaf, or the key of the kept value."""
    cut: int | None = None
    """The dimension along which each block gets a part."""


@dataclass(eq=False)
class Piece:
    """The program of one step. Outputs are named by the keys of what is kept."""

    outputs: dict[str, Node]
    axes: dict[str, tuple[Axis, ...]]
    """The dimensions with which each output is kept: those along which it varies."""
    stands: dict[str, Stand]
    """By the name of the leaf that stands in the piece."""
    block: Axis | None = None
    """The axis of a block, of its own and shorter than the one it is a part of."""
    of: Axis | None = None
    totals: dict[str, str] = field(default_factory=dict)
    """How the blocks' results are combined, by output; the others are put one after the other."""


def cut(graph: Builder, schedule: Schedule, outputs: Mapping[str, Node]) -> list[Piece]:
    """The pieces that compute some outputs. The last one gives them their names, and all their axes."""
    return _Cutter(graph, schedule, {name: schedule.roots[node] for name, node in outputs.items()}).cut()


class _Cutter:
    def __init__(self, graph: Builder, schedule: Schedule, outputs: Mapping[str, Node]) -> None:
        self.graph = graph
        self.schedule = schedule
        self.held = schedule.held
        self.outputs = outputs
        self.nodes = reachable(outputs.values())
        self.asked: set[Node] = set()
        """What later pieces ask for."""
        names = {n.attributes[0].name for n in self.nodes if n.op.name == "leaf"}
        self.keys: dict[Node, str] = {}
        self._taken = names

    def cut(self) -> list[Piece]:
        # Backwards, since a piece keeps what later ones ask for.
        pieces = [_Writer(self, frozenset(), None).piece(self.outputs, {})]
        for step in reversed(self.schedule.steps):
            piece = self._sweep(step) if isinstance(step, Sweep) else self._whole(step)
            if piece.outputs:
                pieces.append(piece)
        return pieces[::-1]

    def key(self, node: Node) -> str:
        """The name under which a value is kept."""
        if node not in self.keys:
            self.keys[node] = self._fresh(f"{node.op.name}_{node.number}")
        return self.keys[node]

    def _fresh(self, wanted: str) -> str:
        name = wanted
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _whole(self, step: Whole) -> Piece:
        roots = [n for n in step.nodes if n in self.asked]
        writer = _Writer(self, frozenset(step.nodes), None)
        return writer.piece({self.key(n): n for n in roots}, {})

    def _sweep(self, step: Sweep) -> Piece:
        writer = _Writer(self, step.computed | set(step.totals), step.axis)
        totals = {self.key(n): n.op.name for n in step.totals}
        return writer.piece({self.key(n): n for n in (*step.rows, *step.totals)}, totals)


def _block(axis: Axis) -> Axis:
    """An axis of its own, which stands where the axis stands, so that values lie as they would in one piece."""
    order = axis.root.order + (axis.order - axis.root.order) / 2**32
    return Axis(axis.name, axis.pack, declared=axis.declared, order=order)


class _Writer:
    """Builds one piece."""

    def __init__(self, cutter: _Cutter, computed: frozenset[Node], axis: Axis | None) -> None:
        self.cutter = cutter
        self.graph = cutter.graph
        self.held = cutter.held
        self.computed = computed
        self.of = axis
        self.block = _block(axis) if axis is not None else None
        self.stands: dict[str, Stand] = {}
        self.done: dict[Node, Node] = {}

    def piece(self, roots: Mapping[str, Node], totals: dict[str, str]) -> Piece:
        for node in self._needed(roots.values()):
            self.done[node] = self._built(node)
        outputs = {name: self.done[r] for name, r in roots.items()}
        axes = {name: self._mapped(self._lying(r)) for name, r in roots.items()}
        return Piece(outputs, axes, self.stands, self.block, self.of, totals)

    def _needed(self, roots: Iterable[Node]) -> list[Node]:
        """Everything that stands in the piece, stand-ins included, arguments first."""
        seen: set[Node] = set()
        waiting = list(roots)
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                if self._is_written(node):
                    waiting.extend(node.arguments)
        return sorted(seen, key=lambda n: n.number)

    def _is_written(self, node: Node) -> bool:
        """Whether a node is computed in the piece."""
        return node in self.computed or self._is_cheap(node)

    def _is_cheap(self, node: Node) -> bool:
        """Whether computing a small value again costs nothing beside the large ones."""
        if node.op.name in ("leaf", "index", "size") or node in self.cutter.schedule.inside:
            return False
        if node.op.name in ("constant", "expand", "outer"):
            return True
        if self.of is None or node.op.family != "elementwise":
            return False
        return self.held[node] <= {self.of} or self._is_multiple(node)

    def _is_multiple(self, node: Node) -> bool:
        return node.op.name == "mul" and sum(not a.is_constant for a in node.arguments) == 1

    def _built(self, node: Node) -> Node:
        self.graph.span = node.span
        if node.op.name == "leaf":
            return self._leaf(node)
        if node.op.name == "index":
            return self._index(node)
        if not self._is_written(node):
            return self._kept(node)
        arguments = tuple(self.done[a] for a in node.arguments)
        return Builder.node(self.graph, node.op, arguments, self._attributes(node))

    def _leaf(self, node: Node) -> Node:
        leaf: Leaf = node.attributes[0]
        if self.of is None or self.of not in leaf.axes:
            self.stands[leaf.name] = Stand(GIVEN, leaf.name)
            return node
        stand = replace(leaf, name=f"{leaf.name}.block", axes=self._mapped(leaf.axes))
        self.stands[stand.name] = Stand(GIVEN, leaf.name, leaf.axes.index(self.of))
        return self._stood(stand)

    def _index(self, node: Node) -> Node:
        axis: Axis = node.attributes[0]
        if axis is not self.of:
            return node
        assert self.block is not None
        stand = Leaf(f"{axis.name}.places", "frozen", INT, (self.block,), NATURALS)
        self.stands[stand.name] = Stand(PLACES, axis.name, 0)
        return self._stood(stand)

    def _kept(self, node: Node) -> Node:
        """A stand-in for a value that an earlier step computes."""
        if node.op.name == "size":
            return node
        self.cutter.asked.add(node)
        axes = self._lying(node)
        key = self.cutter.key(node)
        sliced = self.of is not None and self.of in axes
        stand = Leaf(key, "frozen", node.kind, self._mapped(axes), node.range)
        self.stands[key] = Stand(KEPT, key, axes.index(self.of) if sliced and self.of is not None else None)
        return self.graph.expand(self._stood(stand), self._mapped(node.axes))

    def _lying(self, node: Node) -> tuple[Axis, ...]:
        """The dimensions with which a value is kept."""
        return in_order(a for a in node.axes if a in self.held[node])

    def _stood(self, leaf: Leaf) -> Node:
        from lossdsl.optable import OPS

        return Builder.node(self.graph, OPS["leaf"], (), (leaf,))

    def _mapped(self, axes: Iterable[Axis]) -> tuple[Axis, ...]:
        return tuple(self.block if a is self.of and self.block is not None else a for a in axes)

    def _attributes(self, node: Node) -> Iterator[object]:
        for attribute in node.attributes:
            if isinstance(attribute, Over):
                yield attribute._replace(axes=self._mapped(attribute.axes))
            elif isinstance(attribute, Axis):
                yield self._mapped((attribute,))[0]
            elif isinstance(attribute, tuple) and attribute and isinstance(attribute[0], Axis):
                yield self._mapped(attribute)
            else:
                yield attribute
