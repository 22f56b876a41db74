"""The forms in which a value can be computed, and what each needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

from lossdsl.backend.differences import Pair
from lossdsl.graph import Axis, Node


@dataclass(frozen=True)
class Product:
    """A product: coefficient, numerators and denominators."""

    coefficient: Fraction
    above: tuple[Node, ...]
    below: tuple[Node, ...]

    @property
    def needs(self) -> tuple[Node, ...]:
        return (*self.above, *self.below)

    @property
    def size(self) -> Product:
        """The product without its sign."""
        return replace(self, coefficient=abs(self.coefficient))


@dataclass(frozen=True)
class Reduction:
    """A reduction of a body over axes, where every part of the filter holds."""

    body: Node
    parts: tuple[Node, ...]
    axes: tuple[Axis, ...]
    hot: tuple[tuple[Axis, Node], ...] = ()
    """Axes that are reduced where they equal an index: the body is picked there."""
    segment: tuple[Axis, Node] | None = None
    """The axis that is kept and the index that says where each value goes."""
    product: Product | None = None
    """The factors of a contraction."""
    holes: tuple[tuple[Axis, Node], ...] = ()
    """Places that are left out: where an axis that is reduced equals an index."""
    pair: Pair | None = None
    """The differences whose lengths are taken, or which are summed with the factors as weights."""
    shared: bool = False
    """Whether the exponentials of a logsumexp are kept for a softmax."""
    shifted: bool = False
    """Whether what they are taken of is kept for a log-softmax."""
    averaged: bool = False
    """Whether a sum is to be divided by the number of its places."""

    @property
    def needs(self) -> tuple[Node, ...]:
        inside = self.product.needs if self.product is not None else () if self.pair is not None else (self.body,)
        if self.pair is not None:
            inside = (*inside, self.pair.left, self.pair.right)
        labels = (*self.hot, *self.holes, *((self.segment,) if self.segment else ()))
        return (*inside, *self.parts, *(label for _, label in labels))

    @property
    def dense(self) -> bool:
        return not self.hot and self.segment is None and self.product is None and self.pair is None


@dataclass(frozen=True)
class Written:
    """A value that is another one where an axis equals an index."""

    axis: Axis
    label: Node
    inside: Node
    outside: Node
    mask: Node | None = None
    """Where the value counts; it is 0 elsewhere."""

    @property
    def needs(self) -> tuple[Node, ...]:
        return (self.label, self.inside, self.outside, *((self.mask,) if self.mask is not None else ()))


@dataclass(frozen=True)
class Softmax:
    """`exp(x - logsumexp(x))`, from the exponentials of that logsumexp."""

    total: Node

    @property
    def needs(self) -> tuple[Node, ...]:
        return (self.total,)


@dataclass(frozen=True)
class LogSoftmax:
    """`x - logsumexp(x)` or its opposite, and what is added, from what the exponentials of that logsumexp were taken of.

    Both may be large and nearly equal; the largest score, which is in both, is never added.
    """

    total: Node
    sign: int
    """That of x."""
    rest: tuple[Node, ...]

    @property
    def needs(self) -> tuple[Node, ...]:
        return (self.total, *self.rest)


@dataclass(frozen=True)
class Joined:
    """A logsumexp over all places, from that over all but the place a label names."""

    others: Node
    body: Node
    axis: Axis
    label: Node

    @property
    def needs(self) -> tuple[Node, ...]:
        return (self.others, self.body, self.label)


@dataclass(frozen=True)
class Sum:
    """A sum whose terms have coefficients of one size, which stands before it."""

    size: Fraction
    terms: tuple[tuple[int, Product], ...]
    """The terms and their signs."""

    @property
    def needs(self) -> tuple[Node, ...]:
        return tuple(n for _, term in self.terms for n in term.needs)

    def same(self, sign: int) -> tuple[Fraction, frozenset[tuple[int, Product]]]:
        """What two sums have in common that are equal, or opposite."""
        return self.size, frozenset((sign * s, term) for s, term in self.terms)


Form = Product | Reduction | Written | Softmax | LogSoftmax | Joined | Sum


@dataclass(frozen=True)
class Forms:
    """What is needed for some roots, in an order in which it can be computed."""

    order: tuple[Node, ...]
    uses: Counter[Node]
    chosen: dict[Node, Form]
    raw: frozenset[Node]
    """Leaves that only stand in contractions: they are multiplied in their own dtype."""
    real: frozenset[Node]
    """Whole numbers, such as counts, that are only calculated with: they are made real once."""
