"""What the rows of the op table make of numbers: in float64, or in mpmath to any number of digits.

Conditions are arrays of `bool` in both. In float64 whole numbers are int64 as long as they fit, so that
labels keep all their digits; in mpmath every number is an `mpf`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath
import numpy as np
import numpy.typing as npt

from lossdsl.graph import BOOL, INT, REAL
from lossdsl.ops import Op, arithmetic

Value: TypeAlias = npt.NDArray[Any]

_SPECIAL_DIGITS = 30
"""The digits in which functions that numpy lacks are computed for float64."""
_HUGE = 5_000
"""The binary exponent from which an argument of an exponential counts as infinite."""
_FIRST_DIGITS, _MORE_DIGITS = 60, (150, 400, 1600)
"""400 digits hold the difference from 1 of everything that float64 can tell from 0."""
_TAME_DIGITS = 150
"""These are enough where no sum or function on the way is of numbers further apart than `_TAME` binary digits."""
_TAME = 200
_NOISE = 30
"""What is left of a sum in its last binary digits, beside its largest term, is rounding."""
_AGREEMENT, _NOTHING = mpmath.mpf("1e-25"), mpmath.mpf("1e-400")
_BESIDE = mpmath.mpf("1e-60")
"""The part of the largest result below which another may be rounding alone."""
_ONE = mpmath.mpf(1)
_UNDEFINED = (ZeroDivisionError, ValueError, OverflowError, NotImplementedError, mpmath.mp.NoConvergence)


class Numbers(ABC):
    """How numbers are held and computed with."""

    @abstractmethod
    def working(self) -> AbstractContextManager[Any]:
        """The context in which all other methods are called."""

    @abstractmethod
    def constant(self, value: Fraction | float | bool) -> Value:
        """A constant of the text."""

    @abstractmethod
    def settled(self, array: Value, kind: str) -> Value:
        """Numbers from anywhere, held as values of this kind."""

    @abstractmethod
    def elementwise(self, op: Op, arguments: Sequence[Value], kind: str) -> Value:
        """An elementwise operation on arrays that broadcast."""

    @abstractmethod
    def reduced(self, op: Op, values: Value) -> Any:
        """A reduction of a row that is not empty."""

    @abstractmethod
    def scanned(self, op: Op, arguments: Sequence[Value], options: Mapping[str, Any]) -> Value:
        """A scan along the last dimension of arrays of one shape."""

    def reduced_rows(self, op: Op, rows: Value) -> Value:
        """A reduction of the last dimension, which is not empty."""
        result = np.empty(rows.shape[:-1], dtype=object)
        for place in np.ndindex(result.shape):
            result[place] = self.reduced(op, rows[place])
        return result


class Floats(Numbers):
    """IEEE double precision: what leaves the range becomes infinite and what has no value NaN."""

    def working(self) -> AbstractContextManager[Any]:
        return np.errstate(all="ignore")

    def constant(self, value: Fraction | float | bool) -> Value:
        if isinstance(value, Fraction):
            value = value.numerator if value.denominator == 1 else _rounded(value)
        return self.settled(np.array(value), BOOL if isinstance(value, bool) else INT)

    def settled(self, array: Value, kind: str) -> Value:
        if kind == BOOL:
            return array.astype(bool)
        if kind == INT and array.dtype.kind in "biu":
            return array.astype(np.int64)
        if kind == INT and all(_is_whole(x) for x in array.flat):
            return np.array([int(x) for x in array.flat], dtype=np.int64).reshape(array.shape)
        if array.dtype == object:
            return np.array([_rounded(x) for x in array.flat], dtype=np.float64).reshape(array.shape)
        return array.astype(np.float64)

    def elementwise(self, op: Op, arguments: Sequence[Value], kind: str) -> Value:
        if op.numpy is None:
            exact = Digits(_SPECIAL_DIGITS)
            with exact.working():
                numbers = [exact.settled(a, REAL) for a in arguments]
                return self.settled(exact.elementwise(op, numbers, kind), kind)
        if kind == INT and op.gives is arithmetic:
            arguments = [_unbounded(a) for a in arguments]
        return self.settled(np.asarray(op.numpy(np, *arguments)), kind)

    def reduced(self, op: Op, values: Value) -> Any:
        return self.reduced_rows(op, values)[()]

    def reduced_rows(self, op: Op, rows: Value) -> Value:
        assert op.numpy is not None
        return np.asarray(op.numpy(np, _unbounded(rows) if op.gives is arithmetic else rows, axis=-1))

    def scanned(self, op: Op, arguments: Sequence[Value], options: Mapping[str, Any]) -> Value:
        assert op.numpy is not None
        rows = [_unbounded(a) if op.gives is arithmetic else a for a in arguments]
        return np.asarray(op.numpy(np, *rows, axis=-1, **options))


def _is_whole(x: Any) -> bool:
    return bool(-(2**63) <= x < 2**63) and x == int(x)


def _unbounded(array: Value) -> Value:
    """Whole numbers as Python's, which do not overflow."""
    return array.astype(object) if array.dtype.kind in "iu" else array


def _rounded(x: Any) -> float:
    """The nearest float64, infinite where there is none."""
    try:
        return float(x)
    except OverflowError:
        return math.copysign(math.inf, x)


class Digits(Numbers):
    """mpmath at a number of decimal digits, with exponents of any size."""

    def __init__(self, digits: int) -> None:
        self.digits = digits

    def working(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = mpmath.workdps(self.digits)
        return context

    def constant(self, value: Fraction | float | bool) -> Value:
        if isinstance(value, float) and abs(value) == math.pi:
            # The text says pi; a float is only how the graph holds it.
            value = math.copysign(1, value) * mpmath.pi
        return self.settled(np.array(value, dtype=object), BOOL if isinstance(value, bool) else REAL)

    def settled(self, array: Value, kind: str) -> Value:
        if kind == BOOL:
            return array.astype(bool)
        return _array((_exact(x) for x in array.flat), array.shape)

    def elementwise(self, op: Op, arguments: Sequence[Value], kind: str) -> Value:
        arrays = np.broadcast_arrays(*arguments)
        results = (_called(op, *numbers) for numbers in zip(*(a.flat for a in arrays), strict=True))
        return self.settled(_array(results, arrays[0].shape), kind)

    def reduced(self, op: Op, values: Value) -> Any:
        return _called(op, list(values), listed=op.arity is not None)

    def scanned(self, op: Op, arguments: Sequence[Value], options: Mapping[str, Any]) -> Value:
        result = np.empty(arguments[0].shape, dtype=object)
        for place in np.ndindex(result.shape[:-1]):
            values, *rest = (list(a[place]) for a in arguments)
            result[place] = _scanned_row(op, values, rest, options)
        return result


def _scanned_row(op: Op, values: list[Any], rest: list[list[Any]], options: Mapping[str, Any]) -> list[Any]:
    """A scan of one row; a further argument may differ from place to place."""
    assert op.mpmath is not None
    if not rest:
        return list(op.mpmath(FUNCTIONS, values, **options))
    return [op.mpmath(FUNCTIONS, values, *(r[j] for r in rest), **options)[j] for j in range(len(values))]


def _array(items: Iterable[Any], shape: tuple[int, ...]) -> Value:
    """An array of objects, which numpy must not look into."""
    result = np.empty(math.prod(shape), dtype=object)
    for number, item in enumerate(items):
        result[number] = item
    return result.reshape(shape)


def _exact(x: Any) -> Any:
    if isinstance(x, Fraction):
        return mpmath.mpf(x.numerator) / x.denominator
    return mpmath.mpf(x.item() if isinstance(x, np.generic) else x)


class _Watch:
    """Whether nothing was small enough to be lost, since it was set."""

    tame = True

    @classmethod
    def see(cls, *numbers: Any) -> None:
        sizes = [exponent + bits for _, mantissa, exponent, bits in (n._mpf_ for n in numbers) if mantissa]
        if sizes and max(sizes) - min(sizes) > _TAME:
            cls.tame = False


def _called(op: Op, *numbers: Any, listed: bool = True) -> Any:
    """The row's reference; what has no real value is NaN."""
    assert op.mpmath is not None
    if (listed and op.family == "elementwise" and len(numbers) == 1) or op.name == "pow":
        _Watch.see(_ONE, _exact(numbers[-1]))
    try:
        result = op.mpmath(FUNCTIONS, *numbers) if listed else op.mpmath(FUNCTIONS, *numbers[0])
    except _UNDEFINED:
        return mpmath.nan
    return mpmath.nan if isinstance(result, mpmath.mpc) else result


class _Functions:
    """mpmath's functions, except that exponentials of unthinkable numbers do not take all memory.

    What only rounding keeps apart is equal: a sum that is 0 but for its last digits is 0, so that jumps, ties and
    kinks are met where exact numbers meet them.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(mpmath.mp, name)

    def fsum(self, values: Iterable[Any]) -> Any:
        values = [v if isinstance(v, mpmath.mpf) else _exact(v) for v in values]
        _Watch.see(*values)
        total = mpmath.fsum(values)
        if total == 0 or not mpmath.isfinite(total):
            return total
        largest = max(mpmath.mag(v) for v in values)
        return mpmath.mpf(0) if mpmath.mag(total) < largest - mpmath.mp.prec + _NOISE else total

    def difference(self, x: Any, y: Any) -> Any:
        """x - y, and 0 for equal infinities."""
        return 0 if x == y else self.fsum((x, -y)) if isinstance(x, mpmath.mpf) else x - y

    def floor(self, x: Any) -> Any:
        nearest = mpmath.nint(x)
        return nearest if self.difference(x, nearest) == 0 else mpmath.floor(x)

    def ceil(self, x: Any) -> Any:
        return -self.floor(-x)


def _limited(name: str) -> Callable[[Any], Any]:
    function = getattr(mpmath.mp, name)

    def apply(x: Any) -> Any:
        return function(mpmath.sign(x) * mpmath.inf if mpmath.mag(x) > _HUGE else x)

    return apply


FUNCTIONS = _Functions()
for _name in ("exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh"):
    setattr(FUNCTIONS, _name, _limited(_name))


def settled_digits(compute: Callable[[int], list[Any]]) -> list[Any]:
    """The numbers that `compute` gives with enough digits for them not to change any more."""
    before = compute(_FIRST_DIGITS)
    for digits in _MORE_DIGITS:
        _Watch.tame = True
        after = compute(digits)
        enough = _Watch.tame or digits > _TAME_DIGITS
        largest = max((abs(a) for a in after if mpmath.isfinite(a)), default=0)
        if enough and all(_agree(a, b, largest) for a, b in zip(before, after, strict=True)):
            break
        before = after
    return after


def _agree(a: Any, b: Any, largest: Any) -> bool:
    if a == b or (mpmath.isnan(a) and mpmath.isnan(b)):
        return True
    size = max(abs(a), abs(b))
    nothing = max(_NOTHING, _BESIDE * largest)
    return bool(size < nothing or abs(a - b) <= _AGREEMENT * size)
