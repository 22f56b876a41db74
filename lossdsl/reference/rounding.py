"""What rounding alone makes of a text: each of its steps exact, then rounded up or down to the digits of a floating-point type.

Exponents have any size, so nothing overflows. How far a result lies from the exact one then says how well the
text itself is conditioned, step by step: a difference of two numbers that are almost equal, or a rank among values
that rounding makes equal, has no more digits in any evaluation that computes its parts first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import mpmath
import numpy as np

from lossdsl.program import Program
from lossdsl.reference.binding import Binding, Given
from lossdsl.reference.interpreter import Rounding, evaluate
from lossdsl.reference.numbers import Value
from lossdsl.reference.slopes import slopes_of

_DIGITS = 60


def rounded_reference(
    program: Program,
    given: Mapping[str, Any],
    names: Sequence[str],
    bits: int,
    seed: int,
    *,
    hypers: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    draws: Mapping[str, Any] | None = None,
    step: int = 0,
) -> dict[str, Value]:
    """The value, under the empty name, and the gradients by some inputs, with each step rounded to so many bits.

    What is exact in these digits stays so; whether anything else becomes a little larger or smaller depends on the seed.
    """
    binding = Binding(program, Given(given, hypers or {}, state or {}, draws or {}, step))
    environment = replace(binding.environment(_DIGITS), rounding=Rounding(bits, Random(seed)))
    root = program.minimize
    assert root is not None
    values = evaluate([root], environment)
    found = {"": np.array(_float(values[root][()]))}
    for name in names:
        leaf = next(d.leaf for d in program.declared if d.name == name)
        shape = environment.shape(leaf.axes)
        gradient = np.zeros(int(np.prod(shape, dtype=int)))
        for place, slope in slopes_of(root, leaf, values, environment).items():
            gradient[place] = _float(slope)
        found[name] = binding.unpacked(gradient.reshape(shape), leaf.axes)
    return found


def _float(x: Any) -> float:
    try:
        return float(x)
    except OverflowError:
        return float(mpmath.sign(x) * mpmath.inf)
