"""What is checked when a loss is called: names, ranks, sizes, dtypes, devices, and that needed axes are not empty.

The checks look at shapes only, so they wait for no device. Messages use the words of the spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossdsl.diagnostics import nearest
from lossdsl.graph import BOOL, REAL, Axis, Node, reachable
from lossdsl.program import Declared, Program

_INTEGERS = frozenset((torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8))
_REALS = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))


_REMEMBERED = 64


class InputError(ValueError):
    """A loss was called with something that its declarations do not allow."""


@dataclass(frozen=True)
class Expected:
    """What a declaration says of the tensor passed for it."""

    name: str
    what: str
    kind: str
    axes: tuple[Axis, ...]
    pack: int | None
    type_text: str

    def dimensions(self, rank: int) -> list[tuple[Axis, int]]:
        """Each dimension's axis; a pack stands for as many as are over."""
        spare = rank - len(self.axes)
        places = []
        for position, axis in enumerate(self.axes):
            first = position + (spare if self.pack is not None and position > self.pack else 0)
            count = spare + 1 if position == self.pack else 1
            places += [(axis, first + i) for i in range(count)]
        return places


def expected(declared: Declared) -> Expected:
    axes = declared.leaf.axes
    pack = next((i for i, a in enumerate(axes) if a.pack), None)
    names = ", ".join(f"*{a.name}" if a.pack else a.name for a in axes)
    kind = f"index({declared.leaf.of.name})" if declared.leaf.of is not None else declared.leaf.kind
    what = {"input": "input", "frozen": "input"}.get(declared.role, declared.role)
    return Expected(declared.name, what, declared.leaf.kind, axes, pack, f"{kind}[{names}]" if names else kind)


class Guard:
    """The checks for one program."""

    def __init__(self, program: Program, ranges: Mapping[Axis, tuple[int, int]]) -> None:
        self.name = program.name
        self.inputs = [expected(d) for d in program.inputs]
        self.names = [e.name for e in self.inputs]
        self.fixed = {axis.root: last - first + 1 for axis, (first, last) in ranges.items()}
        self.nonempty = _nonempty(program)
        self.corrected = _corrected(program)
        self._seen: dict[tuple[Any, ...], dict[Axis, int]] = {}

    def bind(self, args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, Tensor]:
        """The tensors by name, in declared order."""
        if len(args) > len(self.names):
            raise TypeError(f"`{self.name}` takes {_listed(self.names)}, but was given {len(args)} values")
        given = dict(zip(self.names, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.names:
                near = nearest(name, self.names)
                raise TypeError(
                    f"`{self.name}` has no input `{name}`; "
                    + (f"did you mean `{near}`?" if near else f"it takes {_listed(self.names)}")
                )
            if name in given:
                raise TypeError(f"`{self.name}` was given `{name}` twice, by order and by name")
            given[name] = value
        missing = [e for e in self.inputs if e.name not in given]
        if missing:
            raise TypeError(f"`{self.name}` is missing {_listed([f'{e.name}: {e.type_text}' for e in missing])}")
        return {name: self._tensor(name, given[name]) for name in self.names}

    def _tensor(self, name: str, value: object) -> Tensor:
        if isinstance(value, Tensor):
            # Inductor reads what lies in memory, where a negated view, such as an imaginary part, is not negated.
            return value if torch.compiler.is_compiling() or not value.is_neg() else value.resolve_neg()
        if isinstance(value, bool | int | float):
            return torch.tensor(value)
        raise TypeError(f"`{self.name}`: `{name}` must be a tensor, not {type(value).__name__}")

    def check(self, tensors: Mapping[str, Tensor], held: Iterable[tuple[Expected, Tensor]]) -> dict[Axis, int]:
        """The sizes of the axes, after checking the tensors of a call against the declarations and each other.

        What was checked once is remembered by its shapes.
        """
        held = list(held)
        if torch.compiler.is_compiling():
            return self._check(tensors, held)
        key = tuple(_signature(t) for t in (*tensors.values(), *(t for _, t in held)))
        found = self._seen.get(key)
        if found is None:
            found = self._check(tensors, held)
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[key] = found
        return found

    def _check(self, tensors: Mapping[str, Tensor], held: Iterable[tuple[Expected, Tensor]]) -> dict[Axis, int]:
        sizes: dict[Axis, int] = {}
        shapes: dict[Axis, tuple[str, tuple[int, ...]]] = {}
        device: tuple[str, torch.device] | None = None
        for item, tensor in ((e, tensors[e.name]) for e in self.inputs):
            self._check_kind(item, tensor)
            self._check_shape(item, tensor, sizes, shapes)
            if device is None and tensor.dim():
                device = (item.name, tensor.device)
            elif device is not None and tensor.device != device[1] and tensor.dim():
                raise InputError(
                    f"`{self.name}`: `{item.name}` is on {tensor.device}, but `{device[0]}` is on {device[1]}"
                )
        for item, tensor in held:
            self._check_shape(item, tensor, sizes, shapes)
            if device is not None and tensor.device != device[1]:
                raise InputError(
                    f"`{self.name}`: its {item.what} `{item.name}` is on {tensor.device}, "
                    f"but `{device[0]}` is on {device[1]}; move the loss with .to()"
                )
        for axis in self.nonempty:
            if sizes.get(axis) == 0:
                raise InputError(
                    f"`{self.name}`: axis `{axis.name}` is empty (`{shapes[axis][0]}` has size 0), "
                    f"and the loss has no value for nothing; write `where ... else ...` in the reduction over it"
                )
        for axis, less in self.corrected.items():
            if sizes.get(axis, less + 1) <= less:
                raise InputError(
                    f"`{self.name}`: axis `{axis.name}` has size {sizes[axis]} in `{shapes[axis][0]}`, "
                    f"and the loss divides by the size less {less}"
                )
        return sizes

    def _check_kind(self, item: Expected, tensor: Tensor) -> None:
        if item.kind == REAL:
            good, wanted = tensor.dtype in _REALS, "real numbers (a floating-point dtype)"
        elif item.kind == BOOL:
            good, wanted = tensor.dtype is torch.bool, "conditions (torch.bool)"
        else:
            good, wanted = tensor.dtype in _INTEGERS, "whole numbers (an integer dtype)"
        if not good:
            raise InputError(
                f"`{self.name}`: `{item.name}` is {item.type_text} and must hold {wanted}, not {tensor.dtype}"
            )

    def _check_shape(
        self, item: Expected, tensor: Tensor, sizes: dict[Axis, int], shapes: dict[Axis, tuple[str, tuple[int, ...]]]
    ) -> None:
        rank = tensor.dim()
        if rank != len(item.axes) and (item.pack is None or rank < len(item.axes)):
            least = "at least " if item.pack is not None else ""
            raise InputError(
                f"`{self.name}`: `{item.name}` is {item.type_text}, so it needs {least}{_dimensions(len(item.axes))}; "
                f"it has shape {tuple(tensor.shape)}"
            )
        found: dict[Axis, tuple[int, ...]] = {}
        for axis, place in item.dimensions(rank):
            found[axis] = (*found.get(axis, ()), tensor.shape[place])
        for axis, shape in found.items():
            root = axis.root
            if root in self.fixed and shape != (self.fixed[root],):
                raise InputError(
                    f"`{self.name}`: axis `{axis.name}` has {self.fixed[root]} places, "
                    f"but `{item.name}` has {_sizes(shape)} there"
                )
            if root not in shapes:
                shapes[root] = (item.name, shape)
                total = 1
                for size in shape:
                    total *= size
                sizes[root] = total
            elif shapes[root][1] != shape:
                other, known = shapes[root]
                of = f" (a {item.what})" if item.what not in ("input",) else ""
                raise InputError(
                    f"`{self.name}`: axis `{axis.name}` has size {_sizes(shape)} in `{item.name}`{of}, "
                    f"but {_sizes(known)} in `{other}`"
                )


def _signature(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.device


def _nonempty(program: Program) -> list[Axis]:
    """Axes over which something is divided by a count, or the largest is taken, without a filter."""
    found: dict[Axis, None] = {}
    for node in reachable(program.roots):
        if node.op.family == "reduce" and len(node.arguments) == 1 and node.op.neutral is None:
            found.update((a.root, None) for a in node.attributes[0].axes)
        exponent = node.arguments[1] if node.op.name == "pow" else None
        divided = exponent is not None and exponent.is_constant and exponent.value == -1
        if divided or node.op.name == "log":
            found.update((a, None) for a in _counted(node.arguments[0]))
    return list(found)


def _corrected(program: Program) -> dict[Axis, int]:
    """Axes by whose count less a number something is divided, as in an unbiased variance, unless it is compared."""
    found: dict[Axis, int] = {}
    nodes = reachable(program.roots)
    compared = {a for n in nodes if n.op.name in ("eq", "lt", "le") for x in n.arguments for a in _counted(x)}
    for node in nodes:
        if node.op.name != "pow" or node.arguments[0].op.name != "add" or not node.arguments[1].range.negative:
            continue
        *counts, number = sorted(node.arguments[0].arguments, key=lambda n: n.is_constant)
        axes = [a for x in counts for a in _counted(x)]
        if len(counts) == len(axes) == 1 and number.is_constant and axes[0] not in compared:
            found[axes[0]] = max(found.get(axes[0], 0), -int(number.value))
    return found


def _counted(node: Node) -> list[Axis]:
    if node.op.name == "size":
        return [node.attributes[0].root]
    if node.op.name == "sum" and len(node.arguments) == 1:
        return [a.root for a in node.attributes[0].axes]
    if node.op.name == "mul":
        return [a for x in node.arguments for a in _counted(x)]
    return []


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "nothing"


def _dimensions(count: int) -> str:
    return "1 dimension" if count == 1 else f"{count} dimensions"


def _sizes(shape: tuple[int, ...]) -> str:
    return str(shape[0]) if len(shape) == 1 else " x ".join(map(str, shape))
