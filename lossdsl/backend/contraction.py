"""Sums of products as products of matrices, so that the outer product is never held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.backend.arithmetic import multiplied
from lossdsl.backend.kinds import Product, Reduction
from lossdsl.backend.reduced import groups
from lossdsl.backend.text import Value, aligned, in_order, tuple_text
from lossdsl.backend.torch_ops import ATOM, BIT_AND, PRODUCT, SUM
from lossdsl.graph import BOOL, REAL, Axis

if TYPE_CHECKING:
    from lossdsl.backend.emit import Emitter


@dataclass(frozen=True)
class _Factors:
    """What is multiplied: the sides with their masks, the axes that stay, and what no mask can express."""

    sides: list[Value]
    kept: tuple[Axis, ...]
    parts: list[Value]
    leaking: int | None
    raw: str | None


def write_contraction(emitter: Emitter, form: Reduction) -> Value:
    """`@` for two matrices, einsum otherwise."""
    assert form.product is not None
    found = _factors(emitter, form)
    if found.leaking is None:
        value = _multiplied(emitter, found.sides, found.kept)
    else:
        value = _guarded(emitter, found.sides, found.parts, found.leaking, found.kept)
    if found.raw is not None:
        value = Value(f"{value.at(ATOM)}.to(wide)", ATOM, value.axes, REAL)
    return multiplied(form.product.coefficient, [value], [], REAL) if form.product.coefficient != 1 else value


def matrices(emitter: Emitter, form: Reduction) -> tuple[Value, Value] | None:
    """The two matrices of a contraction that is their product, with what they share as their first dimension."""
    assert form.product is not None
    found = _factors(emitter, form)
    if found.leaking is not None or len(found.sides) != 2 or len(found.kept) != 2 or form.product.coefficient != 1:
        return None
    left, right = (_shared_first(s, in_order(form.axes)) for s in found.sides)
    if left is None or right is None:
        return None
    return (left, right) if left.axes[-1] is found.kept[0] else (right, left)


def _shared_first(side: Value, shared: Sequence[Axis]) -> Value | None:
    """A factor as a matrix, with the axes of the sum as its first dimension; None where that takes a copy."""
    if len(side.axes) != len(shared) + 1 or not set(shared) <= set(side.axes):
        return None
    if len(shared) == 1:
        return side if side.axes[0] is shared[0] else _transposed(side)
    if side.axes[:-1] != tuple(shared):
        return None
    return Value(f"{side.at(ATOM)}.flatten(0, {len(shared) - 1})", ATOM, side.axes, side.kind)


def _factors(emitter: Emitter, form: Reduction) -> _Factors:
    from lossdsl.backend.reductions import mask_of

    assert form.product is not None
    sides = _sides(emitter, form.product)
    parts = [emitter.values[p] for p in form.parts]
    masks: list[Value | None] = []
    for side in sides:
        fitting = [p for p in parts if set(p.axes) <= set(side.axes)]
        masks.append(mask_of(emitter, fitting))
    leaking = _leaking(sides, parts, form.axes)
    covered = [side if mask is None else _masked(emitter, side, mask) for side, mask in zip(sides, masks, strict=True)]
    kept = in_order(a for s in covered for a in s.axes if a not in form.axes)
    raw = _raw_dtype(emitter, form.product, sides)
    return _Factors([_in_dtype(s, raw) for s in covered], kept, parts, leaking, raw)


def _sides(emitter: Emitter, product: Product) -> list[Value]:
    """The factors, small ones multiplied into the ones that have their axes."""
    above = [emitter.real(emitter.values[n]) for n in product.above]
    below = [emitter.real(emitter.values[n]) for n in product.below]
    sides = []
    largest = groups([frozenset(v.axes) for v in (*above, *below)])
    # A factor that fits in several goes to the smallest, where multiplying costs least.
    home = {id(v): min((g for g in largest if set(v.axes) <= g), key=len) for v in (*above, *below)}
    for axes in largest:
        over = [v for v in above if home[id(v)] is axes]
        under = [v for v in below if home[id(v)] is axes]
        side = over[0] if len(over) == 1 and not under else multiplied(Fraction(1), over, under, REAL)
        sides.append(side if len(over) + len(under) == 1 and len(side.code) < 40 else emitter.named(side, "factor"))
    return sides


def _masked(emitter: Emitter, side: Value, mask: Value) -> Value:
    axes = side.axes
    value = Value(f"torch.where({aligned(mask, axes)}, {side.code}, 0)", ATOM, axes, side.kind)
    return emitter.named(value, "included")


def _leaking(sides: Sequence[Value], parts: Sequence[Value], over: Sequence[Axis]) -> int | None:
    """The side that a condition concerns without being able to mask it."""
    for position, side in enumerate(sides):
        for part in parts:
            if not set(part.axes) <= set(side.axes) and set(part.axes) & set(side.axes) & set(over):
                return position
    return None


def _raw_dtype(emitter: Emitter, product: Product, sides: Sequence[Value]) -> str | None:
    """The leaf in whose own dtype the product runs."""
    leaves = {emitter.leaves[n] for n in emitter.plan.raw if n in emitter.leaves}
    for side in sides:
        name = side.code.partition(".")[0]
        if name in leaves:
            return name
    return None


def _in_dtype(side: Value, raw: str | None) -> Value:
    if raw is None or side.code.partition(".")[0] == raw:
        return side
    return Value(f"{side.at(ATOM)}.to({raw}.dtype)", ATOM, side.axes, side.kind)


def _multiplied(emitter: Emitter, sides: list[Value], kept: tuple[Axis, ...]) -> Value:
    union = {a for s in sides for a in s.axes}
    if len(sides) == 2 and all(1 <= len(s.axes) <= 2 for s in sides):
        left, right = sorted(sides, key=lambda s: min((kept.index(a) for a in s.axes if a in kept), default=9))
        shared = [a for a in left.axes if a in right.axes]
        if len(shared) == 1 and shared[0] not in kept and len(kept) == len(union) - 1:
            return _matmul(left, right, shared[0], kept)
    letters = _letters(union)
    equation = ",".join("".join(letters[a] for a in s.axes) for s in sides)
    equation += "->" + "".join(letters[a] for a in kept)
    return Value(f'torch.einsum("{equation}", {", ".join(s.code for s in sides)})', ATOM, kept, REAL)


def _matmul(left: Value, right: Value, shared: Axis, kept: tuple[Axis, ...]) -> Value:
    """`left @ right`, transposed where the shared axis does not stand last or first."""
    a = left if left.axes[-1] is shared else _transposed(left)
    b = right if right.axes[0] is shared else _transposed(right)
    # Bound like a sum: `x * y @ z` would multiply before.
    return Value(f"{a.at(PRODUCT)} @ {b.at(ATOM)}", SUM, kept, REAL)


def _transposed(value: Value) -> Value:
    code = value.code.removesuffix(".T") if value.code.endswith(".T") else f"{value.at(ATOM)}.T"
    return Value(code, ATOM, value.axes[::-1], value.kind)


def _letters(axes: set[Axis]) -> dict[Axis, str]:
    letters: dict[Axis, str] = {}
    for axis in in_order(axes):
        wanted = [axis.name[0].lower(), *"abcdefghijklmnopqrstuvwxyz"]
        letters[axis] = next(c for c in wanted if c.isascii() and c.isalpha() and c not in letters.values())
    return letters


def _guarded(
    emitter: Emitter, sides: list[Value], parts: Sequence[Value], leaking: int, kept: tuple[Axis, ...]
) -> Value:
    """A product in which the condition masks one side and must also hide what is not finite in the other.

    Rows of the other side that are not finite show where the condition includes them, even with a weight of 0.
    """
    from lossdsl.backend.reductions import mask_of

    right, left = sides[leaking], sides[1 - leaking]
    mask = mask_of(emitter, [p for p in parts if not set(p.axes) <= set(right.axes)])
    assert mask is not None
    mask = emitter.named(mask, "mask")
    right = emitter.named(right, "factor")
    shared = [a for a in right.axes if a in mask.axes or (a in left.axes and a in kept)]
    rows = f"~torch.isfinite({right.code})"
    if len(shared) < len(right.axes):
        rows = f"({rows}).any({_dims(right.axes, shared)})"
    lost = emitter.permuted(emitter.named(Value(rows, ATOM, tuple(shared), BOOL), "lost"), shared)
    union = in_order((*mask.axes, *lost.axes))
    seen = tuple(a for a in union if a in kept)
    code = f"{aligned(mask, union, BIT_AND)} & {aligned(lost, union, BIT_AND)}"
    bad = emitter.named(Value(f"({code}).any({_dims(union, seen)})", ATOM, seen, BOOL), "bad")
    finite = Value(f"torch.where(torch.isfinite({right.code}), {right.code}, 0)", ATOM, right.axes, REAL)
    product = emitter.named(_multiplied(emitter, [left, emitter.named(finite, "finite")], kept), "product")
    return Value(f"torch.where({aligned(bad, kept)}, torch.nan, {product.code})", ATOM, kept, REAL)


def _dims(axes: Sequence[Axis], kept: Sequence[Axis]) -> str:
    """The places of the axes that are not kept, as an argument."""
    places = [str(i) for i, a in enumerate(axes) if a not in kept]
    return places[0] if len(places) == 1 else tuple_text(places)
