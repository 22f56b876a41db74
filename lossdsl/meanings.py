"""What operations compute, in numpy and in arbitrary precision, where a line of the op table has no room for it."""

from __future__ import annotations

import math
from typing import Any


def fold(function: Any) -> Any:
    """An operation of two arrays, applied along any number of them."""

    def apply(np: Any, *values: Any) -> Any:
        total = values[0]
        for value in values[1:]:
            total = function(np, total, value)
        return total

    return apply


def power(mp: Any, x: Any, y: Any) -> Any:
    """As IEEE has it: 1 for the exponent 0, infinite for a negative power of 0."""
    if y == 0:
        return mp.mpf(1)
    return mp.inf if x == 0 and y < 0 else mp.power(x, y)


def largest(_mp: Any, *values: Any) -> Any:
    """The largest number; NaN where one is among them."""
    return next((x for x in values if x != x), max(values))


def smallest(_mp: Any, *values: Any) -> Any:
    return next((x for x in values if x != x), min(values))


def sign(mp: Any, x: Any) -> Any:
    return x if x != x else mp.mpf((x > 0) - (x < 0))


def round(mp: Any, x: Any) -> Any:
    """Half to even, as numpy and torch round."""
    down = mp.floor(x)
    gap = x - down
    return down if gap < 0.5 or (gap == 0.5 and down % 2 == 0) else down + 1


def log_ndtr(mp: Any, x: Any) -> Any:
    """Above 0 by what is missing to 1, which log(1 - ...) would lose."""
    tail = mp.erfc(abs(x) / mp.sqrt(2)) / 2
    return mp.log1p(-tail) if x > 0 else mp.log(tail)


def interval(mp: Any, x: Any, y: Any) -> Any:
    """The probability of a normal number between x - y and x + y, as a difference of tails on one side of 0.

    The less the two differ, the more digits they are given.
    """
    apart = min(1, y, y * abs(x)) if y > 0 and x != 0 else 1
    with mp.workdps(mp.dps - int(mp.log10(apart))):
        return (mp.erfc((abs(x) - y) / mp.sqrt(2)) - mp.erfc((abs(x) + y) / mp.sqrt(2))) / 2


def log_interval(mp: Any, x: Any, y: Any) -> Any:
    """By what is missing to 1 where that is less than half."""
    outside = (mp.erfc((y - abs(x)) / mp.sqrt(2)) + mp.erfc((y + abs(x)) / mp.sqrt(2))) / 2
    return mp.log1p(-outside) if outside < 0.5 else mp.log(interval(mp, x, y))


_TINY = -40.0
"""The logarithm of what is lost beside 1, with room to spare."""


def log1mexp(mp: Any, x: Any) -> Any:
    return mp.log1p(-mp.exp(x)) if x < -1 else mp.log(-mp.expm1(x))


def exp_rest(np: Any, x: Any) -> Any:
    """exp(x) - 1 - x: near 0 by its series, where the difference would lose its digits."""
    near = np.clip(x, -0.5, 0.5)
    series: Any = 1.0
    for power in range(16, 2, -1):
        series = 1 + series * near / power
    return np.where(np.abs(x) < 0.5, near**2 / 2 * series, np.expm1(x) - x)


def log_mix(np: Any, w: Any, x: Any, y: Any) -> Any:
    """Near the larger exponent by what is missing to it, which a logarithm near 1 would lose."""
    missing = -np.where(x >= y, 1 - w, w) * np.expm1(-np.abs(x - y))
    near = np.maximum(x, y) + np.log1p(-np.minimum(missing, 0.5))
    return np.where(missing < 0.5, near, np.logaddexp(np.log(w) + x, np.log1p(-w) + y))


def log_any(np: Any, count: Any, x: Any) -> Any:
    """count times e^x where that is tiny, which a difference from 1 would lose."""
    tiny = x + np.log(count)
    none = count * log_one_minus_exp(np, x)
    return np.where(tiny < _TINY, tiny, log_one_minus_exp(np, np.where(tiny < _TINY, -1.0, none)))


def log_one_minus_exp(np: Any, x: Any) -> Any:
    return np.where(x > -math.log(2), np.log(-np.expm1(np.maximum(x, -1.0))), np.log1p(-np.exp(x)))


def score_entropy(np: Any, x: Any, axis: int) -> Any:
    """The entropy of softmax, from how far each score lies below the largest: the sum of what is not negative."""
    below = np.max(x, axis=axis, keepdims=True) - x
    places = np.expand_dims(np.argmin(below, axis=axis), axis)
    others = np.exp(-below)
    np.put_along_axis(others, places, 0.0, axis=axis)
    rest = np.sum(others, axis=axis)
    used = np.where(others > 0, below, 0.0)
    return np.log1p(rest) + np.sum(others * used, axis=axis) / (1 + rest)


def exact_score_entropy(mp: Any, values: list[Any]) -> Any:
    highest = max(values)
    weights = [mp.exp(x - highest) for x in values]
    total = mp.fsum(weights)
    return mp.log(total) + mp.fsum(w * (highest - x) for w, x in zip(weights, values, strict=True) if w) / total


def place_of(values: list[Any], wanted: Any) -> int:
    """The first place of a value, which may be NaN."""
    return next(i for i, x in enumerate(values) if x == wanted or (x != x and wanted != wanted))


def ranks(np: Any, x: Any, axis: int) -> Any:
    return np.argsort(np.argsort(x, axis=axis, kind="stable"), axis=axis, kind="stable")


def cumsum(np: Any, x: Any, axis: int, reverse: bool = False) -> Any:
    return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis) if reverse else np.cumsum(x, axis=axis)


def topk(np: Any, x: Any, k: Any, axis: int) -> Any:
    return ranks(np, -x, axis) < k


def unit(np: Any, x: Any, axis: int) -> Any:
    """x over its length, and 0 for the zero vector."""
    largest = np.max(np.abs(x), axis=axis, keepdims=True)
    scaled = x / np.where(largest == 0, 1.0, largest)
    return scaled / np.where(largest == 0, 1.0, np.linalg.norm(scaled, axis=axis, keepdims=True))


def exact_unit(mp: Any, values: list[Any]) -> list[Any]:
    length = mp.norm(values)
    return [x / length if length else x for x in values]


def order(values: list[Any]) -> list[int]:
    """Places in ascending order of their values, with NaN last, as numpy and torch have it."""
    return sorted(range(len(values)), key=lambda i: (values[i] != values[i], values[i]))


def place(values: list[Any]) -> list[int]:
    places = [0] * len(values)
    for place, i in enumerate(order(values)):
        places[i] = place
    return places


def running(mp: Any, values: list[Any], reverse: bool = False) -> list[Any]:
    total, out = mp.mpf(0), []
    for value in reversed(values) if reverse else values:
        total = mp.fsum((total, value))
        out.append(total)
    return out[::-1] if reverse else out
