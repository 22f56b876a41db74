"""Differences between the vectors of two sets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lossdsl.graph import Axis, Node


@dataclass(frozen=True)
class Pair:
    """The difference of two vectors, `left[I, K] - right[J, K]`, times a number."""

    node: Node
    left: Node
    right: Node
    first: Axis
    second: Axis
    along: Axis
    scale: Fraction = Fraction(1)
    directed: bool = False
    """Whether it is meant over its length."""
    squared: bool = False
    """Whether the square of its length is meant."""


def pair(node: Node, held: dict[Node, frozenset[Axis]]) -> Pair | None:
    """The node as a difference between the vectors of two sets."""
    if node.op.name != "add" or len(node.arguments) != 2:
        return None
    (first, left), (second, right) = map(_multiple, node.arguments)
    if first != -second:
        return None
    if first < 0:
        left, right, first = right, left, second
    shared = held[left] & held[right]
    own = (held[left] - shared, held[right] - shared)
    if len(shared) == len(own[0]) == len(own[1]) == 1:
        (along,), (one,), (other,) = shared, *own
        return Pair(node, left, right, one, other, along, first)
    return None


def _multiple(node: Node) -> tuple[Fraction, Node]:
    """A term as a number times the rest."""
    if node.op.name == "mul" and len(node.arguments) == 2:
        for number, rest in (node.arguments, node.arguments[::-1]):
            if number.is_constant and isinstance(number.value, Fraction):
                return number.value, rest
    return Fraction(1), node
