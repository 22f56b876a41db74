"""What rounding each step makes of a text: what cancels is seen, what is exact stays so."""

from __future__ import annotations

import numpy as np
import pytest

import lossdsl
from lossdsl.reference import rounded_reference
from lossdsl.testing.subjects import Subject

UNIT = 2.0**-24


def moved(formula: str, x: float, bits: int = 24) -> float:
    """How far the value lies from the one of 200 bits, at most, over a few seeds."""
    program = Subject(
        lossdsl.compile(f"loss g {{ input x: real[B] minimize sum[B]({formula}) }}", backend="eager")
    ).program
    values = [
        rounded_reference(program, {"x": np.array([x])}, (), b, s)[""]
        for b, s in ((200, 0), *((bits, s) for s in range(6)))
    ]
    return float(max(abs(v - values[0]) for v in values))


@pytest.mark.parametrize("formula", ["2 * x", "x - x", "x * 0.5 + x", "if x > 0 then x else 0"])
def test_what_is_exact_stays_so(formula: str) -> None:
    assert moved(formula, 0.375) == 0


@pytest.mark.parametrize("formula", ["exp(x)", "log(x)", "x^3", "sqrt(x) + 1"])
def test_a_good_step_moves_by_a_few_roundings(formula: str) -> None:
    assert 0 < moved(formula, 0.3) < 8 * UNIT


def test_what_cancels_loses_what_the_large_number_does_not_hold() -> None:
    # Between 2^20 and 2^21 numbers of 24 bits lie 1/8 apart.
    assert 1 / 64 < moved("(sin(x) + 2000000) - sin(x + 1) - 1999999", 0.3) <= 1 / 2
