"""What a call will do, told before it is made: in one piece or in blocks, why, and what that takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from lossdsl.backend import choice
from lossdsl.backend.amounts import shown
from lossdsl.backend.autograd import Key
from lossdsl.backend.blocks import STREAM_FROM, Blocks, Plan, described, sizes_of
from lossdsl.backend.forms import forms, products
from lossdsl.backend.guards import InputError
from lossdsl.backend.large import larger
from lossdsl.graph import Axis
from lossdsl.streaming.stages import Prevented

_HOW = {"inductor": "through inductor", "eager": "as plain torch code"}
REFUSED = "refused"


@dataclass(frozen=True)
class Report:
    """How a call with given sizes runs. Bytes are beside the inputs."""

    mode: str
    """`one piece`, `blocks`, or `refused` where a budget is given and cannot be kept."""
    why: str
    backend: str
    sizes: Mapping[str, int]
    rows: Mapping[str, int]
    """The length of the blocks, by axis."""
    sweeps: int
    held: int
    """What is held at once at most, beside inputs and gradients; an estimate."""
    dense: int
    """The same in one piece."""
    saved: int
    """What is kept until backward, beside inputs."""
    flops: int
    """Of the products of matrices, of value and gradients together."""
    dense_flops: int

    @property
    def refused(self) -> bool:
        """Whether a call would be refused, as a budget is given and cannot be kept."""
        return self.mode == REFUSED

    def as_dict(self) -> dict[str, Any]:
        """The report with plain values, for machines."""
        return {
            "mode": self.mode,
            "why": self.why,
            "backend": self.backend,
            "sizes": dict(self.sizes),
            "block": dict(self.rows),
            "sweeps": self.sweeps,
            "peak_bytes": self.held,
            "dense_bytes": self.dense,
            "saved_bytes": self.saved,
            "flops": self.flops,
            "dense_flops": self.dense_flops,
        }

    def __getitem__(self, name: str) -> Any:
        return self.as_dict()[name]

    def lines(self) -> list[str]:
        """The report for people."""
        sizes = ", ".join(f"{n} = {s:,}" for n, s in self.sizes.items())
        lines = [f"sizes     {sizes}"]
        if self.refused:
            return [
                *lines,
                f"refused   {self.why}",
                f"holds     {shown(self.dense)} in one piece, beside inputs and gradients",
            ]
        lines.append(f"runs      in {self.mode}, {_HOW[self.backend]}: {self.why}")
        if self.rows:
            blocks = ", ".join(f"{n:,} of {self.sizes[a]:,} along {a}" for a, n in self.rows.items())
            lines.append(f"blocks    {blocks}; {self.sweeps} sweep{'s' if self.sweeps != 1 else ''} over them")
        held = f"{shown(self.held)}, against {shown(self.dense)} in one piece" if self.rows else shown(self.held)
        lines.append(f"holds     {held}, beside inputs and gradients")
        lines.append(f"saves     {shown(self.saved)} for backward: the gradients")
        ratio = f", {self.flops / self.dense_flops:.2f} of those in one piece" if self.rows and self.dense_flops else ""
        if self.flops:
            lines.append(f"products  {self.flops:.3g} operations in value and gradients together{ratio}")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


def report(blocks: Blocks, tensors: Mapping[str, Tensor], key: Key, budget: int | None, backend: str | None) -> Report:
    """How a call of one kind runs with given tensors, of which only shapes, dtypes and devices are looked at."""
    ready = blocks.ready(key)
    given = {n: tensors[n] for n in ready.function.arguments}
    sizes = sizes_of(blocks.compiled, given)
    plan, refusal = None, ""
    try:
        plan = blocks.plan(key, tensors, budget)
    except InputError as problem:
        refusal = str(problem)
    device = next(iter(given.values())).device
    named = {a.name: s for a, s in sizes.items()}
    elements = plan.elements if plan is not None else choice.elements(ready.function.elements, named)
    inductor = choice.through_inductor(backend, elements, torch.device("cpu") if device.type == "meta" else device)
    made = blocks.made(key) if blocks.extents(key) else None
    dense = blocks.dense(key, given)
    dense_flops = _flops(products(forms(blocks.outputs(key)[1].values())), sizes)
    kept = {d.name: tensors[d.name] for d in blocks.compiled.program.declared if d.name in key.wanted}
    saved = sum(t.numel() * t.element_size() for t in kept.values()) if blocks.compiled.per_item is None else 0
    return Report(
        REFUSED if refusal else "blocks" if plan is not None else "one piece",
        refusal or _why(plan, made, dense, budget),
        "inductor" if inductor else "eager",
        named,
        {a.name: n for a, n in plan.rows.items()} if plan is not None else {},
        plan.streamed.schedule.sweeps if plan is not None else 0,
        plan.peak if plan is not None else dense,
        dense,
        saved,
        _streamed_flops(plan, sizes) if plan is not None else dense_flops,
        dense_flops,
    )


def _why(plan: Plan | None, made: object, dense: int, budget: int | None) -> str:
    limit = f"the budget of {shown(budget)}" if budget is not None else f"{shown(STREAM_FROM)}, from which blocks pay"
    if plan is not None:
        return f"{larger(plan.large)}, and would take more than {limit}"
    if made is None:
        return "no value is larger than all inputs"
    if isinstance(made, Prevented):
        return described(made)
    return f"{shown(dense)} is no more than {limit}"


def _streamed_flops(plan: Plan, sizes: Mapping[Axis, int]) -> int:
    total = 0
    for step in plan.streamed.steps:
        piece = step.emitted.piece
        whole = (
            {**sizes, piece.block: sizes[piece.of.root]} if piece.block is not None and piece.of is not None else sizes
        )
        total += _flops(step.emitted.work, whole)
    return total


def _flops(work: Iterable[Sequence[Axis]], sizes: Mapping[Axis, int]) -> int:
    return sum(2 * prod(sizes.get(a, sizes.get(a.root, 1)) for a in axes) for axes in work)
