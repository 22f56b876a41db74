"""Differences that cannot be large, as in `exp(x - max[K](x))`: what is subtracted is at least as large as the rest.

A mixture such as `log(w exp(x) + (1 - w) exp(y))` is taken as at least x: it is less by `log(w)` at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from lossdsl.graph import Axis, Node

Terms = dict[Node, Fraction]
"""A sum without its constant: how often each term occurs."""


def held_down(node: Node) -> bool:
    """Whether a difference, or a product of one with what is not negative, is at most about 0."""
    if node.op.name == "mul":
        differences = [a for a in node.arguments if a.op.name == "add"]
        others = [a for a in node.arguments if a.op.name != "add"]
        return len(differences) == 1 and all(a.range.nonnegative for a in others) and held_down(differences[0])
    if node.op.name != "add" or any(a.is_constant and a.range.high > 1 for a in node.arguments):
        return False
    terms = _terms(node)
    for bound, factor in terms.items():
        rest = {t: f for t, f in terms.items() if t is not bound}
        for value, axes in _values_below(bound):
            if factor < 0 and _alike(rest, {t: -factor * f for t, f in _terms(value).items()}, axes):
                return True
    return False


def _values_below(bound: Node) -> Iterator[tuple[Node, tuple[Axis, ...]]]:
    """What a value is no less than, with the axes along which that may be picked."""
    while bound.op.name == "stop":
        (bound,) = bound.arguments
    if bound.op.name in ("max", "logsumexp") and len(bound.arguments) == 1:
        yield bound.arguments[0], bound.attributes[0].axes
    if bound.op.name in ("maximum", "logaddexp"):
        yield from ((x, ()) for x in bound.arguments)
    if bound.op.name == "log_mix":
        yield from ((x, ()) for x in bound.arguments[1:])


def _alike(found: Terms, wanted: Terms, axes: tuple[Axis, ...]) -> bool:
    """Whether the one sum is the other, or the other at an index of one of the axes."""
    if found == wanted:
        return True
    for axis in axes:
        indices = {t.arguments[1] for t in found if t.op.name == "pick" and t.attributes[0] is axis}
        if len(indices) == 1:
            unpicked = {t.arguments[0] if t.op.name == "pick" else t: f for t, f in found.items()}
            fixed = (t for t in found if t.op.name != "pick")
            return unpicked == wanted and all(axis not in t.axes for t in fixed)
    return False


def _terms(node: Node) -> Terms:
    terms: Terms = {}
    for term in node.arguments if node.op.name == "add" else (node,):
        if term.is_constant:
            continue
        numbers = [a.value for a in term.arguments if a.is_constant] if term.op.name == "mul" else []
        others = [a for a in term.arguments if not a.is_constant]
        if len(numbers) == len(others) == 1 and isinstance(numbers[0], Fraction):
            terms[others[0]] = numbers[0]
        else:
            terms[term] = Fraction(1)
    return terms
