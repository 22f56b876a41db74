"""The range of a part divided by its whole, as in `a / (a + b)` and `x / sum[K](x)`.

Interval arithmetic takes the part and the part in the whole for two values. Where nothing in the whole is negative,
their ratio is from 0 to 1. Both ends are taken as reached, as rounding reaches them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lossdsl.graph import Node
from lossdsl.ranges import UNIT, Interval, multiply


def share_range(factors: Sequence[Node]) -> Interval | None:
    """The range of a product in which a whole divides a part of it; None where no factor does."""
    for divisor in factors:
        if divisor.op.name != "pow" or divisor.arguments[0].op.name not in ("add", "sum"):
            continue
        if not (divisor.arguments[1].is_constant and divisor.arguments[1].value == -1):
            continue
        others = [f for f in factors if f is not divisor]
        for part in _parts(divisor.arguments[0]):
            used = _among(part, others)
            if used is not None:
                total = UNIT
                for factor in used:
                    total = multiply(total, factor.range)
                return total
    return None


def _parts(whole: Node) -> Iterable[Node]:
    """What a whole is at least, each at least 0."""
    if whole.op.name == "sum":
        # A selection of what is summed is a part of it too, but that is seldom written.
        body = whole.arguments[0]
        if body.range.nonnegative:
            yield from (whole, body) if len(whole.arguments) == 1 else (whole,)
    elif all(term.range.nonnegative for term in whole.arguments):
        yield from whole.arguments


def _among(part: Node, factors: list[Node]) -> list[Node] | None:
    """The factors that are left when those of the part are taken out; None where they are not all there."""
    wanted = Counter(_factors(part))
    left = []
    for factor in (f for given in factors for f in _factors(given)):
        if wanted[factor] > 0:
            wanted[factor] -= 1
        else:
            left.append(factor)
    return None if any(wanted.values()) else left


def _factors(node: Node) -> Sequence[Node]:
    return node.arguments if node.op.name == "mul" else (node,)
