"""Ranges of values: intervals of real numbers with open or closed ends.

The range of an expression contains every value that it can take; it may contain more. Ends are floats, and an
infinite end is always open. Whether a number is whole is a matter of its kind, not of its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

INFINITY = math.inf


class Interval(NamedTuple):
    """`[low, high]`, with either end excluded where it is open."""

    low: float = -INFINITY
    high: float = INFINITY
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float):
            return False
        above = value > self.low or (value == self.low and not self.low_open)
        below = value < self.high or (value == self.high and not self.high_open)
        return above and below

    @property
    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    @property
    def positive(self) -> bool:
        return self.low > 0 or (self.low == 0 and self.low_open)

    @property
    def nonnegative(self) -> bool:
        return self.low >= 0

    @property
    def negative(self) -> bool:
        return self.high < 0 or (self.high == 0 and self.high_open)

    @property
    def nonpositive(self) -> bool:
        return self.high <= 0

    @property
    def nonzero(self) -> bool:
        return 0 not in self

    @property
    def closed(self) -> Interval:
        """The same with both ends, which rounding reaches."""
        return Interval(self.low, self.high)

    def within(self, other: Interval) -> bool:
        """Whether every value of this range lies in the other."""
        if self.empty:
            return True
        low = self.low > other.low or (self.low == other.low and (self.low_open or not other.low_open))
        high = self.high < other.high or (self.high == other.high and (self.high_open or not other.high_open))
        return low and high

    def meet(self, other: Interval) -> Interval:
        """The values in both."""
        low, low_open = max((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = min((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low, high, low_open, not high_closed)

    def join(self, other: Interval) -> Interval:
        """The smallest range that holds both."""
        low, low_open = min((self.low, self.low_open), (other.low, other.low_open))
        high, high_closed = max((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low, high, low_open, not high_closed)

    def __str__(self) -> str:
        left = "(" if self.low_open or math.isinf(self.low) else "["
        right = ")" if self.high_open or math.isinf(self.high) else "]"
        return f"{left}{_shown(self.low)}, {_shown(self.high)}{right}"


REALS = Interval()
BOOLS = Interval(0.0, 1.0)
UNIT = Interval(0.0, 1.0)
NONNEGATIVE = Interval(0.0)
POSITIVE = Interval(0.0, INFINITY, True)
NATURALS = Interval(0.0)


def point(value: float) -> Interval:
    return Interval(value, value)


def add(left: Interval, right: Interval) -> Interval:
    return Interval(
        _sum(left.low, right.low, -INFINITY),
        _sum(left.high, right.high, INFINITY),
        left.low_open or right.low_open,
        left.high_open or right.high_open,
    )


def negate(x: Interval) -> Interval:
    return Interval(-x.high, -x.low, x.high_open, x.low_open)


def multiply(left: Interval, right: Interval) -> Interval:
    if left == right == REALS:
        return REALS
    ends = [
        _product(a, a_open, b, b_open)
        for a, a_open in ((left.low, left.low_open), (left.high, left.high_open))
        for b, b_open in ((right.low, right.low_open), (right.high, right.high_open))
    ]
    # A zero inside either factor is attained whatever the ends say.
    if 0 in left or 0 in right:
        ends.append((0.0, False))
    low, low_open = min(ends)
    high, high_closed = max((value, not is_open) for value, is_open in ends)
    return Interval(low, high, low_open, not high_closed)


def power(base: Interval, exponent: Interval) -> Interval:
    """The range of `base ^ exponent` where it is a real number."""
    if exponent.low == exponent.high:
        return _constant_power(base, exponent.low)
    if not base.nonnegative:
        return REALS
    corners = [_constant_power(base, e) for e in (exponent.low, exponent.high) if math.isfinite(e)]
    result = NONNEGATIVE if not base.positive else POSITIVE
    if base.within(UNIT) and exponent.nonnegative:
        largest = _constant_power(base, exponent.low)
        return Interval(0.0, largest.high, base.positive and math.isfinite(exponent.high), largest.high_open)
    if len(corners) == 2 and math.isfinite(base.high):
        return corners[0].join(corners[1]).join(_constant_power(base, 1.0) if 1 in exponent else corners[0])
    return result


def _constant_power(base: Interval, exponent: float) -> Interval:
    if exponent == 0:
        return point(1.0)
    if math.isinf(exponent):
        return NONNEGATIVE if base.nonnegative else REALS
    if exponent == int(exponent) and int(exponent) % 2 == 0 and not base.nonnegative:
        base = _magnitude(base)
    elif exponent != int(exponent):
        base = base.meet(NONNEGATIVE)
    if exponent < 0:
        return _reciprocal(_constant_power(base, -exponent))
    low, high = _raise(base.low, exponent), _raise(base.high, exponent)
    # A positive base whose power underflows to 0 in floating point is still positive.
    return Interval(low, high, base.low_open or (low == 0 and base.low > 0), base.high_open)


def _reciprocal(x: Interval) -> Interval:
    if x.nonnegative:
        low = 0.0 if math.isinf(x.high) else _divide(1.0, x.high)
        return Interval(low, _divide(1.0, x.low), x.high_open or math.isinf(x.high), x.low_open)
    if x.nonpositive:
        return negate(_reciprocal(negate(x)))
    return REALS


def _magnitude(x: Interval) -> Interval:
    if x.nonnegative:
        return x
    if x.nonpositive:
        return negate(x)
    flipped = negate(x)
    high = max((x.high, not x.high_open), (flipped.high, not flipped.high_open))
    return Interval(0.0, high[0], False, not high[1])


absolute = _magnitude


def rising(function: Callable[[float], float], image: Interval = REALS) -> Callable[[Interval], Interval]:
    """The range rule of an increasing function with the given image."""

    def rule(x: Interval) -> Interval:
        found = Interval(
            _at(function, x.low, image.low), _at(function, x.high, image.high), x.low_open, x.high_open
        ).meet(image)
        # An end that underflows leaves nothing, but the function has values all the same.
        return image if found.empty and not x.empty else found

    return rule


def always(image: Interval) -> Callable[..., Interval]:
    """The range rule of a function of which only the image is known."""
    return lambda *_: image


def _at(function: Callable[[float], float], x: float, fallback: float) -> float:
    if math.isinf(x):
        return fallback
    try:
        return function(x)
    except (ValueError, OverflowError, ZeroDivisionError):
        return fallback


def _sum(a: float, b: float, unknown: float) -> float:
    total = a + b
    return unknown if math.isnan(total) else total


def _product(a: float, a_open: bool, b: float, b_open: bool) -> tuple[float, bool]:
    if a == 0 or b == 0:
        closed = (a == 0 and not a_open) or (b == 0 and not b_open)
        return 0.0, not closed
    return a * b, a_open or b_open or (math.isinf(a * b) and not (math.isinf(a) or math.isinf(b)))


def _raise(base: float, exponent: float) -> float:
    try:
        return math.copysign(abs(base) ** exponent, base if exponent % 2 == 1 else 1.0)
    except OverflowError:
        return INFINITY if base > 0 or exponent % 2 == 0 else -INFINITY


def _divide(a: float, b: float) -> float:
    return INFINITY if b == 0 else a / b


def _shown(value: float) -> str:
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    return f"{value:g}"
