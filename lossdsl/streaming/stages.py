"""In which order a program is computed when its large values are computed in blocks.

The large values that hang together form a group, and a group is computed in blocks along one axis that all of them have.
In a block everything can be computed that depends on that block alone: sums over the other axes, and what is made of
them for each place of the block. A sum over the axis itself is complete only when all blocks were seen, so what depends
on it has to wait for the next sweep, in which the large values are computed again.

Everything is computed as late as possible: what a sweep needs of large values it computes itself, and a sweep
before it only gives what needs all blocks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lossdsl.build import Builder
from lossdsl.graph import Axis, Node, reachable
from lossdsl.streaming.prepare import prepared
from lossdsl.streaming.varying import Varying, amplified, varying

COMBINES = frozenset(("sum", "max", "min", "any", "all", "logsumexp", "prod", "norm"))
"""Reductions whose result for several blocks follows from their results for each."""


_PRODUCT = 100
"""What a product of matrices costs beside an elementwise operation."""


class Prevented(Exception):
    """A program that cannot be computed in blocks along an axis, and the operation because of which."""

    def __init__(self, node: Node, axes: Sequence[Axis]) -> None:
        super().__init__(node.op.name)
        self.node = node
        self.axes = tuple(axes)


@dataclass(frozen=True)
class Whole:
    """A step in which small values are computed as they are."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Sweep:
    """A step that goes over the blocks of an axis."""

    axis: Axis
    computed: frozenset[Node]
    """What is computed in each block."""
    rows: tuple[Node, ...]
    """Values along the axis that are kept: each block gives its part."""
    totals: tuple[Node, ...]
    """Reductions over the axis: the results of the blocks are combined."""


Step = Whole | Sweep


@dataclass(frozen=True)
class Schedule:
    """The steps in their order. Sweeps between two whole steps do not depend on each other."""

    steps: tuple[Step, ...]
    roots: Mapping[Node, Node]
    """What stands for each root that was asked for."""
    large: frozenset[Node]
    inside: frozenset[Node]
    """What is computed in blocks."""
    held: Varying
    sweeps: int

    @property
    def work(self) -> tuple[int, int]:
        """By which schedules for the same roots are compared: sweeps, then the large values computed in all of them."""
        sweeps = [s for s in self.steps if isinstance(s, Sweep)]
        return self.sweeps, sum(
            _PRODUCT if n.op.family == "reduce" else 1 for s in sweeps for n in s.computed & self.large
        )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes along which there are blocks."""
        return tuple(dict.fromkeys(s.axis for s in self.steps if isinstance(s, Sweep)))


def schedules(graph: Builder, roots: Sequence[Node], computed: Container[Node]) -> list[Schedule]:
    """The ways to compute some roots in blocks, the least work first; none where no value is larger than what is given.

    `computed` are the nodes that code in one piece would hold: not the terms of a product of matrices, say. Raises
    Prevented where there is no way.
    """
    nodes = reachable(roots)
    held = varying(nodes)
    large = amplified(nodes, held)
    if not any(n in computed for n in large):
        return []
    found: list[Schedule] = []
    obstacle: Prevented | None = None
    for axes in _choices(_groups(large), held):
        try:
            found.append(_scheduled(graph, roots, axes))
        except Prevented as prevented:
            obstacle = obstacle or prevented
    if not found:
        raise obstacle or Prevented(large[0], ())
    return sorted(found, key=lambda s: s.work)


def _scheduled(graph: Builder, roots: Sequence[Node], axes: Sequence[Axis]) -> Schedule:
    """The steps with blocks along given axes."""
    written = prepared(graph, roots, axes)
    nodes = reachable(written.values())
    held = varying(nodes)
    groups = _groups(amplified(nodes, held))
    if len(set(axes)) == 1:
        axes = [axes[0]] * len(groups)
        for group in groups:
            for node in group:
                if axes[0] not in held[node]:
                    raise Prevented(node, (axes[0],))
    elif len(groups) != len(axes):
        raise Prevented(groups[0][0], axes)
    return _Stages(written, nodes, held, groups, axes).schedule()


def _groups(large: Sequence[Node]) -> list[list[Node]]:
    """Large values that are computed from each other."""
    leader = {node: node for node in large}

    def found(node: Node) -> Node:
        while leader[node] is not node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for node in large:
        for argument in node.arguments:
            if argument in leader:
                leader[found(argument)] = found(node)
    groups: dict[Node, list[Node]] = {}
    for node in large:
        groups.setdefault(found(node), []).append(node)
    return list(groups.values())


def _choices(groups: Sequence[Sequence[Node]], held: Varying) -> Iterator[list[Axis]]:
    """An axis for each group: one for all if there is one, else those that serve the most groups."""
    candidates = []
    for group in groups:
        common = frozenset.intersection(*(held[n] for n in group))
        wide = sorted((a for a in common if a.root.first is None), key=lambda a: a.order)
        if not wide:
            raise Prevented(min(group, key=lambda n: n.number), ())
        candidates.append(wide)
    everywhere = [a for a in candidates[0] if all(a in c for c in candidates)]
    if everywhere:
        yield from ([a] * len(groups) for a in everywhere)
        return
    served = {a: sum(a in c for c in candidates) for c in candidates for a in c}
    ranked = sorted(served, key=lambda a: (-served[a], a.order))
    yield [next(a for a in ranked if a in c) for c in candidates]
    for turn in range(1, max(map(len, candidates))):
        yield [c[turn % len(c)] for c in candidates]


def crosses(node: Node, axis: Axis) -> bool:
    """Whether a place of the node along the axis depends on other places of what it is made of."""
    if node.op.family in ("reduce", "scan"):
        return axis in node.attributes[0].axes
    if node.op.name == "rename":
        return any(axis in pair for pair in node.attributes)
    return node.op.name == "pick" and node.attributes[0] is axis


def _is_worth_keeping(node: Node) -> bool:
    """Whether a value made of large ones is better kept for a later sweep than computed again there.

    The largest of some values is compared with each of them: computed elsewhere, it could be off by a rounding.
    """
    return node.op.family in ("reduce", "scan", "structure") and node.op.name not in ("max", "min", "expand", "outer")


@dataclass
class _Stages:
    written: Mapping[Node, Node]
    nodes: Sequence[Node]
    held: Varying
    groups: Sequence[Sequence[Node]]
    axes: Sequence[Axis]
    inside: dict[Node, Axis] = field(default_factory=dict)
    """The nodes that are computed in blocks, and along which axis."""
    stage: dict[Node, int] = field(default_factory=dict)
    """How many sweeps must be over before a node can be computed."""
    latest: dict[Node, int] = field(default_factory=dict)
    """Before which sweep a node outside of blocks is needed."""
    asked: dict[Node, dict[Axis | None, int]] = field(default_factory=dict)
    """The same, for the blocks of each axis and for what is outside of blocks."""
    wanted: dict[Node, set[int]] = field(default_factory=dict)
    """In which sweeps a node inside of blocks is computed."""
    rows: dict[Node, int] = field(default_factory=dict)
    totals: dict[Node, int] = field(default_factory=dict)

    def schedule(self) -> Schedule:
        self.large = {n: axis for group, axis in zip(self.groups, self.axes, strict=True) for n in group}
        for node in self.nodes:
            self._place(node)
        roots = list(self.written.values())
        self.sweeps = max(self.stage[r] + (r in self.inside) for r in roots)
        for root in roots:
            self._need(root, root, self.sweeps)
        for node in reversed(self.nodes):
            self._demand(node)
        return Schedule(
            tuple(self._steps()), self.written, frozenset(self.large), frozenset(self.inside), self.held, self.sweeps
        )

    # Forwards: where a node can be computed, and how early

    def _place(self, node: Node) -> None:
        within = {self.inside[a] for a in node.arguments if a in self.inside}
        axis = self.large.get(node)
        if axis is None and len(within) == 1:
            (candidate,) = within
            axis = candidate if self._fits(node, candidate) else None
        elif axis is not None and crosses(node, axis):
            raise Prevented(node, (axis,))
        if axis is not None:
            self.inside[node] = axis
        if self._is_total(node) is not None:
            # Blocks need all of it before they give the last part.
            self.stage[node] = 1 + max(self.stage[a] for a in node.arguments)
        else:
            self.stage[node] = max((self._after(a, axis) for a in node.arguments), default=0)

    def _fits(self, node: Node, axis: Axis) -> bool:
        """Whether a small value is best computed in the blocks that its arguments are computed in."""
        if axis not in self.held[node] or crosses(node, axis):
            return False
        if any(a in self.large for a in node.arguments):
            return True
        # What has to wait for more than that is computed afterwards, from what the blocks have given.
        waits = [self.stage[a] for a in node.arguments if a not in self.inside]
        return max(waits, default=0) <= max(self.stage[a] for a in node.arguments if a in self.inside)

    def _after(self, argument: Node, axis: Axis | None) -> int:
        later = argument in self.inside and self.inside[argument] is not axis
        return self.stage[argument] + later

    def _is_total(self, node: Node) -> Axis | None:
        """The axis of the blocks whose results the node combines, if it does."""
        found = {self.inside[a] for a in node.arguments if a in self.inside}
        if not found or node in self.inside:
            return None
        (axis, *others) = found
        combines = node.op.family == "reduce" and node.op.name in COMBINES and axis in node.attributes[0].axes
        if combines and not others:
            return axis
        if any(a in self.large for a in node.arguments):
            raise Prevented(node, tuple(found))
        return None

    # Backwards: when a node is needed

    def _need(self, node: Node, user: Node, before: int) -> None:
        """A whole value is needed before a sweep."""
        if node not in self.inside:
            self.latest[node] = min(self.latest.get(node, before), before)
            asked = self.asked.setdefault(node, {})
            asker = self.inside.get(user)
            asked[asker] = min(asked.get(asker, before), before)
        elif node in self.large:
            raise Prevented(user, (self.inside[node],))
        else:
            self.rows[node] = min(self.rows.get(node, before - 1), before - 1)
            self.wanted.setdefault(node, set()).add(before - 1)

    def _moved_inside(self, node: Node) -> None:
        """Let blocks compute a value themselves that they are the first to need."""
        within = {self.inside[a] for a in node.arguments if a in self.inside}
        if node not in self.latest or len(within) != 1 or any(a in self.large for a in node.arguments):
            return
        (axis,) = within
        asked = self.asked[node]
        turn = asked.get(axis)
        if turn is None or axis not in self.held[node] or crosses(node, axis):
            return
        if all(before > turn for asker, before in asked.items() if asker is not axis):
            self.inside[node] = axis
            self.wanted[node] = {turn}
            del self.latest[node]
            if len(asked) > 1:
                self.rows[node] = turn

    def _demand(self, node: Node) -> None:
        self._moved_inside(node)
        if node in self.inside:
            turns = self.wanted.get(node)
            if not turns:
                return
            if node not in self.large and _is_worth_keeping(node):
                if len(turns) > 1:
                    self.rows[node] = min(turns)
                turns.intersection_update({min(turns)})
            for argument in node.arguments:
                if self.inside.get(argument) is self.inside[node]:
                    self.wanted.setdefault(argument, set()).update(turns)
                else:
                    self._need(argument, node, min(turns))
        elif node in self.latest:
            axis = self._is_total(node)
            before = self.latest[node]
            if axis is not None:
                self.totals[node] = before - 1
            for argument in node.arguments:
                if axis is None:
                    self._need(argument, node, before)
                elif argument in self.inside:
                    self.wanted.setdefault(argument, set()).add(before - 1)
                else:
                    self._need(argument, node, before - 1)

    def _steps(self) -> Iterator[Step]:
        for turn in range(self.sweeps + 1):
            whole = tuple(n for n in self.nodes if self.latest.get(n) == turn and n not in self.totals)
            if whole:
                yield Whole(whole)
            for axis in dict.fromkeys(self.axes):
                rows = self._of(self.rows, turn, axis)
                totals = self._of(self.totals, turn, axis)
                if rows or totals:
                    computed = {n for n, turns in self.wanted.items() if turn in turns and self.inside[n] is axis}
                    yield Sweep(axis, frozenset(computed), rows, totals)

    def _of(self, exports: Mapping[Node, int], turn: int, axis: Axis) -> tuple[Node, ...]:
        found: Iterable[Node] = (n for n, t in exports.items() if t == turn and self._axis(n) is axis)
        return tuple(sorted(found, key=lambda n: n.number))

    def _axis(self, node: Node) -> Axis | None:
        return self.inside.get(node) or next((self.inside[a] for a in node.arguments if a in self.inside), None)
