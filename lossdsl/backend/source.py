"""Functions in torch source, from the nodes they return."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from lossdsl.backend.emit import Emitter
from lossdsl.backend.forms import forms
from lossdsl.backend.text import Names, Value, in_order
from lossdsl.backend.torch_ops import ATOM, PREAMBLES
from lossdsl.bind import BoundProgram
from lossdsl.graph import INT, REAL, Axis, Node, reachable
from lossdsl.program import Program

LIKE = "like a"
"""The name, which no spec can give, of an argument that only says dtype and device."""
HEADER = "import math\n\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor\n"


@dataclass(frozen=True)
class Function:
    """A function in Python source: what it is called with and what it returns, by the spec's names."""

    name: str
    text: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    helpers: tuple[str, ...]
    elements: tuple[tuple[str, ...], ...] = ()
    """The axes of the largest values it computes, by which its size is judged."""
    settled: str = ""
    """The same for real arguments of one dtype, which is wide enough, and whole ones of int64: without casts."""


def function(
    program: Program,
    outputs: Mapping[str, Node],
    name: str,
    ranges: Mapping[Axis, tuple[int, int]] | None = None,
    known: Mapping[Node, str] | None = None,
    *,
    leaf_axes: Mapping[str, Sequence[Axis]] | None = None,
    fused: bool = False,
) -> Function:
    """The function that computes `outputs`, each with all the dimensions of its node."""
    return Writer(program, outputs, ranges or {}, known or {}, leaf_axes or {}, fused).write(name)


def number_code(program: Program, node: Node, ranges: Mapping[Axis, tuple[int, int]]) -> str | None:
    """A node that depends on numbers and sizes alone, as one Python expression."""
    writer = Writer(program, {"value": node}, ranges, {}, {}, False)
    writer.emitter.run()
    value = writer.emitter.values[node]
    return value.code if value.number and not writer.emitter.lines else None


class Writer:
    """Writes one function."""

    def __init__(
        self,
        program: Program,
        outputs: Mapping[str, Node],
        ranges: Mapping[Axis, tuple[int, int]],
        known: Mapping[Node, str],
        leaf_axes: Mapping[str, Sequence[Axis]],
        fused: bool,
        *,
        emitter: type[Emitter] = Emitter,
        like: bool = False,
        available: Container[str] | None = None,
    ) -> None:
        """`available` are the leaves that sizes may be read from besides those that are needed; all if not given."""
        self.program = program
        self.outputs = outputs
        self.ranges = ranges
        self.leaf_axes = leaf_axes
        self.names = Names()
        self.like = self.names.fresh("like") if like else ""
        """An argument of the dtype and device to compute with, where the function does not see them all."""
        self.finished: list[str] = []
        self.plan = forms(outputs.values())
        numbers = program.numbers if isinstance(program, BoundProgram) else {}
        leaves = {n for n in reachable(self.plan.order) if n.op.name == "leaf"}
        self.needed = {n for n in leaves if n.attributes[0].name not in numbers}
        declared = _leaves(program, self.needed)
        self.leaves = [
            n for n in declared if n in self.needed or available is None or n.attributes[0].name in available
        ]
        self.arguments = {n: self.names.fresh(n.attributes[0].name) for n in self.leaves}
        self.sizes, self.providers = self._sizes()
        firsts = {a.root: first for a, (first, _) in ranges.items()}
        source = program.span.source
        self.emitter = emitter(
            self.plan, self.names, self.arguments, self.sizes, firsts, source, known, numbers, fused=fused
        )

    def _sizes(self) -> tuple[dict[Axis, str], dict[Axis, tuple[Node, int]]]:
        """A name for the size of each axis, and the argument it is read from."""
        sizes: dict[Axis, str] = {}
        providers: dict[Axis, tuple[Node, int]] = {}
        for axis, (first, last) in self.ranges.items():
            sizes[axis.root] = str(max(0, last - first + 1))
        for leaf in sorted(self.leaves, key=lambda n: n not in self.needed):
            for place, axis in enumerate(leaf.attributes[0].axes):
                if axis.root not in sizes:
                    sizes[axis.root] = self.names.fresh(axis.root.name)
                    providers[axis.root] = (leaf, place)
        return sizes, providers

    def write(self, name: str) -> Function:
        emitter = self.emitter
        emitter.run()
        results = self._results()
        self.finished = body = self._finished([*emitter.lines, f"return {', '.join(results)}"])
        entry, settled = (self._entry("\n".join(body), settled=settled) for settled in (False, True))
        used = [n for n in self.leaves if n in self.needed or _mentions(entry, self.arguments[n])]
        arguments = [*([self.like] if self.like else []), *(self.arguments[n] for n in used)]
        signature = f"def {name}({', '.join(f'{a}: Tensor' for a in arguments)})"
        gives = "Tensor" if len(results) == 1 else f"tuple[{', '.join(['Tensor'] * len(results))}]"
        if len(signature) + len(gives) > 100:
            inside = "".join(f"    {a}: Tensor,\n" for a in arguments)
            signature = f"def {name}(\n{inside})"
            gives = "Tensor" if len(results) == 1 else "tuple[Tensor, ...]"
        text, same = (
            f"{signature} -> {gives}:\n" + "".join(f"    {line}\n" for line in [*lines, *body])
            for lines in (entry, settled)
        )
        return Function(
            name,
            text,
            (*([LIKE] if self.like else []), *(n.attributes[0].name for n in used)),
            tuple(self.outputs),
            tuple(h for h in PREAMBLES if h in emitter.helpers),
            self._elements(),
            same,
        )

    def _results(self) -> list[str]:
        """The code of what is returned."""
        return [self._result(key, node) for key, node in self.outputs.items()]

    def _finished(self, lines: list[str]) -> list[str]:
        """A last look at the statements."""
        return lines

    def _elements(self) -> tuple[tuple[str, ...], ...]:
        largest = {tuple(a.root.name for a in v.axes) for v in self.emitter.values.values() if v.axes}
        return tuple(sorted(s for s in largest if not any(Counter(s) < Counter(o) for o in largest)))

    def _result(self, key: str, node: Node) -> str:
        emitter = self.emitter
        value = emitter.values[node]
        if key.startswith("gradient") and value.number:
            value = Value(value.code, value.level, (), REAL, True)
        value = emitter.full(value, node.axes) if node.axes else emitter.tensor(value)
        order = self.leaf_axes.get(key)
        if order is not None and tuple(order) != in_order(order) and len(order) == 2:
            value = Value(f"{value.at(ATOM)}.T", ATOM, value.axes, value.kind)
        elif order is not None and tuple(order) != in_order(order):
            places = ", ".join(str(in_order(order).index(a)) for a in order)
            value = Value(f"{value.at(ATOM)}.permute({places})", ATOM, value.axes, value.kind)
        emitter.span = None
        return emitter.named(value, _result_name(key)).code if len(value.code) > 40 else value.code

    def _entry(self, body: str, *, settled: bool = False) -> list[str]:
        """The lines that read sizes and bring the arguments into shape."""
        casts = []
        for leaf in self.leaves:
            cast = self._turned(leaf) if settled else self._widened(leaf) + self._turned(leaf)
            if leaf in self.needed and cast:
                casts.append(f"{self.arguments[leaf]} = {self.arguments[leaf]}{cast}")
        lines: list[str] = []
        text = "\n".join([body, *casts])
        if _mentions([text], "device"):
            lines.append(f"device = {self._device(self._size_lines(text))}")
        if _mentions([text], "wide"):
            real = self._deciding() or self._sizing(self._size_lines(text))
            if not real and "value" in self.outputs:
                # The value is a constant of the text, and still one of the inputs' type.
                real = [self.arguments[n] for n in self.leaves if n.attributes[0].kind == REAL][:1]
            lines.append(f"wide = {f'{real[0]}.dtype' if real and settled else self._wide(real)}")
        return [*self._size_lines(text), *lines, *casts]

    def _size_lines(self, text: str) -> list[str]:
        wanted: dict[Node, dict[int, str]] = {}
        for axis, (leaf, place) in self.providers.items():
            if _mentions([text], self.sizes[axis]):
                wanted.setdefault(leaf, {})[place] = self.sizes[axis]
        lines = []
        for leaf, places in wanted.items():
            name = self.arguments[leaf]
            if len(places) == len(leaf.attributes[0].axes) and len(places) > 1:
                lines.append(f"{', '.join(places[i] for i in range(len(places)))} = {name}.shape")
            else:
                lines += [f"{size} = {name}.shape[{i}]" for i, size in places.items()]
        return lines

    def _widened(self, leaf: Node) -> str:
        row = leaf.attributes[0]
        if row.kind == REAL and leaf not in self.plan.raw:
            return ".to(wide)"
        return ".long()" if row.kind == INT else ""

    def _turned(self, leaf: Node) -> str:
        axes = leaf.attributes[0].axes
        order = in_order(axes)
        if tuple(axes) == order:
            return ""
        return ".T" if len(order) == 2 else f".permute({', '.join(str(axes.index(a)) for a in order)})"

    def _device(self, sized: Sequence[str]) -> str:
        """Where the arguments are; a default has none."""
        needed = [self.arguments[n] for n in self.leaves if n in self.needed]
        names = needed or [line.split(" = ")[1].partition(".")[0] for line in sized]
        return f"{names[0]}.device" if names else 'torch.device("cpu")'

    def _deciding(self) -> list[str]:
        """The arguments whose dtypes decide in which to compute."""
        real = [n for n in self.leaves if n.attributes[0].kind == REAL and n in self.needed]
        inputs = [n for n in real if n.attributes[0].role in ("input", "frozen")] or real
        return [self.arguments[n] for n in inputs]

    def _sizing(self, sized: Sequence[str]) -> list[str]:
        """Real arguments that only give sizes, as in the mean of a softmax: they too say in which type a value is wanted."""
        names = {line.split(" = ")[1].partition(".")[0] for line in sized}
        return [self.arguments[n] for n in self.leaves if n.attributes[0].kind == REAL and self.arguments[n] in names]

    def _wide(self, names: Sequence[str]) -> str:
        """The dtype to compute in: that of the inputs, but at least float32."""
        if len(names) == 1:
            return f"torch.promote_types({names[0]}.dtype, torch.float32)"
        if not names:
            return "torch.get_default_dtype()"
        self.emitter.helpers.add("computing_dtype")
        return f"computing_dtype({', '.join(names)})"


def _leaves(program: Program, needed: set[Node]) -> list[Node]:
    """The leaves of a program in declared order, with `step` last; those needed by their own node."""
    by_name = {n.attributes[0].name: n for n in needed}
    declared = [by_name.get(d.name, d.node) for d in program.declared]
    found = [n for n in declared if n in needed or n.attributes[0].axes]
    return [*found, *sorted(needed - set(found), key=lambda n: n.number)]


def _mentions(lines: Sequence[str], name: str) -> bool:
    return any(re.search(rf"(?<![\w.]){re.escape(name)}\b", line) for line in lines)


def _result_name(key: str) -> str:
    return key.replace(".", "_") if key.isidentifier() else "result"


def module_text(functions: Sequence[Function], *, settled: bool = False) -> str:
    """The text of a Python module with the functions and what they call."""
    helpers = [h for h in PREAMBLES if any(h in f.helpers for f in functions)]
    parts = [HEADER, *(PREAMBLES[h] for h in helpers), *(f.settled if settled else f.text for f in functions)]
    return "\n\n".join(parts)
