"""The form of a reduction, from its body and its filter alone: a contraction, a segment, a pick, a pull between vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from lossdsl.backend.differences import Pair, pair
from lossdsl.backend.kinds import Product, Reduction
from lossdsl.backend.text import in_order
from lossdsl.build import conjuncts, readings
from lossdsl.graph import REAL, Axis, Node

_MOST_GROUPS = 3
_SEGMENTS = frozenset(("sum", "mean", "max", "min", "any", "all", "norm", "logsumexp"))
_DIVIDED = (Fraction(-1), Fraction(-2), Fraction(-3))
"""Exponents of what a product is divided by."""


def product(node: Node) -> Product:
    """The factors of a product, those to a negative power apart."""
    coefficient = Fraction(1)
    above, below = [], []
    for factor in node.arguments:
        value = factor.value if factor.is_constant else None
        exponent = factor.arguments[1] if factor.op.name == "pow" else None
        if isinstance(value, Fraction):
            coefficient *= value
        elif exponent is not None and exponent.is_constant and exponent.value in _DIVIDED:
            # One by one: the square of a tiny number is 0.
            below += [factor.arguments[0]] * -int(exponent.value)
        else:
            above.append(factor)
    return Product(coefficient, tuple(above), tuple(below))


def reduction(node: Node, held: dict[Node, frozenset[Axis]], users: dict[Node, list[Node]]) -> Reduction:
    """The form of a reduction; `held` are the axes along which each node varies."""
    name = node.op.name
    body = node.arguments[0]
    parts = list(conjuncts(node.arguments[1])) if len(node.arguments) > 1 else []
    while name == "sum" and _selects_or_zero(body):
        parts += conjuncts(body.arguments[0])
        body = body.arguments[1]
    axes = list(node.attributes[0].axes)
    hot = []
    if name in _SEGMENTS or name == "prod":
        for part in list(parts):
            for axis, label in labelled(part, held):
                if axis in axes and axis in held[body]:
                    axes.remove(axis)
                    parts.remove(part)
                    hot.append((axis, label))
                    break
    if hot:
        return Reduction(body, tuple(parts), tuple(axes), tuple(hot))
    if name in _SEGMENTS:
        segment = _segment(body, parts, axes, held)
        if segment is not None:
            return segment
    if name == "norm" and not parts and len(axes) == 1:
        one = pair(body, held)
        if one is not None and one.along is axes[0]:
            return Reduction(body, (), tuple(axes), pair=one)
    if name == "sum" and not parts and len(axes) == 1:
        one = _squared(body, held)
        if one is not None and one.along is axes[0]:
            return Reduction(body, (), tuple(axes), pair=one)
    if name == "sum" and len(axes) == 1:
        pulled = _pull(body, parts, axes[0], held)
        if pulled is not None:
            return pulled
    factors = product(body) if name == "sum" and body.op.name == "mul" and len(users[body]) == 1 else None
    if factors is not None and not is_contraction(factors, parts, axes, held):
        factors = None
    return Reduction(body, tuple(parts), tuple(axes), (), None, factors)


def _pull(body: Node, parts: list[Node], axis: Axis, held: dict[Node, frozenset[Axis]]) -> Reduction | None:
    """A sum of differences, or of directions, over one of the two sets of vectors."""
    factors = product(body) if body.op.name == "mul" else Product(Fraction(1), (body,), ())
    found = [(f, one) for f in factors.above if (one := _difference(f, held)) is not None]
    if len(found) != 1 or axis not in (found[0][1].first, found[0][1].second):
        return None
    factor, one = found[0]
    rest = [n for n in factors.needs if n is not factor]
    if any(not held[n] <= {one.first, one.second} for n in (*rest, *parts)):
        return None
    above = tuple(f for f in factors.above if f is not factor)
    weights = Product(factors.coefficient, above, factors.below)
    return Reduction(body, tuple(parts), (axis,), product=weights, pair=one)


def _difference(node: Node, held: dict[Node, frozenset[Axis]]) -> Pair | None:
    """A difference, its direction, or its direction made 0 where there is none."""
    if node.op.name == "unit":
        one = pair(node.arguments[0], held)
        over = node.attributes[0].axes
        return replace(one, directed=True) if one is not None and over == (one.along,) else None
    if node.op.name == "select" and node.arguments[1].is_constant and node.arguments[1].value == 0:
        condition, _, direction = node.arguments
        one = _difference(direction, held) if direction.op.name == "unit" else None
        lengths = [a for a in condition.arguments if a.op.name == "norm"] if condition.op.name == "eq" else []
        alike = [n for n in lengths if one is not None and n.arguments == (one.node,)]
        return one if alike and any(a.is_constant and a.value == 0 for a in condition.arguments) else None
    return pair(node, held)


def _squared(node: Node, held: dict[Node, frozenset[Axis]]) -> Pair | None:
    """The square of a difference."""
    if node.op.name != "pow" or not node.arguments[1].is_constant or node.arguments[1].value != 2:
        return None
    one = pair(node.arguments[0], held)
    return replace(one, squared=True) if one is not None else None


def _selects_or_zero(node: Node) -> bool:
    return node.op.name == "select" and node.arguments[2].is_constant and node.arguments[2].value == 0


def labelled(part: Node, held: dict[Node, frozenset[Axis]]) -> list[tuple[Axis, Node]]:
    """The readings of a condition as `index of an axis == label`."""
    return [(axis, label) for axis, label in readings(part) if label.kind != REAL and axis not in held[label]]


def _segment(body: Node, parts: list[Node], axes: list[Axis], held: dict[Node, frozenset[Axis]]) -> Reduction | None:
    for part in parts:
        rest = [p for p in parts if p is not part]
        inside = frozenset().union(held[body], *(held[p] for p in rest))
        for axis, label in labelled(part, held):
            fits = axis not in axes and axis not in inside and held[label] and held[label] <= set(axes)
            if fits and label.op.name != "index":
                return Reduction(body, tuple(rest), tuple(axes), (), (axis, label))
    return None


def is_contraction(
    factors: Product, parts: Sequence[Node], axes: Sequence[Axis], held: dict[Node, frozenset[Axis]]
) -> bool:
    """Whether multiplying first would make something larger than every factor."""
    sides = groups([held[f] for f in factors.needs])
    union = frozenset().union(*sides)
    if len(sides) < 2 or len(sides) > _MOST_GROUPS or not set(axes) <= union:
        return False
    for part in parts:
        home = [s for s in sides if held[part] <= s]
        if not home:
            return False
        leaks = any(not held[part] <= s and held[part] & s & set(axes) for s in sides)
        if leaks and len(sides) > 2:
            return False
    return True


def groups(held: Sequence[frozenset[Axis]]) -> list[frozenset[Axis]]:
    """The largest sets of axes: a factor within another is multiplied into it beforehand."""
    distinct = sorted(set(held), key=lambda s: (-len(s), [a.order for a in in_order(s)]))
    kept: list[frozenset[Axis]] = []
    for one in distinct:
        if not any(one <= other for other in kept):
            kept.append(one)
    return kept
