"""Each rewrite rule is true, loses no digits, and fires on its own left side."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import lossdsl
from lossdsl import ast, infer
from lossdsl.build import Builder
from lossdsl.formulas import write_out
from lossdsl.graph import Axis, Node
from lossdsl.ops import Leaf
from lossdsl.ranges import Interval
from lossdsl.reference import Environment, evaluate
from lossdsl.rewrite.engine import Rewriter
from lossdsl.rewrite.rules import Rule, index, rules
from lossdsl.scope import Along

ROW = Axis("R")
SIZES = {"R": 6, "K": 4, "L": 3}
CONSTANTS = (Fraction(5, 2), Fraction(1, 2), Fraction(3), Fraction(4), Fraction(1, 1000))
DIGITS = 300
"""What holds the difference from 1 of every probability that is met here."""

ALL_RULES = [rule for phase in ("stabilise", "specialise") for found in rules(phase).values() for rule in found]


def test_the_kept_index_is_that_of_the_rules() -> None:
    kept = json.loads((Path(lossdsl.__file__).parent / "rules" / "index.json").read_text(encoding="utf-8"))
    assert kept == index(), "run `python -m lossdsl.rewrite.rules`"


class Case:
    """A rule written out over leaves, with values for them."""

    def __init__(self, rule: Rule, seed: int, *, filtered: bool = False) -> None:
        self.rule = rule
        self.draw = np.random.default_rng(seed)
        self.graph = Builder()
        pattern = rule.syntax
        self.axes = {name: Axis(name) for name in sorted(axis_names(pattern))}
        self.leaves: dict[Leaf, np.ndarray] = {}
        self.values = {name: self.stand_in(name, inside) for name, inside in sorted(metavariables(pattern).items())}
        along = {name: Along((axis,), self.filter(axis) if filtered else None) for name, axis in self.axes.items()}
        self.before = write_out(self.graph, pattern, self.values, along)
        self.after = write_out(self.graph, rule.replacement, self.values, along)

    def filter(self, axis: Axis) -> Node:
        """A condition that selects some places of each row, and never none."""
        leaf = Leaf(f"keep_{axis.name}", "input", "bool", (ROW, axis), Interval(0.0, 1.0))
        chosen = self.draw.random((SIZES["R"], SIZES[axis.name])) < 0.6
        chosen[:, 0] = True
        self.leaves[leaf] = chosen
        return self.graph.leaf(leaf)

    def stand_in(self, name: str, inside: set[str]) -> Node:
        facts = list(conditions(self.rule, name))
        if any(fact in ("constant", "fractional", "even", "odd") for fact, _ in facts):
            choices = [c for c in CONSTANTS if all(self._allows(f, b, c) for f, b in facts)]
            return self.graph.constant(choices[self.draw.integers(len(choices))])
        axes = (ROW, *(self.axes[a] for a in sorted(inside)))
        if name == "c":
            chosen = Leaf(name, "input", "bool", (ROW,), Interval(0.0, 1.0))
            self.leaves[chosen] = self.draw.random(SIZES["R"]) < 0.5
            return self.graph.leaf(chosen)
        if name == "t":
            leaf = Leaf(name, "input", "int", (ROW,), Interval(0.0), of=self.axes["K"])
            self.leaves[leaf] = self.draw.integers(0, SIZES["K"], SIZES["R"])
            return self.graph.leaf(leaf)
        if name in ("i", "j"):
            leaf = Leaf(name, "input", "int", (ROW,), Interval(1.0))
            self.leaves[leaf] = self.draw.integers(1, 9, SIZES["R"])
            return self.graph.leaf(leaf)
        interval = Interval()
        if any(fact == "bounded" for fact, _ in facts):
            interval = Interval(-3.0, 3.0)
        for fact, bound in facts:
            interval = interval.meet(_BOUNDS[fact](float(bound or 0))) if fact in _BOUNDS else interval
        leaf = Leaf(name, "input", "real", axes, interval)
        shape = tuple(SIZES[a.name] for a in axes)
        self.leaves[leaf] = self.sample(interval, shape)
        return self.graph.leaf(leaf)

    def _allows(self, fact: str, bound: float | None, value: Fraction) -> bool:
        if fact == "fractional":
            return value.denominator != 1
        if fact in ("even", "odd"):
            return value % 2 == ("even", "odd").index(fact)
        return fact not in _BOUNDS or float(value) in _BOUNDS[fact](float(bound or 0))

    def sample(self, interval: Interval, shape: tuple[int, ...]) -> np.ndarray:
        """Magnitudes over many orders, both signs, inside the range."""
        values = 10.0 ** self.draw.uniform(-6, 1.3, shape) * self.draw.choice([-1.0, 1.0], shape)
        values = np.where(self.draw.random(shape) < 0.5, self.draw.uniform(-3, 3, shape), values)
        if interval.low >= 0:
            values = np.abs(values)
        if interval.high <= 0:
            values = -np.abs(values)
        return np.clip(values, interval.low, interval.high)

    def compute(self, node: Node, precision: int | None) -> np.ndarray:
        sizes = {axis: SIZES[axis.name] for axis in (ROW, *self.axes.values())}
        with np.errstate(all="ignore"):
            return evaluate([node], Environment(self.leaves, sizes, precision))[node]


_BOUNDS = {
    ">": lambda b: Interval(b, math.inf, True),
    ">=": lambda b: Interval(b),
    "<": lambda b: Interval(-math.inf, b, False, True),
    "<=": lambda b: Interval(-math.inf, b),
}


def walk(e: ast.Syntax, inside: frozenset[str] = frozenset()) -> Iterator[tuple[ast.Syntax, frozenset[str]]]:
    yield e, inside
    own = inside
    if isinstance(e, ast.Call) and e.axes is not None:
        own = inside | {w.text for w in e.axes.axes}
    for part in infer.parts(e):
        index = isinstance(e, ast.Substitute) and any(part is i.index for i in e.items if isinstance(i, ast.Pick))
        yield from walk(part, frozenset() if index else own)


def axis_names(e: ast.Expression) -> set[str]:
    return {w.text for part, _ in walk(e) if isinstance(part, ast.Call) and part.axes for w in part.axes.axes}


def metavariables(e: ast.Expression) -> dict[str, set[str]]:
    """Each free name of a pattern, and the axes that the reductions around it need it to have."""
    found: dict[str, set[str]] = {}
    names = axis_names(e)
    for part, inside in walk(e):
        if isinstance(part, ast.Name) and part.text not in names:
            found.setdefault(part.text, set()).update(inside)
    return found


def conditions(rule: Rule, name: str) -> Iterator[tuple[str, float | None]]:
    """What the rule's `where` says about one name."""
    stack = [rule.condition] if rule.condition is not None else []
    while stack:
        e = stack.pop()
        if isinstance(e, ast.Logic):
            stack.extend(e.operands)
        elif isinstance(e, ast.Compare) and isinstance(e.first, ast.Name) and e.first.text == name:
            yield e.rest[0][0], float(e.rest[0][1].value)  # type: ignore[union-attr]
        elif isinstance(e, ast.Call) and any(
            isinstance(a.value, ast.Name) and a.value.text == name for a in e.arguments
        ):
            yield e.function.text, None


def finite(values: np.ndarray) -> np.ndarray:
    """Where exact values are real, finite numbers."""

    def ok(value: object) -> bool:
        return not isinstance(value, complex) and not hasattr(value, "_mpc_") and math.isfinite(float(value))  # type: ignore[arg-type]

    return np.vectorize(ok, otypes=[bool])(values)


def can_be_filtered(rule: Rule) -> bool:
    return bool(axis_names(rule.syntax)) and "unfiltered" not in rule.text and "softmax[K]" not in rule.text


@pytest.mark.parametrize("filtered", [False, True], ids=["plain", "filtered"])
@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda r: r.name)
def test_both_sides_are_equal(rule: Rule, filtered: bool) -> None:
    if filtered and not can_be_filtered(rule):
        return
    compared = 0
    for seed in range(6):
        case = Case(rule, seed, filtered=filtered)
        before, after = case.compute(case.before, 60), case.compute(case.after, 60)
        before, after = np.broadcast_arrays(before, after)
        for x, y in zip(before[finite(before)].flat, after[finite(before)].flat, strict=True):
            assert abs(x - y) <= 1e-45 * max(1, abs(x)), (rule.text, x, y)
            compared += 1
    assert compared >= 6, "the samples never reach the rule's domain"


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda r: r.name)
def test_no_digits_are_lost(rule: Rule) -> None:
    worst_before = worst_after = 0.0
    for seed in range(20):
        case = Case(rule, seed)
        exact, before, after = (
            case.compute(case.before, DIGITS),
            case.compute(case.before, None),
            case.compute(case.after, None),
        )
        exact, before, after = np.broadcast_arrays(exact, before, after)
        for x, b, a in zip(exact.flat, before.flat, after.flat, strict=True):
            if not finite(np.array([x], dtype=object))[0]:
                continue
            scale = max(abs(float(x)), 1e-300)
            worst_before = max(worst_before, error(b, x, scale))
            worst_after = max(worst_after, error(a, x, scale))
    allowed = max(8 * worst_before, 3e-14)
    assert worst_after <= allowed, (rule.text, worst_before, worst_after)


def error(value: float, exact: object, scale: float) -> float:
    if not math.isfinite(value):
        return math.inf
    return float(abs(value - exact)) / scale  # type: ignore[operator]


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda r: r.name)
def test_fires_on_its_own_left_side(rule: Rule) -> None:
    phase = "specialise" if rule in [r for found in rules("specialise").values() for r in found] else "stabilise"
    case = Case(rule, 0, filtered="filter" in rule.name)
    rewriter = Rewriter(case.graph, phase)
    rewriter.rebuild([case.before])
    assert rule.name in [firing.rule.name for firing in rewriter.trace]
