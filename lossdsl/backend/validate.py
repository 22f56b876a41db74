"""What is verified about values: indices inside their axes, every `where`, and where the first non-finite value is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lossdsl.backend.guards import InputError
from lossdsl.backend.outermost import NoReduction, unreduced
from lossdsl.graph import Axis
from lossdsl.program import Declared

if TYPE_CHECKING:
    from lossdsl.module import LossModule

_MOST_CHECKED = 2**20


@dataclass(frozen=True)
class Limits:
    """Where an index must lie."""

    declared: Declared
    first: int
    last: int


def check_indices(module: LossModule, tensors: Mapping[str, Tensor], sizes: Mapping[Axis, int]) -> None:
    """Refuse an index outside its axis."""
    for inside in limits(module, tensors, sizes):
        check_index(module.name, inside, tensors[inside.declared.name])


def limits(module: LossModule, tensors: Mapping[str, Tensor], sizes: Mapping[Axis, int]) -> list[Limits]:
    """The indices that are looked at; on a GPU, where looking means waiting, only under `validate`."""
    found = []
    for declared in module._indexed:
        tensor = tensors[declared.name]
        small = tensor.device.type == "cpu" and tensor.numel() <= _MOST_CHECKED
        if tensor.numel() and (module.validate or small):
            of = declared.leaf.of
            assert of is not None
            found.append(Limits(declared, *module.compiled.ranges.get(of.root, (0, sizes.get(of.root, 1) - 1))))
    return found


def check_index(name: str, inside: Limits, tensor: Tensor) -> None:
    """Refuse an index that lies outside, with its place."""
    low, high = torch.aminmax(tensor)
    if low.item() >= inside.first and high.item() <= inside.last:
        return
    wrong = (tensor < inside.first) | (tensor > inside.last)
    sentinel = inside.declared.leaf.sentinel
    if sentinel is not None:
        wrong &= tensor != sentinel
    if not bool(wrong.any()):
        return
    place = wrong.nonzero()[0].tolist()
    value = int(tensor[tuple(place)])
    index, of = inside.declared.name, inside.declared.leaf.of
    assert of is not None
    besides = f" (or {sentinel})" if sentinel is not None else ""
    hint = "" if sentinel is not None or value >= 0 else f"; to ignore such places, declare `{index}` with `or {value}`"
    raise InputError(
        f"`{name}`: `{index}` holds {value} at {_place(place)}, but an index into `{of.name}` lies "
        f"from {inside.first} to {inside.last}{besides}{hint}"
    )


def check_values(module: LossModule, tensors: Mapping[str, Tensor]) -> None:
    """Verify every `where` of the text for the values given."""
    compiled = module.compiled
    checked = [
        (d.name, d.condition_text, d.condition)
        for d in compiled.program.declared
        if d.condition is not None and not d.condition.is_constant
    ]
    checked += [(c.about, c.text, c.node) for c in compiled.program.conditions if not c.node.is_constant]
    for position, (about, text, node) in enumerate(checked):
        ready = compiled.computed(f"where_{position}", {"holds": node})
        if any(n not in tensors for n in ready.function.arguments):
            continue
        held = ready.run(*(tensors[n] for n in ready.function.arguments))
        if not bool(held.all()):
            place = (~held).nonzero()[0].tolist()
            where = f" at {_place(place)}" if place else ""
            found = f": it is {float(tensors[about].detach().flatten()[0]):g}" if about in tensors and not place else ""
            raise InputError(f"`{module.name}`: `{about}` must satisfy `{text}`, which does not hold{where}{found}")


def explain(module: LossModule, value: Tensor, logged: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Say which term is not finite, and in which row."""
    if bool(torch.isfinite(value).all()):
        return
    compiled = module.compiled
    named = [(f"term `{t.name}`", t.node, logged.get(t.name)) for t in compiled.program.terms]
    suspects = [
        (what, node) for what, node, found in named if found is not None and not bool(torch.isfinite(found).all())
    ]
    root = compiled.program.minimize if compiled.per_item is None else compiled.per_item
    if not suspects and root is not None:
        suspects = [("the value", root)]
    for what, node in suspects:
        row = None
        try:
            each = node if node.axes else unreduced(compiled.program.graph, node)
            ready = compiled.computed(f"rows_{node.number}", {"rows": each})
            rows = ready.run(*(tensors[n] for n in ready.function.arguments))
            wrong = ~torch.isfinite(rows)
            if bool(wrong.any()):
                place = wrong.nonzero()[0].tolist()
                names = ", ".join(f"{a.name} = {i}" for a, i in zip(each.axes, place, strict=False))
                row = f", first at {names} ({float(rows.detach()[tuple(place)]):g})"
        except NoReduction:
            row = None
        raise InputError(f"`{module.name}`: {what} is not finite{row or ''}{_suspect_inputs(module, tensors)}")


def _suspect_inputs(module: LossModule, tensors: Mapping[str, Tensor]) -> str:
    """Which inputs are not finite themselves."""
    bad = [n for n in module.inputs if tensors[n].is_floating_point() and not bool(torch.isfinite(tensors[n]).all())]
    return f"; not finite itself: {', '.join(f'`{n}`' for n in bad)}" if bad else ""


def _place(place: list[int]) -> str:
    return f"[{', '.join(map(str, place))}]" if place else "its only place"
