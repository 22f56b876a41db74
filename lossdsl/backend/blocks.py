"""Whether a call runs in blocks, and how long they are: so that what is held at once fits a budget of memory."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from lossdsl.backend.amounts import shown
from lossdsl.backend.autograd import Key
from lossdsl.backend.choice import through_inductor
from lossdsl.backend.compiled import Compiled, Ready
from lossdsl.backend.forms import forms
from lossdsl.backend.guards import InputError
from lossdsl.backend.large import extents, larger
from lossdsl.backend.likely import likely
from lossdsl.backend.streamed import Streamed, streamed
from lossdsl.graph import REAL, Axis, Node, in_order
from lossdsl.lower import Lowered
from lossdsl.streaming.stages import Prevented, Schedule, schedules

STREAM_FROM = 2**28
"""Bytes of the values of a loss beside its inputs from which blocks pay, where no budget is given."""
BLOCK = {"cpu": 3 * 2**24}
"""The bytes that a block's values take together where memory is plenty: longer blocks are not faster."""
_BLOCK_ELSEWHERE = 2**30
LONG = 256
"""Places of a block from which reading a whole factor again for each block costs little; for them a block may be twice as large."""
SMALL = 4
"""The part of what one piece takes that a block may take where shorter ones mean more work, as one over this."""
_BYTES_EACH = 64
"""No loss holds more bytes for each place of its largest value: sizes beyond doubt are told by this."""
_MOST = 64
"""Kinds of calls whose plans are kept."""
_SHARE = 2
"""The part of a device's free memory that is used, as one over this."""


@dataclass(frozen=True)
class Plan:
    """How one call runs in blocks."""

    streamed: Streamed
    rows: Mapping[Axis, int]
    peak: int
    """The bytes held at once beside inputs and results, as estimated."""
    dense: int
    """The same in one piece."""
    elements: int
    """Of the largest value of a block."""
    large: tuple[tuple[Axis, ...], ...]
    """The axes of the values that are larger than all inputs."""


class Blocks:
    """The programs in blocks of one compiled loss, made when they are first needed."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self._ways: dict[Key, list[Schedule] | Prevented] = {}
        self._made: dict[tuple[Key, int], Streamed] = {}
        self._extents: dict[Key, list[tuple[Axis, ...]]] = {}
        self._plans: dict[object, Plan | None] = {}
        self._warned = False

    def plan(self, key: Key, tensors: Mapping[str, Tensor], budget: int | None) -> Plan | None:
        """How a call runs in blocks; None where it runs in one piece, which is then small, or cannot be cut."""
        extents = self.extents(key)
        if not extents:
            return None
        ready = self.ready(key).function.arguments
        kind = (key, budget, *((t.shape, t.dtype, t.device) for t in (tensors[n] for n in ready)))
        if kind not in self._plans:
            if len(self._plans) >= _MOST:
                self._plans.clear()
            self._plans[kind] = self._planned(key, extents, {n: tensors[n] for n in ready}, budget)
        return self._plans[kind]

    def _planned(
        self, key: Key, extents: Sequence[tuple[Axis, ...]], given: Mapping[str, Tensor], budget: int | None
    ) -> Plan | None:
        least = STREAM_FROM if budget is None else budget
        sizes = sizes_of(self.compiled, given)
        largest = max(prod(sizes.get(a.root, 1) for a in axes) for axes in extents)
        if largest * _BYTES_EACH < least:
            return None
        ways = self.ways(key)
        if isinstance(ways, Prevented):
            self._refuse(ways, largest * like_size(self.compiled, given), least, budget)
            return None
        allowed = budget if budget is not None else _room(next(iter(given.values())).device)
        first, name = self._program(key, 0), self.compiled.program.name
        like = first.like(given)
        if _peak(first, sizes, _whole(first, sizes), like) <= least:
            return None
        # The way with the least work may need long blocks: a pair of whole sequences, say.
        wide = allowed if budget is not None else max(allowed, self._spare(first, sizes, given))
        ordered = (self._program(key, number) for number in range(len(ways)))
        made = next((p for p in ordered if _least(p, sizes, like) <= wide), first)
        whole = _whole(made, sizes)
        dense, least = _peak(made, sizes, whole, like), _least(made, sizes, like)
        rows = _rows(made, sizes, whole, like, allowed if budget is not None else max(allowed, least), name)
        if budget is None and least <= allowed and max(rows.values()) < LONG:
            longer = _rows(made, sizes, whole, like, 2 * allowed, name)
            rows = {axis: min(n, _even(sizes[axis.root], LONG)) for axis, n in longer.items()}
        large = tuple(dict.fromkeys(in_order(axes) for axes in extents))
        return Plan(made, rows, _peak(made, sizes, rows, like), dense, _elements(made, sizes, rows), large)

    def _spare(self, first: Streamed, sizes: Mapping[Axis, int], given: Mapping[str, Tensor]) -> int:
        """The bytes that a block may take where that saves work: little beside one piece, and beside what is free."""
        dense = _peak(first, sizes, _whole(first, sizes), first.like(given))
        return min(dense // SMALL, _free(next(iter(given.values())).device) // _SHARE)

    def _refuse(self, prevented: Prevented, size: int, least: int, budget: int | None) -> None:
        """Say that a large loss runs in one piece, and why; refuse it where a budget was given."""
        if size <= least:
            return
        name = self.compiled.program.name
        if budget is not None:
            raise InputError(f"`{name}` cannot run within {budget:,} bytes: {described(prevented)}")
        self._warn(described(prevented))

    def say_held(self, key: Key, tensors: Mapping[str, Tensor], why: str, budget: int | None) -> None:
        """Say that what runs in one piece here would elsewhere run in blocks; refuse it where a budget was given."""
        if not self.extents(key):
            return
        given = {n: likely(tensors[n]) for n in self.ready(key).function.arguments}
        with _disable_current_modes():
            plan = self.plan(key, given, budget)
        if plan is None:
            return
        name = self.compiled.program.name
        told = f"it runs in one piece {why}, where {larger(plan.large)} and take {shown(plan.dense)}"
        if budget is not None:
            raise InputError(f"`{name}` cannot run within {budget:,} bytes: {told}")
        self._warn(told)

    def _warn(self, told: str) -> None:
        """Once for each module."""
        if not self._warned:
            self._warned = True
            warnings.warn(f"lossdsl: `{self.compiled.program.name}` holds large values: {told}", stacklevel=7)

    def dense(self, key: Key, given: Mapping[str, Tensor]) -> int:
        """The bytes that a call in one piece holds at once, as estimated."""
        sizes = sizes_of(self.compiled, given)
        made = self.made(key) if self.extents(key) else None
        if isinstance(made, Streamed):
            return _peak(made, sizes, _whole(made, sizes), made.like(given))
        largest = max((prod(sizes.get(n, 1) for n in e) for e in self._named(key)), default=0)
        return largest * like_size(self.compiled, given)

    def _named(self, key: Key) -> list[list[Axis]]:
        """The axes of the largest values of the code in one piece."""
        roots = {a.name: a.root for axes in self.compiled.program.axes.values() for a in axes}
        return [[roots[n] for n in names if n in roots] for names in self.ready(key).function.elements]

    def extents(self, key: Key) -> list[tuple[Axis, ...]]:
        """The axes of the values that are larger than all that is given."""
        if key not in self._extents:
            self._extents[key] = extents(self.outputs(key)[1].values())
        return self._extents[key]

    def ways(self, key: Key) -> list[Schedule] | Prevented:
        """The ways to run in blocks, the least work first, or what prevents it; none where nothing is large."""
        if key not in self._ways:
            low, outputs = self.outputs(key)
            try:
                computed = frozenset(forms(outputs.values()).order)
                self._ways[key] = schedules(low.graph, list(outputs.values()), computed)
            except Prevented as prevented:
                self._ways[key] = prevented
        return self._ways[key]

    def made(self, key: Key) -> Streamed | Prevented | None:
        """The program in blocks with the least work, None where nothing is large, or what prevents it."""
        ways = self.ways(key)
        if isinstance(ways, Prevented):
            return ways
        return self._program(key, 0) if ways else None

    def _program(self, key: Key, number: int) -> Streamed:
        if (key, number) not in self._made:
            ways = self.ways(key)
            assert isinstance(ways, list)
            self._made[key, number] = self._streamed(key, ways[number])
        return self._made[key, number]

    def outputs(self, key: Key) -> tuple[Lowered, dict[str, Node]]:
        """What a kind of call computes, by name, and the program it is of."""
        wanted, logged, updates, through = key
        compiled = self.compiled
        low = compiled.lowered if wanted else compiled.forward_only
        if through:
            low = compiled.through_terms(through)
        alone = through or (wanted and compiled.per_item is not None)
        outputs = {} if alone else compiled._outputs(low, logged=logged, updates=updates)
        return low, outputs | {f"gradient of {n}": low.gradients[n] for n in wanted}

    @property
    def leaf_axes(self) -> dict[str, tuple[Axis, ...]]:
        """The axes of outputs that are shaped as what is declared, by name."""
        declared = self.compiled.program.declared
        return {f"{what} {d.name}": d.leaf.axes for d in declared for what in ("gradient of", "update")}

    def ready(self, key: Key) -> Ready:
        """The function in one piece."""
        wanted, logged, updates, through = key
        if through:
            return self.compiled.term_gradients(wanted, through)
        if wanted:
            return self.compiled.gradients(wanted, logged=logged, updates=updates)
        return self.compiled.values(logged=logged, updates=updates)

    def _streamed(self, key: Key, steps: Schedule) -> Streamed:
        low, outputs = self.outputs(key)
        compiled = self.compiled
        program = compiled.program
        arguments = self.ready(key).function.arguments
        return streamed(program, low.graph, steps, outputs, arguments, program.name, compiled.ranges, self.leaf_axes)


def described(prevented: Prevented) -> str:
    """Which operation keeps a loss in one piece."""
    node = prevented.node
    name = node.op.name
    if not prevented.axes:
        axes = ", ".join(f"`{a.name}`" for a in in_order(node.axes))
        return f"it runs in one piece, as there is no axis that all its large values have ({name} over {axes}{_line(node)})"
    axes = ", ".join(f"`{a.name}`" for a in prevented.axes)
    return f"it runs in one piece, as `{name}`{_line(node)} needs all of {axes} at once"


def _line(node: Node) -> str:
    if node.span is None:
        return ""
    return f" in line {node.span.source.position(node.span.start)[0]}"


def like_size(compiled: Compiled, given: Mapping[str, Tensor]) -> int:
    """The bytes of a number that the loss computes with."""
    real = [given[d.name].element_size() for d in compiled.program.declared if d.leaf.kind == REAL and d.name in given]
    return max([4, *real])


def sizes_of(compiled: Compiled, given: Mapping[str, Tensor]) -> dict[Axis, int]:
    """The sizes of the axes of a call."""
    found = {a.root: max(0, last - first + 1) for a, (first, last) in compiled.ranges.items()}
    for declared in compiled.program.declared:
        if declared.name in given:
            for axis, size in zip(declared.leaf.axes, given[declared.name].shape, strict=True):
                found.setdefault(axis.root, size)
    return found


@dataclass(eq=False)
class Runner:
    """Runs one kind of call, in blocks where it is large; called like the emitted function."""

    blocks: Blocks
    key: Key
    budget: int | None
    backend: str | None

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        plan = self.plan(tensors)
        if plan is None:
            return self.whole(tensors)
        fast = through_inductor(self.backend, plan.elements, tensors[0].device)
        return plan.streamed.run(tensors, plan.rows, fast=fast)

    def plan(self, tensors: Sequence[Tensor]) -> Plan | None:
        """How a call runs in blocks, if it does."""
        arguments = self.blocks.ready(self.key).function.arguments
        return self.blocks.plan(self.key, dict(zip(arguments, tensors, strict=True)), self.budget)

    def whole(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """A call in one piece."""
        found = self.blocks.ready(self.key).run(*tensors)
        return found if isinstance(found, tuple) else (found,)


def _peak(made: Streamed, sizes: Mapping[Axis, int], rows: Mapping[Axis, int], like: Tensor) -> int:
    """The bytes of what the blocks hold at once at most."""
    return made.peak(sizes, rows, like.element_size())


def _least(made: Streamed, sizes: Mapping[Axis, int], like: Tensor) -> int:
    """The same with blocks of one place."""
    return _peak(made, sizes, dict.fromkeys(made.schedule.axes, 1), like)


def _whole(made: Streamed, sizes: Mapping[Axis, int]) -> dict[Axis, int]:
    """One block of everything."""
    return {axis: sizes[axis.root] for axis in made.schedule.axes}


def _elements(made: Streamed, sizes: Mapping[Axis, int], rows: Mapping[Axis, int]) -> int:
    return max(
        step.emitted.largest({**sizes, piece.block: rows[piece.of]})
        for step in made.steps
        if (piece := step.emitted.piece).block is not None and piece.of is not None
    )


def _rows(
    made: Streamed,
    sizes: Mapping[Axis, int],
    whole: Mapping[Axis, int],
    like: Tensor,
    allowed: int,
    name: str,
) -> dict[Axis, int]:
    """As many places to a block as fit. All sweeps along an axis take the same, so that they see the same values."""
    shares = 1.0
    least = _least(made, sizes, like)
    if least > allowed:
        axes = ", ".join(f"`{a.name}`" for a in whole)
        raise InputError(
            f"`{name}` cannot run within {allowed:,} bytes: blocks of one place along {axes} hold {least:,} bytes"
        )
    rows = dict(whole)
    while _peak(made, sizes, rows, like) > allowed:
        shares /= 2
        rows = {a: max(1, int(n * shares)) for a, n in whole.items()}
    low, high = shares, min(1.0, 2 * shares)
    for _ in range(8):
        middle = (low + high) / 2
        rows = {a: max(1, int(n * middle)) for a, n in whole.items()}
        low, high = (middle, high) if _peak(made, sizes, rows, like) <= allowed else (low, middle)
    return {a: _even(n, max(1, int(n * low))) for a, n in whole.items()}


def _even(size: int, rows: int) -> int:
    """Blocks of nearly the same length, in whole groups of sixteen where they are long."""
    count = -(-size // rows)
    rows = -(-size // count)
    return rows // 16 * 16 if rows > 64 and size % rows else rows


def _room(device: torch.device) -> int:
    """The bytes that blocks may take where no budget is given."""
    kind = device.type if device.type != "meta" or torch.cuda.is_available() else "cpu"
    wanted = BLOCK.get(kind, _BLOCK_ELSEWHERE)
    return min(wanted, max(_free(device) // _SHARE, 2**20))


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _free_on_cpu()


def _free_on_cpu() -> int:
    """The memory that is available, where the system says so."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 2**62
