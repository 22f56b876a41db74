"""What the checker claims about ranges holds: for chosen formulas, and for every node of random programs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from lossdsl.check import check_text
from lossdsl.graph import BOOL, Node, reachable
from lossdsl.program import Program
from lossdsl.ranges import Interval, power
from lossdsl.reference import evaluate
from lossdsl.reference.binding import Binding, Given
from lossdsl.rewrite.engine import Rewriter
from lossdsl.testing import random_draws, random_inputs, random_program

DIGITS = 40
SPEC = """
loss ranged {{
  input p, y: real[B] where 0 <= p <= 1
  input x: real[B] where 2 <= x <= 3
  input z: real[B]
  metric seen = max[B]({formula})
  minimize mean[B](p * y * x * z)
}}
""".replace("p, y: real[B] where 0 <= p <= 1", "p: real[B] where 0 <= p <= 1\n  input y: real[B] where 0 <= y <= 1")


def claimed(formula: str) -> tuple[float, float]:
    """The range of a formula of p and y from 0 to 1, and of x from 2 to 3."""
    checked = check_text(SPEC.format(formula=formula))
    assert checked.ok, "\n".join(map(str, checked.diagnostics))
    (metric,) = checked.programs["ranged"].metrics
    return metric.node.range.low, metric.node.range.high


# The ends are those of the formula at the corners of the box, worked out by hand.
@pytest.mark.parametrize(
    ("formula", "low", "high"),
    [
        ("p * y + (1 - p) * (1 - y)", 0, 1),
        ("p * x + (1 - p) * y", 0, 3),
        ("p - p * y", 0, 1),
        ("p + y - p * y", 0, 1),
        ("1 - p - y + 2 * p * y", 0, 1),
        ("x * (1 - p) - x", -3, 0),
    ],
)
def test_a_value_that_recurs_is_the_same_value(formula: str, low: float, high: float) -> None:
    assert claimed(formula) == (low, high)


# The least and the largest value of a parabola, at its vertex or at the ends of p and x; z is any number.
@pytest.mark.parametrize(
    ("formula", "low", "high"),
    [
        ("1 + z + z^2 / 2", 0.5, math.inf),
        ("3 + 2 * z - z^2", -math.inf, 4),
        ("p - p^2", 0, 0.25),
        ("x^2 - x", 2, 6),
        ("1 - 2 * p + p^2", 0, 1),
    ],
)
def test_a_quadratic_is_bounded_by_its_vertex(formula: str, low: float, high: float) -> None:
    assert claimed(formula) == (low, high)


# Where the whole may have a part below 0, nothing bounds the ratio.
@pytest.mark.parametrize(
    ("formula", "low", "high"),
    [
        ("p / (p + y)", 0, 1),
        ("1 - p / (p + y)", 0, 1),
        ("3 * p * y / (p + p * y)", 0, 3),
        ("-p / sum[B](p)", -1, 0),
        ("p / (p + z)", -math.inf, math.inf),
        ("p / sum[B where z > 0](p)", 0, math.inf),
    ],
)
def test_a_part_of_a_whole_is_at_most_the_whole(formula: str, low: float, high: float) -> None:
    assert claimed(formula) == (low, high)


@pytest.mark.parametrize(
    ("formula", "low", "high"),
    [
        ("cosine[C](u, v)", -1, 1),
        ("dot[C](normalize[C](u), softmax[C](v)) / 2", -0.5, 0.5),
        ("sum[C](softmax[C](u) * softmax[C](v))", 0, 1),
        ("dot[C where v > 0](normalize[C](u), normalize[C](v))", -1, 1),
        ("dot[C](normalize[C](u), v)", -math.inf, math.inf),
        ("dot[C](normalize[B](u), normalize[C](v))", -math.inf, math.inf),
    ],
)
def test_a_cosine_is_at_most_one(formula: str, low: float, high: float) -> None:
    inputs = "input u: real[B, C] input v: real[B, C]"
    program = check_text(f"loss t {{ {inputs} metric seen = max[B]({formula}) minimize mean[B, C](u * v) }}").programs[
        "t"
    ]
    (metric,) = program.metrics
    found = Rewriter(program.graph).rebuild([metric.node])[metric.node].range
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(("formula", "reached"), [("p * p - p", -0.25), ("p - p * p", 0.25), ("p * (1 - p)", 0.25)])
def test_squares_are_not_taken_for_linear(formula: str, reached: float) -> None:
    """At 1/2 these take a value that no corner shows."""
    low, high = claimed(formula)
    assert low <= reached <= high


@pytest.mark.parametrize(
    ("base", "exponent", "largest"),
    [
        (Interval(0.0, 1.0, high_open=True), Interval(1.0), Interval(0.0, 1.0, high_open=True)),
        (Interval(0.0, 1.0, high_open=True), Interval(0.0), Interval(0.0, 1.0)),
        (Interval(0.0, 1.0), Interval(1.0), Interval(0.0, 1.0)),
        (Interval(0.0, 0.5), Interval(2.0), Interval(0.0, 0.25)),
    ],
)
def test_a_power_of_a_part_is_largest_at_the_least_exponent(
    base: Interval, exponent: Interval, largest: Interval
) -> None:
    """(1 - p)^N is below 1 where p > 0 and N >= 1, but not where N may be 0."""
    assert power(base, exponent) == largest


def test_an_exponent_may_be_infinite() -> None:
    """As 1 / q is where q is 0, in a branch that is not taken."""
    assert power(Interval(1.0, 1.0), Interval(math.inf, math.inf)).within(Interval(0.0))
    assert power(Interval(0.0, 2.0), Interval(-math.inf, -math.inf)).within(Interval(0.0))


def outside(node: Node, value: Any) -> bool:
    """Whether a value lies outside of what the node claims, whose ends are floats; NaN is no value."""
    low, high, low_open, high_open = node.range
    slack = 1e-12 * max(1, abs(value))
    below = value < low - (0 if math.isinf(low) else slack) or (low_open and value == low and not math.isinf(low))
    above = value > high + (0 if math.isinf(high) else slack) or (high_open and value == high and not math.isinf(high))
    return value == value and (below or above)


def faults(program: Program, seed: int, *, rewritten: bool) -> Iterator[str]:
    roots = list(program.roots)
    if rewritten:
        done = Rewriter(program.graph).rebuild(roots)
        roots = [done[root] for root in roots]
    given = Given(random_inputs(program, seed, ends=0.2), {}, {}, random_draws(program, seed), 0)
    values = evaluate(roots, Binding(program, given).environment(DIGITS))
    for node in reachable(roots):
        wrong = [x for x in values[node].ravel() if node.kind != BOOL and outside(node, x)]
        if wrong:
            yield f"{node.op.name} in {node.range}: {float(wrong[0])}"


@pytest.mark.parametrize("first", [0, 20, 80, 740])
@pytest.mark.parametrize("rewritten", [False, True])
def test_values_of_random_programs_are_in_their_ranges(first: int, rewritten: bool) -> None:
    for seed in range(first, first + 20):
        written = random_program(seed)
        program = check_text(written.text).programs[written.name]
        assert list(faults(program, seed, rewritten=rewritten)) == [], f"seed {seed}:\n{written.text}"
