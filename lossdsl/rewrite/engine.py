"""Applying rules while nodes are made.

Arguments are rewritten before what uses them, so one pass over a graph reaches a fixed point. Every application is
recorded, with the rule and the place in the spec.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, NamedTuple

from lossdsl import ast
from lossdsl.build import Builder
from lossdsl.formulas import write_out
from lossdsl.graph import Node, reachable
from lossdsl.ranges import Interval
from lossdsl.rewrite.match import Binding, ingredients, match_root
from lossdsl.rewrite.normal import Normaliser
from lossdsl.rewrite.rules import Rule, rules
from lossdsl.scope import Along
from lossdsl.source import Span

_DEEPEST = 40


class Firing(NamedTuple):
    """One application of a rule."""

    rule: Rule
    before: Node
    after: Node
    span: Span | None


class Rewriter(Normaliser):
    """A builder that applies the rules of a phase to every node it makes."""

    def __init__(self, onto: Builder, phase: str = "stabilise") -> None:
        super().__init__(onto)
        self.trace: list[Firing] = []
        self.counts_are_sizes = phase == "specialise"
        self._rules = rules(phase)
        self._depth = 0
        self._dividing = False

    def finish(self, node: Node) -> Node:
        if self._depth > _DEEPEST:
            return node
        candidates = self._rules.get(node.op.name, ())
        there = ingredients(node.arguments) if candidates else frozenset()
        for rule in candidates:
            after = self._apply(rule, node) if rule.needs <= there else None
            if after is not None and after is not node:
                self.trace.append(Firing(rule, node, after, self.span))
                return after
        return self._without_number(node) if node.op.name == "add" and candidates and not self._dividing else node

    def _without_number(self, node: Node) -> Node:
        """A sum whose terms have one number in common, in which a rule finds its pattern without the number."""
        numbers: dict[Any, list[Node]] = {}
        for term in node.arguments:
            constants = [f.value for f in term.arguments if f.is_constant] if term.op.name == "mul" else []
            value = term.value if term.is_constant else constants[0] if constants else 1
            numbers.setdefault(abs(value), []).append(term)
        for number, terms in numbers.items():
            if number in (0, 1) or len(terms) < 2 or not isinstance(number, Fraction):
                continue
            before = len(self.trace)
            self._dividing = True
            total = self.add(*(self.mul(self.constant(1 / number), t) for t in terms))
            self._dividing = False
            if len(self.trace) > before and total.op.name != "add":
                rest = [t for t in node.arguments if t not in terms]
                return self.add(*rest, self.mul(self.constant(number), total))
        return node

    def _apply(self, rule: Rule, node: Node) -> Node | None:
        for binding, left in match_root(rule.pattern, node, self):
            if rule.condition is not None and not holds(rule.condition, binding):
                continue
            self._depth += 1
            try:
                along = {axis.name: found for axis, found in binding.along.items()}
                after = write_out(self, rule.replacement, binding.values, along)
                if left:
                    after = self.node(node.op, (*left, after))
                missing = [a for a in node.axes if a not in after.axes]
                return self.expand(after, missing)
            finally:
                self._depth -= 1
        return None

    def rebuild(self, roots: Iterable[Node]) -> dict[Node, Node]:
        """The rewritten form of every node that the roots need."""
        done: dict[Node, Node] = {}
        for node in reachable(roots):
            self.span = node.span
            done[node] = self.node(node.op, tuple(done[a] for a in node.arguments), node.attributes)
        return done


# Conditions of rules


def holds(condition: ast.Expression, binding: Binding) -> bool:
    """Whether the condition of a rule is proven for a match."""
    match condition:
        case ast.Logic(operator="and"):
            return all(holds(part, binding) for part in condition.operands)
        case ast.Not():
            return not holds(condition.operand, binding)
        case ast.Call():
            return _fact(condition, binding)
        case ast.Compare():
            return _compared(condition, binding)
    raise AssertionError(f"a rule's condition cannot be {condition.span.text!r}")


def _compared(condition: ast.Compare, binding: Binding) -> bool:
    """`x > 0` and the like, by the range of x."""
    name, (operator, number) = condition.first, condition.rest[0]
    assert isinstance(name, ast.Name)
    assert isinstance(number, ast.Number)
    x, bound = binding.values[name.text].range, float(number.value)
    if operator == ">":
        return x.low > bound or (x.low == bound and x.low_open)
    if operator == ">=":
        return x.low >= bound
    if operator == "<":
        return x.high < bound or (x.high == bound and x.high_open)
    if operator == "<=":
        return x.high <= bound
    return bound not in x


def _fact(condition: ast.Call, binding: Binding) -> bool:
    name = condition.function.text
    values = [binding.values[a.value.text] for a in condition.arguments if isinstance(a.value, ast.Name)]
    along = [
        binding.along[axis] for axis in binding.along if condition.axes and axis.name == condition.axes.axes[0].text
    ]
    return _FACTS[name](values, along)


def _fractional(values: list[Node], _along: list[Along]) -> bool:
    node = values[0]
    return node.is_constant and float(node.value) != int(float(node.value))


def _remainder(values: list[Node]) -> float:
    """What a whole constant leaves when it is halved; something else for anything else."""
    return float(values[0].value) % 2 if values[0].is_constant else math.nan


def _varies(values: list[Node], along: list[Along]) -> bool:
    return all(a in values[0].axes for a in along[0].axes)


def _finite(interval: Interval) -> bool:
    return math.isfinite(interval.low) and math.isfinite(interval.high)


_FACTS: dict[str, Callable[[list[Node], list[Along]], bool]] = {
    "constant": lambda values, _: values[0].is_constant,
    "fractional": _fractional,
    "even": lambda values, _: _remainder(values) == 0,
    "odd": lambda values, _: _remainder(values) == 1,
    "unfiltered": lambda _, along: along[0].filter is None,
    "varies": _varies,
    "bounded": lambda values, _: _finite(values[0].range),
    "alike": lambda values, _: values[0].axes == values[1].axes,
    "free": lambda values, along: not set(values[0].axes) & set(along[0].axes),
}
