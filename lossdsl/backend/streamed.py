"""Running a program in blocks: small pieces once, large ones block after block, with room for one block's values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from lossdsl.backend.compiled import executed
from lossdsl.backend.inductor import graphs
from lossdsl.backend.pieces import Emitted, Extent, emit, kept, taken
from lossdsl.backend.source import LIKE
from lossdsl.bind import BoundProgram
from lossdsl.build import Builder
from lossdsl.graph import REAL, Axis, Node, reachable
from lossdsl.streaming.cut import GIVEN, KEPT, PLACES, Piece, cut
from lossdsl.streaming.stages import Schedule

Run = Callable[..., Any]


@dataclass(eq=False)
class Step:
    """A piece and how it runs."""

    emitted: Emitted
    run: Run
    done: frozenset[str]
    """What is kept no longer when the step is over."""
    beside: tuple[Extent, ...]
    """What is kept while the step runs: results of earlier steps, and its own."""
    fusing: Callable[[], Run]
    """Makes the function that is meant for inductor."""

    @cached_property
    def fast(self) -> Run:
        """The function through inductor; sizes that change are compiled for once more, and then for all."""
        return graphs(self.fusing())


@dataclass(eq=False)
class Streamed:
    """A program in blocks, called like the emitted function that it stands for."""

    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: list[Step]
    schedule: Schedule
    sizes_from: dict[Axis, tuple[str, int]]
    """Of which argument's dimension an axis has its size."""
    real: tuple[str, ...]
    """The arguments whose dtypes say in which dtype to compute."""
    fixed: Mapping[Axis, int]

    def sizes(self, tensors: Mapping[str, Tensor]) -> dict[Axis, int]:
        """The sizes of the axes of a call."""
        found = dict(self.fixed)
        for axis, (name, place) in self.sizes_from.items():
            found.setdefault(axis, tensors[name].shape[place])
        return found

    def peak(self, sizes: Mapping[Axis, int], rows: Mapping[Axis, int], wide: int) -> int:
        """The bytes of what the blocks hold at once at most beside the gradients, with `rows` places to a block."""
        last = self.steps[-1].emitted.piece
        gradients = [(axes, REAL) for name, axes in last.axes.items() if name.startswith("gradient of ")]
        given = taken(gradients, sizes, wide)
        return max(
            max(0, taken(step.beside, sizes, wide) - given)
            + step.emitted.peak({**sizes, piece.block: rows[piece.of]}, wide)
            for step in self.steps
            if (piece := step.emitted.piece).block is not None and piece.of is not None
        )

    def like(self, given: Mapping[str, Tensor]) -> Tensor:
        """An empty tensor of the dtype and device to compute with."""
        return torch.empty(0, dtype=self.dtype(given), device=next(iter(given.values())).device)

    def dtype(self, given: Mapping[str, Tensor]) -> torch.dtype:
        """The dtype to compute with."""
        dtype = torch.float32 if self.real else torch.get_default_dtype()
        for name in self.real:
            dtype = torch.promote_types(dtype, given[name].dtype)
        return dtype

    def run(self, tensors: Sequence[Tensor], rows: Mapping[Axis, int], *, fast: bool = False) -> tuple[Tensor, ...]:
        """The outputs, with as many places to a block of an axis as `rows` says."""
        given = dict(zip(self.arguments, tensors, strict=True))
        like, sizes = self.like(given), self.sizes(given)
        kept: dict[str, Tensor] = {}
        for step in self.steps:
            of = step.emitted.piece.of
            call = _Call(step, given, kept, like, fast, sizes[of.root] if of is not None else 0)
            kept.update(call.whole() if of is None else call.blocks(rows[of]))
            for key in step.done:
                kept.pop(key, None)
        return tuple(kept[name] for name in self.outputs)


@dataclass(eq=False)
class _Call:
    """One run of a piece."""

    step: Step
    given: Mapping[str, Tensor]
    kept: Mapping[str, Tensor]
    like: Tensor
    fast: bool
    size: int = 0
    """Of the axis of the blocks."""
    totals: dict[str, Tensor] = field(default_factory=dict)
    rows: dict[str, Tensor] = field(default_factory=dict)

    def whole(self) -> dict[str, Tensor]:
        piece = self.step.emitted.piece
        results = self._results(self.step.run, [self._source(n) for n in self.step.emitted.function.arguments])
        return dict(zip(piece.outputs, results, strict=True))

    def blocks(self, rows: int) -> dict[str, Tensor]:
        names = self.step.emitted.function.arguments
        sources = [self._source(n) for n in names]
        cuts = [s.cut if (s := self.step.emitted.piece.stands.get(n)) is not None else None for n in names]
        for start, length in _spans(self.size, rows):
            # A last block that is shorter is not worth another compilation.
            run = self.step.fast if self.fast and length == rows else self.step.run
            self._block(run, start, length, sources, cuts)
        return {**self.rows, **self.totals}

    def _block(self, run: Run, start: int, length: int, sources: Sequence[Tensor], cuts: Sequence[int | None]) -> None:
        piece, products = self.step.emitted.piece, self.step.emitted.products
        parts = [t if c is None else t.narrow(c, start, length) for t, c in zip(sources, cuts, strict=True)]
        results = iter(self._results(run, parts))
        for key in piece.outputs:
            found = next(results)
            if key in products:
                self._multiplied(key, found, next(results))
            elif key in piece.totals:
                before = self.totals.get(key)
                self.totals[key] = found if before is None else _combined(piece.totals[key], before, found)
            else:
                self._placed(key, found, start)

    def _results(self, run: Run, arguments: Sequence[Tensor]) -> tuple[Tensor, ...]:
        found = run(*arguments)
        return found if isinstance(found, tuple) else (found,)

    def _source(self, name: str) -> Tensor:
        if name == LIKE:
            return self.like
        stand = self.step.emitted.piece.stands.get(name)
        if stand is None or stand.kind == GIVEN:
            return self.given[name if stand is None else stand.name]
        if stand.kind == KEPT:
            return self.kept[stand.name]
        assert stand.kind == PLACES
        return torch.arange(self.size, device=self.like.device)

    def _placed(self, key: str, part: Tensor, start: int) -> None:
        """Put a block's part where it belongs."""
        piece = self.step.emitted.piece
        assert piece.block is not None
        place = piece.axes[key].index(piece.block)
        whole = self.rows.get(key)
        if whole is None:
            if part.shape[place] == self.size:
                self.rows[key] = part
                return
            shape = (*part.shape[:place], self.size, *part.shape[place + 1 :])
            whole = self.rows[key] = torch.empty(shape, dtype=part.dtype, device=part.device)
        whole.narrow(place, start, part.shape[place]).copy_(part)

    def _multiplied(self, key: str, left: Tensor, right: Tensor) -> None:
        """Add the product of a block's factors; the larger dimension is the first of what is held."""
        turned = left.shape[1] < right.shape[1]
        if turned:
            left, right = right, left
        dtype = self.like.dtype
        total = self.totals.get(key)
        if total is None:
            total = torch.zeros(left.shape[1], right.shape[1], dtype=dtype, device=left.device)
            self.totals[key] = total.T if turned else total
        elif turned:
            total = total.T
        if left.dtype is dtype and right.dtype is dtype:
            total.addmm_(left.T, right)
        elif left.device.type == "cuda":
            total += torch.mm(left.T, right.to(left.dtype), out_dtype=dtype)
        else:
            total.addmm_(left.to(dtype).T, right.to(dtype))


def _spans(size: int, rows: int) -> Iterator[tuple[int, int]]:
    """Where each block starts and how long it is; of nothing there is one empty block."""
    yield from ((start, min(rows, size - start)) for start in range(0, max(size, 1), max(rows, 1)))


def _combined(how: str, before: Tensor, found: Tensor) -> Tensor:
    """The reduction over two blocks from those over each."""
    return _COMBINE[how](before, found)


_COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "prod": torch.mul,
    "max": torch.maximum,
    "min": torch.minimum,
    "any": torch.logical_or,
    "all": torch.logical_and,
    "logsumexp": torch.logaddexp,
    "norm": torch.hypot,
}


def _executed(emitted: Emitted) -> Run:
    return executed([emitted.function], emitted.function.name)


def _fused(write: Callable[..., Emitted]) -> Run:
    return _executed(write(fused=True))


def _done(pieces: Sequence[Piece]) -> list[frozenset[str]]:
    """For each piece, what no later one needs."""
    later: set[str] = set()
    found: list[frozenset[str]] = []
    for piece in reversed(pieces):
        used = {s.name for s in piece.stands.values() if s.kind == KEPT}
        found.append(frozenset(used - later))
        later |= used
    return found[::-1]


def streamed(
    program: BoundProgram,
    graph: Builder,
    schedule: Schedule,
    outputs: Mapping[str, Node],
    arguments: tuple[str, ...],
    name: str,
    ranges: Mapping[Axis, tuple[int, int]],
    leaf_axes: Mapping[str, tuple[Axis, ...]],
) -> Streamed:
    """A program in blocks for some outputs."""
    pieces = cut(graph, schedule, outputs)
    steps: list[Step] = []
    added: set[str] = set()
    """What was added up in memory of its own, which nothing else shares."""
    held: dict[str, Extent] = {}
    for number, (piece, done) in enumerate(zip(pieces, _done(pieces), strict=True)):
        last = number == len(pieces) - 1
        write = partial(
            emit,
            piece,
            program,
            f"{name}_{number}",
            ranges,
            leaf_axes=leaf_axes if last else {},
            available=arguments,
            owned=done & added,
        )
        emitted = write()
        added |= emitted.products
        held |= kept(piece)
        fusing = partial(_fused, write)
        steps.append(Step(emitted, _executed(emitted), done, tuple(held.values()), fusing))
        held = {key: extent for key, extent in held.items() if key not in done}
    leaves = {d.name: d.leaf for d in program.declared}
    leaves |= {n.attributes[0].name: n.attributes[0] for n in reachable(outputs.values()) if n.op.name == "leaf"}
    sizes_from: dict[Axis, tuple[str, int]] = {}
    for argument in arguments:
        for place, axis in enumerate(leaves[argument].axes):
            sizes_from.setdefault(axis.root, (argument, place))
    real = [n for n in arguments if leaves[n].kind == "real"]
    inputs = [n for n in real if leaves[n].role in ("input", "frozen")] or real
    fixed = {a.root: max(0, last - first + 1) for a, (first, last) in ranges.items()}
    return Streamed(arguments, tuple(outputs), steps, schedule, sizes_from, tuple(inputs), fixed)
