"""Pieces of a program as torch source: functions of one block, which let go of large values when they are done.

A sum over the blocks that is a product of two matrices is left to the caller, as the two matrices: it can add the
product to what it has without holding it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from lossdsl.backend.contraction import matrices
from lossdsl.backend.emit import Emitter
from lossdsl.backend.forms import products as work
from lossdsl.backend.kinds import Reduction
from lossdsl.backend.source import Function, Writer
from lossdsl.backend.text import Value, aligned
from lossdsl.backend.torch_ops import ATOM, COMPARE
from lossdsl.bind import BoundProgram
from lossdsl.graph import BOOL, INT, REAL, Axis, Node
from lossdsl.streaming.cut import Piece

Extent = tuple[tuple[Axis, ...], str]
"""The axes and the kind of a value, which say how much memory it takes."""


@dataclass(frozen=True)
class Emitted:
    """A piece in source. An output that is a product stands as two outputs, its factors."""

    piece: Piece
    function: Function
    products: frozenset[str]
    """The outputs that are products."""
    states: tuple[tuple[Extent, ...], ...]
    """What is held at the same time, for each line."""
    work: tuple[tuple[Axis, ...], ...]
    """The axes over which each product of matrices runs."""

    def peak(self, sizes: Mapping[Axis, int], wide: int) -> int:
        """The bytes of what is held at once at most, for given sizes of axes and of real numbers."""
        return max((taken(state, sizes, wide) for state in self.states), default=0)

    def largest(self, sizes: Mapping[Axis, int]) -> int:
        """The number of places of the largest value."""
        extents = {axes for state in self.states for axes, _ in state}
        return max((prod(sizes.get(a, sizes.get(a.root, 1)) for a in axes) for axes in extents), default=0)


_INSIDE = {"distances": (6, 0), "squared_distances": (6, 0), "pull": (0, 2)}
"""How many values as large as its result, and as its largest argument, a function holds on the way."""


def taken(extents: Iterable[Extent], sizes: Mapping[Axis, int], wide: int) -> int:
    """The bytes that some values take together."""
    each = {BOOL: 1, REAL: wide}
    return sum(prod(sizes.get(a, sizes.get(a.root, 1)) for a in axes) * each.get(kind, 8) for axes, kind in extents)


def kept(piece: Piece) -> dict[str, Extent]:
    """The results of a piece that take memory of their own, whole."""
    found: dict[str, Extent] = {}
    for key, node in piece.outputs.items():
        origin = node
        while origin.op.name == "rename":
            origin = origin.arguments[0]
        if origin.op.name != "leaf" and (origin is node or origin not in piece.outputs.values()):
            whole = tuple(piece.of if a is piece.block and piece.of is not None else a for a in piece.axes[key])
            found[key] = whole, node.kind
    return found


class _BlockEmitter(Emitter):
    """Notes what it names, and leaves products over the blocks to the caller."""

    deferred: frozenset[Node] = frozenset()
    products: dict[Node, tuple[Value, Value]]
    given_names: dict[str, Value]

    def named(self, value: Value, hint: str) -> Value:
        found = super().named(value, hint)
        if found is not value:
            self.given_names[found.code] = found
        return found

    def permuted(self, value: Value, axes: Sequence[Axis]) -> Value:
        if value.code in self.given_names:
            # The results of functions get their axes here.
            self.given_names[value.code] = replace(value, axes=tuple(axes))
        return super().permuted(value, axes)

    def _write(self, node: Node) -> Value:
        form = self.plan.chosen.get(node)
        if node in self.deferred and isinstance(form, Reduction) and form.product is not None and form.pair is None:
            factors = matrices(self, form)
            if factors is not None:
                self.products[node] = factors
                return Value("None", ATOM, (), REAL)
        return super()._write(node)


class _FusedEmitter(_BlockEmitter):
    """For a compiler that fuses: a comparison costs nothing there, and writing into a copy costs the copy."""

    def written(self, x: Value, axis: Axis, label: Value, inside: Value) -> Value:
        others = tuple(a for a in x.axes if a is not axis)
        if not inside.number:
            inside = Value(self._column(self.full(self.named(inside, "inside"), others), axis, x), ATOM, (), REAL)
        places = self.named(Value(f"torch.arange({self.size(axis).code}, device=device)", ATOM, (axis,), INT), "places")
        same = f"{aligned(places, x.axes, COMPARE)} == {self.column(x, axis, label)}"
        return Value(f"torch.where({same}, {inside.code}, {x.code})", ATOM, x.axes, REAL)


def emit(
    piece: Piece,
    program: BoundProgram,
    name: str,
    ranges: Mapping[Axis, tuple[int, int]],
    *,
    known: Mapping[Node, str] | None = None,
    leaf_axes: Mapping[str, tuple[Axis, ...]] | None = None,
    available: Container[str],
    owned: Container[str] = (),
    fused: bool = False,
) -> Emitted:
    """A piece as a function of its stand-ins and of `like`, a tensor of the dtype to compute in.

    Those that are `owned` are needed by nothing else: they may be changed where they lie. `fused` code is for inductor.
    """
    emitter = _FusedEmitter if fused else _BlockEmitter
    return _Writer(piece, program, ranges, known or {}, leaf_axes or {}, available, owned, emitter).emitted(name)


class _Writer(Writer):
    def __init__(
        self,
        piece: Piece,
        program: BoundProgram,
        ranges: Mapping[Axis, tuple[int, int]],
        known: Mapping[Node, str],
        leaf_axes: Mapping[str, tuple[Axis, ...]],
        available: Container[str],
        owned: Container[str],
        emitter_class: type[_BlockEmitter],
    ) -> None:
        super().__init__(
            program,
            piece.outputs,
            ranges,
            known,
            leaf_axes,
            True,
            emitter=emitter_class,
            like=True,
            available=available,
        )
        self.piece = piece
        self.owned = {self.arguments[n] for n in self.leaves if n.attributes[0].name in owned}
        emitter = self.emitter
        assert isinstance(emitter, _BlockEmitter)
        self.block_emitter = emitter
        emitter.products, emitter.given_names = {}, {}
        sums = {key for key, how in piece.totals.items() if how == "sum"}
        emitter.deferred = frozenset(piece.outputs[key] for key in sums)

    def _wide(self, names: Sequence[str]) -> str:
        return f"{self.like}.dtype"

    def _device(self, sized: Sequence[str]) -> str:
        return f"{self.like}.device"

    def emitted(self, name: str) -> Emitted:
        function = self.write(name)
        products = frozenset(k for k, node in self.piece.outputs.items() if node in self.block_emitter.products)
        return Emitted(self.piece, function, products, tuple(self._states()), tuple(work(self.plan)))

    def _results(self) -> list[str]:
        """One result for each output, two for a product."""
        results: list[str] = []
        for key, node in self.outputs.items():
            factors = self.block_emitter.products.get(node)
            results += [f.code for f in factors] if factors is not None else [self._kept(key, node)]
        return results

    def _kept(self, key: str, node: Node) -> str:
        if key in self.leaf_axes:
            return self._result(key, node)
        emitter, axes = self.emitter, self.piece.axes[key]
        value = emitter.values[node]
        value = emitter.full(value, axes) if axes else emitter.tensor(value)
        return emitter.named(value, "result").code if len(value.code) > 40 else value.code

    def _finished(self, lines: list[str]) -> list[str]:
        """The lines, with each large value let go of where it was used for the last time."""
        if self.piece.block is None:
            return self._in_place(lines)
        large = {n for n, v in self.block_emitter.given_names.items() if len(v.axes) > 1}
        last: dict[str, int] = {}
        for number, line in enumerate(lines):
            for word in set(re.findall(r"\b[a-z]\w*", line)) & large:
                last[word] = number
        gone: dict[int, list[str]] = {}
        for word, number in last.items():
            gone.setdefault(number, []).append(word)
        result: list[str] = []
        for number, line in enumerate(lines):
            result.append(line)
            if number in gone and not line.startswith("return"):
                result.append(f"del {', '.join(sorted(gone[number]))}")
        return result

    def _in_place(self, lines: list[str]) -> list[str]:
        """The lines, with zeros written where they belong if nothing else needs what was there.

        So the gradient of a large parameter is not held twice.
        """
        scalars = {v.code for v in self.emitter.values.values() if not v.axes and v.kind == BOOL and v.is_name}
        text = "\n".join(lines)

        def written(match: re.Match[str]) -> str:
            condition, name = match.groups()
            once = len(re.findall(rf"\b{name}\b", text)) == 1
            if condition not in scalars or name not in self.owned or not once:
                return match[0]
            return f"{name}.masked_fill_(~{condition}, 0)"

        return re.sub(r"torch\.where\((\w+), (\w+), 0\)", written, text).split("\n")

    def _states(self) -> Iterable[tuple[Extent, ...]]:
        """What is held while each line runs: the values under names, and those that it makes on the way."""
        names = dict(self.block_emitter.given_names)
        given = {self.arguments[n]: n.attributes[0].axes for n in self.leaves}
        held: dict[str, Extent] = {}
        for line in self.finished:
            if line.startswith("del "):
                for word in line[4:].split(", "):
                    held.pop(word, None)
                continue
            target = line.partition(" = ")[0]
            value = names.get(target)
            words = dict.fromkeys(re.findall(r"\b[a-zA-Z_]\w*", line))
            inside = [names[w].axes for w in words if w in names and names[w].axes]
            steps = min(2, len(re.findall(r" [-+*/&|@] |\w\(", line)) - 1)
            largest = max(inside, key=lambda axes: (self.piece.block in axes, len(axes)), default=())
            temporary = [(largest, REAL)] * max(0, steps)
            for function, (results, arguments) in _INSIDE.items():
                if f"{function}(" in line and value is not None:
                    # Copies of what it is given, in float64.
                    temporary += [(given[w], REAL) for w in words if w in given for _ in range(2)]
                    temporary += [(value.axes, REAL)] * results
                    temporary += [(largest, REAL)] * arguments
            if value is not None and value.axes:
                held[target] = (value.axes, value.kind)
            yield (*held.values(), *temporary)
