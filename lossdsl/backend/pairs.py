"""Differences between all pairs of two sets of vectors, without holding one vector for each pair.

Distances come from a product of matrices, and so do sums of differences: the sum over J of `w[I, J] (x[I] - y[J])` is
`x[I]` times the sum of the weights, less the product of the weights and y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.backend.arithmetic import multiplied
from lossdsl.backend.differences import Pair
from lossdsl.backend.text import Value, aligned, in_order
from lossdsl.backend.torch_ops import ATOM, SUM
from lossdsl.graph import BOOL, REAL, Axis

if TYPE_CHECKING:
    from lossdsl.backend.emit import Emitter
    from lossdsl.backend.kinds import Reduction

MaskOf = Callable[["Emitter", Sequence[Value]], Value | None]


def write_distances(emitter: Emitter, one: Pair) -> Value:
    """The lengths of the differences, or their squares."""
    name = "squared_distances" if one.squared else "distances"
    emitter.helpers.add(name)
    left, right = (_rows(emitter.real(emitter.values[n]), one.along) for n in (one.left, one.right))
    found = emitter.named(Value(f"{name}({left.code}, {right.code})", ATOM, (), REAL), "distance")
    value = emitter.permuted(found, (one.first, one.second))
    scale = one.scale**2 if one.squared else one.scale
    return multiplied(scale, [value], [], REAL) if scale != 1 else value


def _rows(value: Value, along: Axis) -> Value:
    """A set of vectors with the vectors as rows."""
    if value.axes[-1] is along:
        return value
    return Value(f"{value.at(ATOM)}.T", ATOM, value.axes[::-1], value.kind)


def write_pull(emitter: Emitter, form: Reduction, mask_of: MaskOf) -> Value:
    """The sum of weighted differences, or directions, over one of the two sets."""
    assert form.pair is not None
    assert form.product is not None
    one, product = form.pair, form.product
    above = [emitter.real(emitter.values[n]) for n in product.above]
    below = [emitter.real(emitter.values[n]) for n in product.below]
    axes = in_order((one.first, one.second))
    parts = [emitter.values[p] for p in form.parts]
    if one.directed:
        distance = emitter.named(write_distances(emitter, replace(one, scale=Fraction(1))), "distance")
        below.append(distance)
        parts.append(emitter.named(Value(f"{distance.code} != 0", SUM, axes, BOOL), "apart"))
    weight = emitter.full(multiplied(product.coefficient, above, below, REAL), axes)
    mask = mask_of(emitter, parts)
    if mask is not None:
        weight = Value(f"torch.where({aligned(mask, axes)}, {weight.code}, 0)", ATOM, axes, REAL)
    weight = emitter.named(weight, "weight")
    over = form.axes[0]
    kept, gone = (one.left, one.right) if over is one.second else (one.right, one.left)
    sign = 1 if over is one.second else -1
    rows = weight.code if axes.index(over) == 1 else f"{weight.code}.T"
    near = _rows(emitter.real(emitter.values[kept]), one.along)
    far = _rows(emitter.real(emitter.values[gone]), one.along)
    axis = one.first if over is one.second else one.second
    emitter.helpers.add("pull")
    pulled = emitter.named(Value(f"pull({rows}, {near.code}, {far.code})", ATOM, (), REAL), "pulled")
    value = emitter.permuted(pulled, (axis, one.along))
    # A direction has the length 1 whatever the difference is multiplied by.
    return multiplied(sign * (Fraction(1) if one.directed else one.scale), [value], [], REAL)
