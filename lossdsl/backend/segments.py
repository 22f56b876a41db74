"""Segment reductions that are made of others."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.backend.arithmetic import multiplied
from lossdsl.backend.kinds import Reduction
from lossdsl.backend.text import Value, aligned, constant
from lossdsl.backend.torch_ops import ATOM, SUM
from lossdsl.graph import INT, REAL, Node

if TYPE_CHECKING:
    from lossdsl.backend.emit import Emitter

_Write = Callable[["Emitter", Node, Reduction, str, Value, list[Value]], Value]


def write_composite(
    emitter: Emitter, node: Node, form: Reduction, body: Value, parts: list[Value], write: _Write
) -> Value:
    """`mean`, `norm` and `logsumexp` of each segment."""
    parts = [emitter.named(p, "mask") for p in parts]
    body = emitter.real(emitter.named(body, "values"))
    if node.op.name == "mean":
        total = write(emitter, node, form, "sum", body, parts)
        count = write(emitter, node, form, "sum", constant(Fraction(1), INT), parts)
        return multiplied(Fraction(1), [total], [count], REAL)
    if node.op.name == "norm":
        squares = Value(f"{emitter.tensor(body).at(ATOM)}.double().square()", ATOM, body.axes, REAL)
        total = write(emitter, node, form, "sum", emitter.named(squares, "squares"), parts)
        return Value(f"torch.sqrt({total.code}).to(wide)", ATOM, total.axes, REAL)
    assert form.segment is not None
    axis, label = form.segment
    largest = emitter.named(write(emitter, node, form, "max", body, parts), "largest")
    level = emitter.named(
        Value(f"torch.where(torch.isfinite({largest.code}), {largest.code}, 0)", ATOM, largest.axes, REAL), "level"
    )
    own = emitter.picked(level, axis, emitter.values[label])
    axes = tuple(dict.fromkeys((*body.axes, *own.axes)))
    axes = tuple(sorted(axes, key=lambda a: a.order))
    shifted = Value(f"torch.exp({aligned(body, axes, SUM)} - {aligned(own, axes, ATOM)})", ATOM, axes, REAL)
    total = write(emitter, node, form, "sum", emitter.named(shifted, "shares"), parts)
    return Value(f"torch.log({total.code}) + {level.code}", SUM, total.axes, REAL)
