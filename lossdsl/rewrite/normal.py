"""One form for each thing: sums and products flattened and collected, picks moved inward, constants worked out.

These are the identities that hold for every operand and lose no accuracy. They are applied while nodes are made, so
that patterns of rules need not know the many ways to write the same sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from lossdsl.build import Builder, conjuncts
from lossdsl.graph import REAL, Axis, Node, reachable, union
from lossdsl.ops import Op
from lossdsl.optable import OPS
from lossdsl.rewrite.labels import label_of, labelled

# A shared sum is written out inside another only while it is this short: longer ones stay shared.
_FLATTEN = 8
_ZERO, _ONE = Fraction(0), Fraction(1)


class Normaliser(Builder):
    """A builder whose nodes are in normal form."""

    counts_are_sizes = False
    """Whether `sum[K](1)` becomes `|K|`; rules for averages want to see the sum."""

    def __init__(self, onto: Builder | None = None) -> None:
        super().__init__()
        if onto is not None:
            # The same nodes as in the graph that is rewritten, so that old and new can be mixed.
            self._interned = onto._interned
            self._limit = onto._limit
        self._normal: dict[tuple[Any, ...], Node] = {}

    def node(self, op: Op, arguments: Sequence[Node] = (), attributes: Iterable[Any] = ()) -> Node:
        arguments, attributes = tuple(arguments), tuple(attributes)
        key = (op.name, arguments, attributes)
        found = self._normal.get(key)
        if found is None:
            normalise = _FORMS.get(op.name)
            found = normalise(self, arguments, attributes) if normalise is not None else None
            if found is None:
                found = self.finish(super().node(op, arguments, attributes))
            self._normal[key] = found
        return found

    def finish(self, node: Node) -> Node:
        """A hook for rules, called with each node that is in normal form."""
        return node

    def plain(self, op: Op, arguments: Sequence[Node], attributes: Iterable[Any] = ()) -> Node:
        """The node itself, with the rules but without a further look at its form."""
        return self.finish(super().node(op, arguments, attributes))


def _number(node: Node) -> Fraction | None:
    return node.value if node.is_constant and isinstance(node.value, Fraction) else None


# Sums


def _add(g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
    coefficients: dict[Node, Fraction] = {}
    constant = _ZERO
    for term in _flat("add", arguments):
        factor, rest = _split(g, term)
        if rest is None:
            constant += factor
        else:
            before = coefficients.get(rest)
            coefficients[rest] = factor if before is None else before + factor
    axes = {a for n in arguments for a in n.axes}
    cancelled = _cancelled(g, coefficients)
    if cancelled is not None:
        result = g.add(*cancelled, g.constant(constant))
        return g.expand(result, sorted(axes - set(result.axes), key=lambda a: a.order))
    terms = [n if f == 1 else g.mul(g.constant(f), n) for n, f in coefficients.items() if f != 0]
    if constant != 0 or not terms:
        terms.append(g.constant(constant))
    result = terms[0] if len(terms) == 1 else _beside_a_label(g, terms) or g.plain(OPS["add"], terms)
    return g.expand(result, sorted(axes - set(result.axes), key=lambda a: a.order))


def _cancelled(g: Normaliser, coefficients: dict[Node, Fraction]) -> list[Node] | None:
    """`x (a + c) - x (b + c)` as `x (a - b)`: what the sums have in common would take digits with it as it cancels."""
    products = [n for n, f in coefficients.items() if n.op.name == "mul" and f != 0]
    if len(products) > _FLATTEN:
        return None
    for one, other in itertools.combinations(products, 2):
        number = coefficients[other] / coefficients[one]
        own = [f for f in one.arguments if f not in other.arguments]
        others = [f for f in other.arguments if f not in one.arguments]
        if abs(number) != 1 or not len(own) == len(others) == 1 or not own[0].op.name == others[0].op.name == "add":
            continue
        left = g.add(own[0], g.mul(g.constant(number), others[0]))
        if left.op.name != "add":
            shared = [f for f in one.arguments if f is not own[0]]
            rest = [g.mul(g.constant(f), n) for n, f in coefficients.items() if n is not one and n is not other]
            return [*rest, g.mul(g.constant(coefficients[one]), *shared, left)]
    return None


def _beside_a_label(g: Normaliser, terms: Sequence[Node]) -> Node | None:
    """Softmax less a one-hot, which cancels at the label, as a choice there: rules know one probability by itself."""
    for term in terms:
        number, core = _split(g, term)
        found = labelled(core) if core is not None else None
        if found is None or not (found.at_label.is_constant and found.elsewhere.is_constant):
            continue
        rest = [t for t in terms if t is not term]
        if any(_is_softmax(t, found.axis) for t in rest):
            picked = [g.pick(t, found.axis, found.label) for t in rest]
            at_label, elsewhere = (g.mul(g.constant(number), side) for side in (found.at_label, found.elsewhere))
            condition = g.compare("==", g.index(found.axis), found.label)
            return g.select(condition, g.add(at_label, *picked), g.add(elsewhere, *rest))
    return None


def _is_softmax(node: Node, axis: Axis) -> bool:
    """Whether a node is a softmax along an axis, times a number perhaps."""
    if node.op.name == "mul":
        rest = [f for f in node.arguments if not f.is_constant]
        return len(rest) == 1 and _is_softmax(rest[0], axis)
    return node.op.name == "softmax" and axis in node.attributes[0].axes


def _flat(name: str, arguments: Sequence[Node]) -> Iterable[Node]:
    for argument in arguments:
        if argument.op.name == "expand" and len(arguments) > 1:
            argument = argument.arguments[0]
        if argument.op.name == name and len(argument.arguments) <= _FLATTEN:
            yield from argument.arguments
        else:
            yield argument


def _split(g: Normaliser, term: Node) -> tuple[Fraction, Node | None]:
    """A term as coefficient and rest; the rest of a constant is None."""
    number = _number(term)
    if number is not None:
        return number, None
    if term.op.name == "mul":
        for position, factor in enumerate(term.arguments):
            number = _number(factor)
            if number is not None:
                others = term.arguments[:position] + term.arguments[position + 1 :]
                return number, others[0] if len(others) == 1 else g.plain(OPS["mul"], others)
    return _ONE, term


# Products and powers


def _mul(g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
    constant = _ONE
    powers: dict[Node, list[Node]] = {}
    for factor in _flat("mul", arguments):
        number = _number(factor)
        if number is not None:
            constant *= number
        elif factor.op.name == "pow" and factor.arguments[1].is_constant:
            powers.setdefault(factor.arguments[0], []).append(factor.arguments[1])
        else:
            powers.setdefault(factor, []).append(g.constant(_ONE))
    axes = {a for n in arguments for a in n.axes}
    if constant == 0:
        return g.expand(g.constant(Fraction(0)), sorted(axes, key=lambda a: a.order))
    factors = [g.power(base, g.add(*exponents)) for base, exponents in powers.items()]
    if any(_number(f) is not None or (f.op.name == "mul" and len(f.arguments) <= _FLATTEN) for f in factors):
        return _mul(g, (*factors, g.constant(constant)), ()) if factors else g.constant(constant)
    if constant != 1 or not factors:
        if len(factors) == 1 and factors[0].op.name == "add" and len(factors[0].arguments) <= _FLATTEN:
            result = g.add(*(g.mul(g.constant(constant), t) for t in factors[0].arguments))
            return g.expand(result, sorted(axes - set(result.axes), key=lambda a: a.order))
        factors.append(g.constant(constant))
    result = factors[0] if len(factors) == 1 else g.plain(OPS["mul"], factors)
    return g.expand(result, sorted(axes - set(result.axes), key=lambda a: a.order))


def _pow(g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
    base, exponent = arguments
    e = _number(exponent)
    if base.op.name == "expand":
        return g.expand(g.power(base.arguments[0], exponent), base.axes)
    if e == 0:
        return g.expand(g.constant(Fraction(1)), base.axes)
    if _number(base) == 1:
        return g.expand(base, exponent.axes)
    if e is None:
        return None
    b = _number(base)
    if b is not None:
        return g.constant(1 / b) if e == -1 and b != 0 else None
    whole = e.denominator == 1
    if base.op.name == "pow" and (whole or base.arguments[0].range.nonnegative):
        return g.power(base.arguments[0], g.mul(base.arguments[1], exponent))
    if base.op.name == "mul" and (whole or all(f.range.nonnegative for f in base.arguments)):
        return g.mul(*(g.power(f, exponent) for f in base.arguments))
    if base.op.name == "abs" and whole and e % 2 == 0:
        return g.power(base.arguments[0], exponent)
    return None


# Selections and conditions


def _select(g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
    condition, then, otherwise = arguments
    if condition.is_constant:
        return g.expand(then if condition.value else otherwise, condition.axes)
    if condition.op.name == "not" and _number(otherwise) != 0:
        # What is hidden keeps its 0 behind it, where patterns look for it.
        return g.select(condition.arguments[0], otherwise, then)
    if then.op.name == "select" and then.arguments[0] is condition:
        return g.select(condition, then.arguments[1], otherwise)
    if otherwise.op.name == "select" and otherwise.arguments[0] is condition:
        return g.select(condition, then, otherwise.arguments[2])
    return None


def _not(g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
    (x,) = arguments
    if x.is_constant:
        return g.constant(not x.value)
    return x.arguments[0] if x.op.name == "not" else None


def _and(g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
    """What holds here holds somewhere: `p and any[K](p)` is `p`."""
    rest = [c for c in arguments if not _follows(c, arguments)]
    if len(rest) == len(arguments):
        return None
    return g.expand(g.conjunction(rest), union(a.axes for a in arguments))


def _follows(condition: Node, given: Sequence[Node]) -> bool:
    """Whether a condition is that one of those given holds somewhere, or something else does."""
    if condition.op.name == "or":
        return any(_follows(part, given) for part in condition.arguments)
    if condition.op.name != "any" or len(condition.arguments) > 1:
        return False
    return all(part in given for part in conjuncts(condition.arguments[0]))


def _compare(operator: str) -> Callable[[Normaliser, tuple[Node, ...], tuple[Any, ...]], Node | None]:
    def form(g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
        x, y = arguments
        if x is y and x.kind != REAL:
            return g.expand(g.constant(operator != "<"), x.axes)
        a, b = _number(x), _number(y)
        if a is not None and b is not None:
            return g.constant({"==": a == b, "<": a < b, "<=": a <= b}[operator])
        if operator == "==" and x.range.meet(y.range).empty:
            return g.expand(g.constant(False), union((x.axes, y.axes)))
        return None

    return form


# Axes


def _pick(g: Normaliser, arguments: tuple[Node, ...], attributes: tuple[Any, ...]) -> Node | None:
    x, index = arguments
    axis: Axis = attributes[0]
    if axis not in x.axes:
        return g.expand(x, index.axes)
    if x.op.name == "index" and x.attributes[0] is axis:
        return index
    if x.op.name == "expand" and axis not in x.arguments[0].axes:
        return g.expand(x.arguments[0], [*(a for a in x.axes if a is not axis), *index.axes])
    # A pick from f(x) is f of a pick from x: less work, unless the pick makes the value larger.
    if x.op.family == "elementwise" and all(a in x.axes for a in index.axes):
        return g.node(x.op, tuple(g.node(OPS["pick"], (a, index), attributes) for a in x.arguments), x.attributes)
    return None


def _expand(g: Normaliser, arguments: tuple[Node, ...], attributes: tuple[Any, ...]) -> Node | None:
    (x,) = arguments
    new = tuple(a for a in attributes if a not in x.axes)
    if not new:
        return x
    if x.op.name == "expand":
        return g.node(OPS["expand"], x.arguments, (*x.attributes, *new))
    return None if len(new) == len(attributes) else g.node(OPS["expand"], (x,), new)


def _outer(_g: Normaliser, arguments: tuple[Node, ...], _attributes: tuple[Any, ...]) -> Node | None:
    return arguments[0]


def _sum(g: Normaliser, arguments: tuple[Node, ...], attributes: tuple[Any, ...]) -> Node | None:
    """Constants and invariant factors go out of a sum. What is left of a constant is a count, `sum[K](1)`."""
    body, over = arguments[0], attributes[0]
    if body.op.name == "expand" and all(a in over.axes for a in body.attributes):
        body = body.arguments[0]
        return g.node(OPS["sum"], (body, *arguments[1:]), attributes)
    if len(arguments) == 2 and arguments[1].is_constant and arguments[1].value is True:
        return g.node(OPS["sum"], (body,), attributes)
    number = _number(body)
    if number == 1 and len(arguments) == 1 and g.counts_are_sizes:
        return g.mul(*(g.size(a) for a in over.axes))
    if number is not None and number != 1:
        return g.mul(body, g.node(OPS["sum"], (g.constant(Fraction(1)), *arguments[1:]), attributes))
    at_label = _at_label(g, body, arguments[1:], over.axes)
    if at_label is not None:
        return at_label
    if body.op.name == "mul":
        # Under a filter only settings of the loss go out: what selects nothing must not meet a factor that may
        # then be infinite, such as one over the count of what is selected.
        movable = _is_setting if len(arguments) == 2 else _anything
        outside = [f for f in body.arguments if not set(f.axes) & set(over.axes) and movable(f)]
        inside = [f for f in body.arguments if f not in outside]
        if outside:
            inner = g.mul(*inside) if inside else g.constant(Fraction(1))
            return g.mul(*outside, g.node(OPS["sum"], (inner, *arguments[1:]), attributes))
    return None


def _at_label(g: Normaliser, body: Node, filters: tuple[Node, ...], over: tuple[Axis, ...]) -> Node | None:
    """A sum over the one place that a label names is a pick; a softmax summed beside a label is what is left to 1."""
    if len(over) > 1:
        return None
    axis = over[0]
    zero = g.constant(Fraction(0))
    if filters:
        parts = conjuncts(filters[0])
        for part in parts:
            label = label_of(part, axis)
            if label is not None and body.op.name in ("log_softmax", "softmax"):
                rest = g.conjunction(p for p in parts if p is not part)
                inside = g.conjunction((_is_a_place(g, label), g.pick(rest, axis, label)))
                return g.select(inside, g.pick(body, axis, label), zero)
        return None
    found = labelled(body)
    if found is None or found.axis is not axis or not _is_softmax(found.elsewhere, axis):
        return None
    if label_of(g.compare("==", g.index(axis), found.label), axis) is None:
        return None
    others = g.negation(g.compare("==", g.index(axis), found.label))
    at_label = g.select(_is_a_place(g, found.label), found.at_label, zero)
    return g.add(at_label, g.reduce("sum", (axis,), found.elsewhere, others))


def _is_a_place(g: Normaliser, label: Node) -> Node:
    """That a label is not its sentinel."""
    sentinel = label.attributes[0].sentinel
    return g.constant(True) if sentinel is None else g.compare("!=", label, g.constant(Fraction(sentinel)))


def _anything(_node: Node) -> bool:
    return True


def _is_setting(node: Node) -> bool:
    """A single number made of constants, hypers, parameters and sizes alone."""
    return not node.axes and all(
        n.is_constant
        or n.op.name == "size"
        or (n.op.family == "elementwise" and not n.op.step)
        or (n.op.name == "leaf" and n.attributes[0].role in ("hyper", "learn"))
        for n in reachable([node])
    )


_FORMS: dict[str, Callable[[Normaliser, tuple[Node, ...], tuple[Any, ...]], Node | None]] = {
    "add": _add,
    "mul": _mul,
    "pow": _pow,
    "select": _select,
    "not": _not,
    "and": _and,
    "eq": _compare("=="),
    "lt": _compare("<"),
    "le": _compare("<="),
    "pick": _pick,
    "expand": _expand,
    "outer": _outer,
    "sum": _sum,
}
