"""The meaning of a graph: each node evaluated as its row and its attributes say, and nothing clever.

Every value is an array whose dimensions are the axes of its node, in their order. What a filter or an `if`
leaves out is not looked at, so not even a NaN there counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import mpmath
import numpy as np

from lossdsl.graph import BOOL, INT, REAL, Axis, Node, reachable
from lossdsl.ops import Leaf
from lossdsl.reference.numbers import Digits, Floats, Numbers, Value

GIVES_INDEX = ("argmax", "argmin", "argsort")
"""The operations whose result counts as the axis counts, as an index into it does."""


@dataclass(frozen=True)
class Rounding:
    """Rounds mpmath's numbers to so many binary digits: up or down, as chance has it, where they have more."""

    bits: int
    chance: Random

    def one(self, x: Any) -> Any:
        return mpmath.fadd(x, 0, prec=self.bits, rounding=self.chance.choice("ud"))

    def all(self, array: Value) -> Value:
        result = np.empty(array.shape, dtype=object)
        for place in np.ndindex(array.shape):
            result[place] = self.one(array[place])
        return result


@dataclass(frozen=True)
class Environment:
    """What a graph is evaluated on."""

    leaves: Mapping[Leaf, Value]
    """For each leaf an array with a dimension for each axis, in declared order; a pack is one dimension."""
    sizes: Mapping[Axis, int]
    """The size of each axis that is not a range or a copy of another."""
    precision: int | None = None
    """Decimal digits, worked with in mpmath; None for float64."""
    rounding: Rounding | None = None
    """How each result is rounded; None where it keeps all digits that it is worked with."""

    @property
    def numbers(self) -> Numbers:
        return Floats() if self.precision is None else Digits(self.precision)

    def size(self, axis: Axis) -> int:
        root = axis.root
        if root.first is None or root.last is None:
            return self.sizes[root]
        return max(0, self._whole(root.last) - self._whole(root.first) + 1)

    def first(self, axis: Axis) -> int:
        """The number of the first place along an axis."""
        return 0 if axis.root.first is None else self._whole(axis.root.first)

    def _whole(self, bound: Node) -> int:
        return int(evaluate([bound], replace(self, precision=None))[bound])

    def shape(self, axes: Sequence[Axis]) -> tuple[int, ...]:
        return tuple(self.size(a) for a in axes)


def evaluate(nodes: Sequence[Node], environment: Environment) -> dict[Node, Value]:
    """The values of the nodes and of everything that they are made from."""
    run = _Run(environment)
    with environment.numbers.working():
        for node in reachable(nodes):
            run.values[node] = run.value(node)
    return run.values


def aligned(value: Value, axes: Sequence[Axis | None], onto: Sequence[Axis | None]) -> Value:
    """A view of a value with `axes` in the order of `onto`, and a dimension of one for each that it lacks."""
    turned = value.transpose([axes.index(a) for a in onto if a in axes])
    return turned[(*(slice(None) if a in axes else None for a in onto), ...)]


def spread(value: Value, axes: Sequence[Axis], onto: Sequence[Axis], environment: Environment) -> Value:
    """A value repeated along the axes that it lacks."""
    return np.broadcast_to(aligned(value, axes, onto), environment.shape(onto))


def flattened(
    value: Value, axes: Sequence[Axis], kept: Sequence[Axis], over: Sequence[Axis], environment: Environment
) -> Value:
    """A value with the axes `kept` first and `over` as one last dimension, the last of them fastest."""
    whole = spread(value, axes, (*kept, *over), environment)
    return whole.reshape((*environment.shape(kept), int(np.prod(environment.shape(over), dtype=int))))


def picked(node: Node, value: Value, index: Value, environment: Environment, nothing: Any) -> Value:
    """The elements of `value` at `index`, and `nothing` where the index lies outside of the axis."""
    x, at = node.arguments
    (axis,) = node.attributes
    # The axis may be one of the result's too, as in a shift: in the value it is the nameless last one.
    rows = aligned(value, [None if a is axis else a for a in x.axes], (*node.axes, None))
    shape, size = environment.shape(node.axes), environment.size(axis)
    if size == 0:
        return np.broadcast_to(np.asarray(nothing), shape)
    places = np.asarray(spread(index, at.axes, node.axes, environment) - environment.first(axis))
    inside = np.asarray((places >= 0) & (places < size), dtype=bool)
    found = np.where(inside, places, 0).astype(np.int64)
    result = np.take_along_axis(np.broadcast_to(rows, (*shape, size)), found[..., None], axis=-1)[..., 0]
    chosen: Value = np.where(inside, result, nothing)
    return chosen


class _Run:
    """One evaluation."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.numbers = environment.numbers
        self.values: dict[Node, Value] = {}

    def value(self, node: Node) -> Value:
        rule = _RULES.get(node.op.name) or _FAMILIES[node.op.family]
        found = self.numbers.settled(np.asarray(rule(self, node)), node.kind)
        rounding = self.environment.rounding
        return found if rounding is None or node.kind != REAL else rounding.all(found)

    def _argument(self, node: Node, position: int) -> Value:
        """An argument; a condition that an operation takes for a number counts as 0 or 1."""
        argument = node.arguments[position]
        value = self.values[argument]
        takes = node.op.takes[min(position, len(node.op.takes) - 1)]
        if argument.kind == BOOL and node.kind != BOOL and takes != BOOL:
            return self.numbers.settled(value.astype(np.int64), INT)
        return value

    # Leaves

    def leaf(self, node: Node) -> Value:
        leaf: Leaf = node.attributes[0]
        return aligned(self.environment.leaves[leaf], leaf.axes, node.axes)

    def constant(self, node: Node) -> Value:
        return self.numbers.constant(node.value)

    def index(self, node: Node) -> Value:
        (axis,) = node.attributes
        return np.arange(self.environment.size(axis)) + self.environment.first(axis)

    def size(self, node: Node) -> Value:
        return np.array(self.environment.size(node.attributes[0]))

    # Structure

    def same(self, node: Node) -> Value:
        return spread(self._argument(node, 0), node.arguments[0].axes, node.axes, self.environment)

    def rename(self, node: Node) -> Value:
        new_of = dict(node.attributes)
        renamed = [new_of.get(a, a) for a in node.arguments[0].axes]
        return aligned(self.values[node.arguments[0]], renamed, node.axes)

    def pick(self, node: Node) -> Value:
        value, index = (self.values[a] for a in node.arguments)
        nothing = self.numbers.settled(np.array(np.nan if node.kind not in (INT, BOOL) else 0), node.kind)
        return picked(node, value, index, self.environment, nothing[()])

    # Families

    def elementwise(self, node: Node) -> Value:
        arguments = [aligned(self._argument(node, i), a.axes, node.axes) for i, a in enumerate(node.arguments)]
        return np.broadcast_to(
            self.numbers.elementwise(node.op, arguments, node.kind), self.environment.shape(node.axes)
        )

    def reduce(self, node: Node) -> Value:
        over: tuple[Axis, ...] = node.attributes[0].axes
        shape = self.environment.shape(node.axes)
        rows = self._rows(node, 0, over)
        if len(node.arguments) == 1:
            if rows.shape[-1] == 0:
                return np.broadcast_to(self._nothing(node), shape)
            return self.numbers.reduced_rows(node.op, rows) + self._offset(node, over)
        selected = self._rows(node, 1, over)
        result = np.empty(shape, dtype=object)
        for place in np.ndindex(shape):
            result[place] = self._selected(node, rows[place], np.flatnonzero(selected[place]), over)
        return result

    def _selected(self, node: Node, row: Value, places: Value, over: tuple[Axis, ...]) -> object:
        """A reduction of the selected places of one row: the others are not even looked at."""
        if len(places) == 0:
            return self._nothing(node)[()]
        result = self.numbers.reduced(node.op, row[places])
        return int(places[result]) + self._offset(node, over) if node.op.name in GIVES_INDEX else result

    def _nothing(self, node: Node) -> Value:
        """A reduction of nothing: the neutral value, or none."""
        neutral = node.op.neutral
        return self.numbers.constant(float("nan") if neutral is None else neutral)

    def _offset(self, node: Node, over: tuple[Axis, ...]) -> int:
        """Several axes as one are numbered from 0, one axis as it is declared."""
        return self.environment.first(over[0]) if node.op.name in GIVES_INDEX and len(over) == 1 else 0

    def _rows(self, node: Node, position: int, over: tuple[Axis, ...]) -> Value:
        kept = tuple(a for a in node.axes if a not in over)
        argument = node.arguments[position]
        return flattened(self._argument(node, position), argument.axes, kept, over, self.environment)

    def scan(self, node: Node) -> Value:
        over = node.attributes[0]
        kept = tuple(a for a in node.axes if a not in over.axes)
        rows = [self._rows(node, i, over.axes) for i in range(len(node.arguments))]
        if rows[0].size == 0:
            return np.zeros(self.environment.shape(node.axes))
        options = dict(over.options)
        result = self.numbers.scanned(node.op, rows, options) + self._offset(node, over.axes)
        whole = result.reshape(self.environment.shape((*kept, *over.axes)))
        return aligned(whole, (*kept, *over.axes), node.axes)


_RULES: dict[str, Callable[[_Run, Node], Value]] = {
    "leaf": _Run.leaf,
    "constant": _Run.constant,
    "index": _Run.index,
    "size": _Run.size,
    "rename": _Run.rename,
    "expand": _Run.same,
    "pick": _Run.pick,
    "stop": _Run.same,
    "outer": _Run.same,
    "scale_gradient": _Run.same,
}

_FAMILIES: dict[str, Callable[[_Run, Node], Value]] = {
    "elementwise": _Run.elementwise,
    "reduce": _Run.reduce,
    "scan": _Run.scan,
}
