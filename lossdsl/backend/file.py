"""A loss as a torch file of its own, which needs nothing but torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from lossdsl.backend.large import extents, larger
from lossdsl.backend.naming import known_names
from lossdsl.backend.source import Function, function, number_code
from lossdsl.backend.text import literal, mangled
from lossdsl.backend.torch_ops import PREAMBLES
from lossdsl.bind import Number, bind, bound_ranges, known_number
from lossdsl.catalogue import summary
from lossdsl.graph import Node, reachable
from lossdsl.lower import Lowered, lower
from lossdsl.program import Declared, Program

_DTYPES = {"real": "torch.get_default_dtype()", "int": "torch.int64", "bool": "torch.bool"}
_DRAWS = {
    "uniform": "{0} + ({1} - {0}) * torch.rand({shape}, generator=self.generator, device=device)",
    "normal": "{0} + {1} * torch.randn({shape}, generator=self.generator, device=device)",
    "bernoulli": "torch.rand({shape}, generator=self.generator, device=device) < {0}",
    "rademacher": "torch.randint(0, 2, {shape}, generator=self.generator, device=device) * 2.0 - 1.0",
    "gumbel": "-torch.empty({shape}, device=device).exponential_(generator=self.generator).log()",
    "exponential": "torch.empty({shape}, device=device).exponential_(generator=self.generator) / {0}",
}

_CHECK_INDEX = '''\
def check_index(name: str, index: Tensor, size: int, sentinel: int | None = None) -> None:
    """Refuse an index outside its axis; on a GPU looking would mean waiting."""
    if index.device.type != "cpu" or not index.numel() or torch.compiler.is_compiling():
        return
    outside = (index < 0) | (index >= size)
    if sentinel is not None:
        outside &= index != sentinel
    if bool(outside.any()):
        raise ValueError(f"{name} holds {int(index[outside][0])}, but an index lies from 0 to {size - 1}")
'''

_FUSED = '''\
class _Fused(torch.autograd.Function):
    """Value and gradients come out of one pass; backward scales them."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs = {call}(*tensors)
        # What is logged may be the value itself, which must stay differentiable.
        values = (outputs[0], *(v.clone() for v in outputs[1:-{count}]))
        gradients = outputs[-{count}:]
        # float16 would lose small gradients before they are scaled, so they are cast in backward.
        ctx.save_for_backward(*gradients)
        ctx.dtypes = [t.dtype for t in tensors]
        ctx.mark_non_differentiable(*values[1:])
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_logged: Tensor) -> tuple[Tensor | None, ...]:
        found = dict(zip({places}, ctx.saved_tensors))
        return tuple(
            (found[i] * upstream).to(dtype) if i in found else None for i, dtype in enumerate(ctx.dtypes)
        )
'''


def _inside_quotes(text: str) -> str:
    """Text of a spec as it may stand in a docstring, which it must not be able to end: what follows would be run."""
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    return text.removesuffix('"') + '\\"' if text.endswith('"') else text


class NotWritable(Exception):
    """The loss holds something that a file cannot."""


def write_file(program: Program, hypers: Mapping[str, Number] | None = None) -> str:
    """The text of a Python file with the loss as an `nn.Module`; hypers have their defaults unless given."""
    return _File(program, dict(hypers or {})).text()


@dataclass
class _File:
    written: Program
    hypers: dict[str, Number]

    @cached_property
    def program(self) -> Program:
        return bind(self.written, self.hypers)

    @cached_property
    def lowered(self) -> Lowered:
        return lower(self.program)

    @cached_property
    def base(self) -> str:
        return mangled(self.program.name)

    @cached_property
    def held(self) -> list[Declared]:
        listed = [d for d in self.program.hypers if d.values is not None and d.name not in self.hypers]
        return [d for d in self.program.declared if d.role in ("learn", "state") or d in listed]

    @cached_property
    def forward(self) -> Function:
        low = self.lowered
        logged = {f"term {n}": x for n, x in low.terms.items()} | {f"metric {n}": x for n, x in low.metrics.items()}
        return self._function(self.base, {"value": low.value, **logged, **self._updates()}, fused=False)

    @cached_property
    def fused(self) -> Function:
        low = self.lowered
        logged = {f"term {n}": x for n, x in low.terms.items()} | {f"metric {n}": x for n, x in low.metrics.items()}
        gradients = {f"gradient of {n}": x for n, x in low.gradients.items()}
        return self._function(
            f"{self.base}_with_gradients", {"value": low.value, **logged, **self._updates(), **gradients}, fused=True
        )

    def _updates(self) -> dict[str, Node]:
        low = self.lowered
        axes = {d.name: d.leaf.axes for d in self.program.declared}
        return {f"update {n}": low.graph.expand(x, axes[n]) for n, x in low.updates.items()}

    def _function(self, name: str, outputs: Mapping[str, Node], *, fused: bool) -> Function:
        axes = {f"{what} {d.name}": d.leaf.axes for d in self.program.declared for what in ("gradient of", "update")}
        ranges = bound_ranges(self.written, self.hypers)
        known = known_names(self.program, self.lowered)
        made = function(self.program, outputs, name, ranges, known, leaf_axes=axes, fused=fused)
        return made

    def text(self) -> str:
        count, arguments = len(self.lowered.gradients), self.fused.arguments
        places = str(tuple(arguments.index(n) if n in arguments else None for n in self.lowered.gradients))
        body = self._class()
        indexed = any(d.leaf.of is not None for d in self.program.inputs)
        parts = [PREAMBLES[h] for h in PREAMBLES if h in (*self.forward.helpers, *self.fused.helpers)]
        parts += [_CHECK_INDEX] if indexed else []
        parts += [self.forward.text, self.fused.text]
        parts.append(_FUSED.format(call=self.fused.name, count=count, places=places))
        parts.append(body)
        rest = "\n\n".join(parts)
        return f"{self._header(rest)}\n\n{rest}"

    def _header(self, body: str) -> str:
        program = self.program
        doc = program.doc.strip().splitlines() or [f"The loss `{program.name}`."]
        settings = [f"{d.name} = {self._shown(d)}" for d in self.written.hypers if self._shown(d)]
        lines = [_inside_quotes(line) for line in doc]
        if settings:
            lines += ["", f"Hyperparameters: {', '.join(settings)}."]
        lines += ["", *self._held_whole(), "Written by lossdsl from:", ""]
        lines += ["    " + _inside_quotes(line) if line else "" for line in program.span.text.splitlines()]
        text = '"""' + "\n".join(lines) + '\n"""\n\nfrom __future__ import annotations\n\n'
        text += "import math\n" if "math." in body else ""
        text += "from typing import Any\n\nimport torch\n"
        text += "import torch.nn.functional as F\n" if re.search(r"\bF\.", body) else ""
        return text + "from torch import Tensor, nn\n"

    def _held_whole(self) -> list[str]:
        """That nothing runs in blocks here, where that matters."""
        low = self.lowered
        large = extents([low.value, *low.terms.values(), *low.metrics.values(), *low.gradients.values()])
        return [f"It runs in one piece: {larger(large)}.", ""] if large else []

    def _shown(self, declared: Declared) -> str:
        if declared.name in self.hypers:
            return literal(self.hypers[declared.name])[0]
        number = known_number(self.written.graph, declared.default) if declared.default is not None else None
        return literal(number)[0] if number is not None else ""

    # The module

    def _class(self) -> str:
        name = "".join(word.capitalize() for word in self.base.split("_") if word) or "Loss"
        lines = [f"class {name}(nn.Module):", f'    """{_inside_quotes(summary(self.program.doc) or name)}"""', ""]
        lines += self._constructor()
        inputs = [d.name for d in self.program.inputs]
        signature = ", ".join(f"{mangled(n)}: Tensor" for n in inputs)
        passed = ", ".join(mangled(n) for n in inputs)
        lines += [
            "",
            f"    def forward(self, {signature}) -> Tensor:",
            f"        return self._evaluated({passed})[0]",
            "",
        ]
        lines += [f"    def with_terms(self, {signature}) -> tuple[Tensor, dict[str, Tensor]]:"]
        lines += [
            '        """The value, and the terms and metrics by name."""',
            f"        value, *logged = self._evaluated({passed})",
        ]
        logged = [n.name for n in (*self.program.terms, *self.program.metrics)]
        lines += [f"        return value, dict(zip({logged!r}, logged))", ""]
        lines += [
            f"    def _evaluated(self, {signature}) -> tuple[Tensor, ...]:",
            *(f"        {x}" for x in self._call(len(logged))),
        ]
        return "\n".join(lines) + "\n"

    def _constructor(self) -> list[str]:
        sizes = sorted(
            {a.root.name for d in self.held for a in d.leaf.axes if d.values is None and a.root.first is None}
        )
        parameters = "".join(f", {mangled(s)}: int" for s in sizes)
        lines = [f"    def __init__(self{parameters}) -> None:", "        super().__init__()"]
        for declared in self.held:
            start = self._start(declared)
            if declared.role == "learn":
                lines.append(f"        self.{mangled(declared.name)} = nn.Parameter({start})")
            else:
                kept = "" if declared.role == "state" else ", persistent=False"
                lines.append(f'        self.register_buffer("{mangled(declared.name)}", {start}{kept})')
        if any(n.op.name == "leaf" and n.attributes[0].name == "step" for n in reachable(self.program.roots)):
            lines.append('        self.register_buffer("step", torch.zeros((), dtype=torch.int64))')
        if self.program.by_role("random"):
            lines.append("        self.generator: torch.Generator | None = None")
        return lines

    def _start(self, declared: Declared) -> str:
        dtype = _DTYPES[declared.leaf.kind]
        if declared.values is not None:
            numbers = [known_number(self.program.graph, v) for v in declared.values]
            return f"torch.tensor([{', '.join(self._literal(n, declared) for n in numbers)}], dtype={dtype})"
        assert declared.default is not None
        shape = "".join(f"{mangled(a.root.name)}, " for a in declared.leaf.axes)
        code = self._constant(declared.default, declared)
        shape = shape.rstrip() if len(declared.leaf.axes) == 1 else shape.rstrip(", ")
        return f"torch.full(({shape}), {code}, dtype={dtype})"

    def _literal(self, number: Number | None, declared: Declared) -> str:
        if number is None:
            raise NotWritable(f"the first value of `{declared.name}` depends on more than numbers")
        return literal(number)[0]

    def _constant(self, node: Node, declared: Declared) -> str:
        """A default as Python text: a number, or one that depends on sizes."""
        number = known_number(self.program.graph, node)
        if number is not None:
            return literal(number)[0]
        while node.op.name == "expand":
            node = node.arguments[0]
        code = number_code(self.program, node, bound_ranges(self.written, self.hypers))
        if code is None:
            raise NotWritable(f"the first value of `{declared.name}` depends on more than numbers and sizes")
        return code

    def _call(self, logged: int) -> list[str]:
        lines = [*self._checks(), *self._drawn()]
        arguments = [self._argument(n) for n in self.fused.arguments]
        given = ", ".join(arguments)
        updates = [u.name for u in self.program.updates]
        lines.append(f"tensors = ({given}{',' if len(arguments) == 1 else ''})")
        plain = ", ".join(
            f"tensors[{self.fused.arguments.index(n)}]" for n in self.forward.arguments if n in self.fused.arguments
        )
        if set(self.forward.arguments) - set(self.fused.arguments):
            plain = ", ".join(self._argument(n) for n in self.forward.arguments)
        lines += [
            "if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):",
            "    outputs = _Fused.apply(*tensors)",
            "else:",
            f"    outputs = {self.forward.name}({plain})",
        ]
        if len(self.forward.outputs) == 1:
            lines[-1] = f"    outputs = ({self.forward.name}({plain}),)"
        if updates:
            lines += ["if self.training:", "    with torch.no_grad():"]
            lines += [f"        self.{mangled(n)}.copy_(outputs[{1 + logged + i}])" for i, n in enumerate(updates)]
        if any(line.endswith("self.step") for line in arguments) or "self.step.clone()" in arguments:
            lines += ["if self.training:", "    self.step += 1"]
        lines.append(f"return outputs[: {1 + logged}]")
        return lines

    def _checks(self) -> list[str]:
        """Packs flattened, and indices inside their axes."""
        lines = []
        for declared in self.program.inputs:
            name, axes = mangled(declared.name), declared.leaf.axes
            pack = next((i for i, a in enumerate(axes) if a.pack), None)
            if pack is not None:
                last = pack - len(axes)
                lines.append(f"{name} = {name}.flatten({pack}, {last})")
        for declared in self.program.inputs:
            of = declared.leaf.of
            if of is not None:
                name = mangled(declared.name)
                sentinel = f", {declared.leaf.sentinel}" if declared.leaf.sentinel is not None else ""
                size = self._size(of.root.name)
                if size:
                    lines.append(f'check_index("{declared.name}", {name}, {size}{sentinel})')
        return lines

    def _size(self, axis: str) -> str:
        for declared in self.program.inputs:
            for place, own in enumerate(declared.leaf.axes):
                if own.root.name == axis:
                    return f"{mangled(declared.name)}.shape[{place}]"
        return ""

    def _drawn(self) -> list[str]:
        lines = []
        for declared in self.program.by_role("random"):
            assert declared.draw is not None
            template = _DRAWS.get(declared.draw.name)
            numbers = [known_number(self.program.graph, a) for a in declared.draw.arguments]
            sizes = [self._size(a.root.name) for a in declared.leaf.axes]
            if template is None or None in numbers or not all(sizes):
                raise NotWritable(f"draws like those of `{declared.name}` cannot be written to a file yet")
            first = mangled(self.program.inputs[0].name)
            texts: Sequence[str] = [literal(n if n is not None else Fraction(0))[0] for n in numbers]
            code = template.format(*texts, shape=f"({', '.join(sizes)},)").replace(
                "device=device", f"device={first}.device"
            )
            lines.append(f"{mangled(declared.name)} = {code}")
        return lines

    def _argument(self, name: str) -> str:
        if name in (d.name for d in self.held) or name == "step":
            changing = name == "step" or any(u.name == name for u in self.program.updates)
            return f"self.{mangled(name)}{'.clone()' if changing else ''}"
        return mangled(name)


__all__ = ["NotWritable", "write_file"]
