"""Exact derivatives of a graph, forward: with each number goes how fast it changes with each place of a leaf.

The slopes of a number are a sparse row `{place: slope}`. What a number does not depend on, what a filter
excludes and the branch that an `if` does not take are absent from it, so they contribute nothing, however
infinite they are. An infinite derivative that meets a zero inside the chain gives NaN, as the naive chain
rule has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import mpmath
import numpy as np

from lossdsl.graph import BOOL, Node, reachable
from lossdsl.ops import Leaf
from lossdsl.reference.interpreter import Environment, Rounding, aligned, flattened, picked, spread
from lossdsl.reference.numbers import FUNCTIONS, Value
from lossdsl.reference.partials import partial

Slopes: TypeAlias = dict[int, Any]


def slopes_of(root: Node, leaf: Leaf, values: dict[Node, Value], environment: Environment) -> Slopes:
    """The slopes of the scalar `root` by the places of `leaf`, counted with its last axis fastest."""
    run, rounding = _Run(leaf, values, environment), environment.rounding
    with environment.numbers.working():
        for node in reachable([root]):
            slopes = None if node.op.step or node.kind == BOOL else run.slopes(node)
            if slopes is not None:
                run.found[node] = slopes if rounding is None else _each(lambda s: _rounded(s, rounding), slopes)
    return dict(run.found[root][()]) if root in run.found else {}


def _rounded(slopes: Slopes, rounding: Rounding) -> Slopes:
    return {place: rounding.one(slope) for place, slope in slopes.items()}


def combined(parts: Iterable[tuple[Any, Slopes]]) -> Slopes:
    """The slopes of a sum of numbers, each with a factor."""
    terms: dict[int, list[Any]] = {}
    for factor, slopes in parts:
        for place, slope in slopes.items():
            terms.setdefault(place, []).append(factor * slope)
    return {place: FUNCTIONS.fsum(found) if len(found) > 1 else found[0] for place, found in terms.items()}


class _Run:
    """One sweep over a graph."""

    def __init__(self, leaf: Leaf, values: dict[Node, Value], environment: Environment) -> None:
        self.wanted = leaf
        self.values = values
        self.environment = environment
        self.found: dict[Node, Value] = {}

    def slopes(self, node: Node) -> Value | None:
        if node.op.name == "leaf":
            return self._seeds(node) if node.attributes[0] is self.wanted else None
        if not any(a in self.found for a in node.arguments):
            return None
        rule = _RULES.get(node.op.name) or _FAMILIES[node.op.family]
        return rule(self, node)

    def _seeds(self, node: Node) -> Value:
        shape = self.environment.shape(self.wanted.axes)
        seeds = _empty(shape)
        for number, place in enumerate(np.ndindex(shape)):
            seeds[place] = {number: mpmath.mpf(1)}
        return aligned(seeds, self.wanted.axes, node.axes)

    def _of(self, node: Node) -> Value:
        """The slopes of an argument, also where it has none."""
        found = self.found.get(node)
        return _empty(self.environment.shape(node.axes)) if found is None else found

    def _spread(self, array: Value, argument: Node, node: Node) -> Value:
        return spread(array, argument.axes, node.axes, self.environment)

    # Structure

    def same(self, node: Node) -> Value:
        return self._spread(self._of(node.arguments[0]), node.arguments[0], node)

    def scaled(self, node: Node) -> Value:
        factor = self._spread(self.values[node.arguments[1]], node.arguments[1], node)
        return _each(lambda slopes, by: combined([(by, slopes)]), self.same(node), factor)

    def rename(self, node: Node) -> Value:
        new_of = dict(node.attributes)
        (x,) = node.arguments
        return aligned(self._of(x), [new_of.get(a, a) for a in x.axes], node.axes)

    def pick(self, node: Node) -> Value:
        x, index = node.arguments
        return picked(node, self._of(x), self.values[index], self.environment, {})

    # Elementwise

    def add(self, node: Node) -> Value:
        parts = [self._spread(self._of(a), a, node) for a in node.arguments]
        return _each(lambda *slopes: combined((1, s) for s in slopes), *parts)

    def mul(self, node: Node) -> Value:
        count = len(node.arguments)
        values = [self._spread(_numbers(self.values[a]), a, node) for a in node.arguments]
        slopes = [self._spread(self._of(a), a, node) for a in node.arguments]
        return _each(lambda *both: _product(both[:count], both[count:]), *values, *slopes)

    def select(self, node: Node) -> Value:
        condition, then, otherwise = node.arguments
        chosen = self._spread(self.values[condition], condition, node)
        return _each(
            lambda c, x, y: x if c else y,
            chosen,
            self._spread(self._of(then), then, node),
            self._spread(self._of(otherwise), otherwise, node),
        )

    def elementwise(self, node: Node) -> Value:
        values = [self._spread(_numbers(self.values[a]), a, node) for a in node.arguments]
        total = _empty(self.environment.shape(node.axes))
        for position, argument in enumerate(node.arguments):
            if argument in self.found and (node.op.partials or ())[position] is not None:
                factors = partial(node.op, position, values, self.environment.precision)
                if position == 0 and _is_length(node):
                    # The length of nothing has no direction: its slope is 0, as that of a norm is.
                    factors = factors.copy()
                    factors[values[0] == 0] = None
                own = self._spread(self.found[argument], argument, node)
                total = _each(_with_factor, total, factors, own)
        return total

    # Along axes

    def reduce(self, node: Node) -> Value:
        values = self._rows(node, _numbers(self.values[node.arguments[0]]), 0)
        slopes = self._rows(node, self._of(node.arguments[0]), 0)
        counts = np.ones(values.shape, dtype=bool)
        if len(node.arguments) > 1:
            counts = self._rows(node, self.values[node.arguments[1]], 1)
        result = _empty(self.environment.shape(node.axes))
        for place in np.ndindex(result.shape):
            included = [(v, s) for v, s, c in zip(values[place], slopes[place], counts[place], strict=True) if c]
            weights = _WEIGHTS[node.op.name]([v for v, _ in included]) if included else []
            result[place] = combined((w, s) for w, (_, s) in zip(weights, included, strict=True) if w is not None)
        return result

    def scan(self, node: Node) -> Value:
        over = node.attributes[0]
        kept = tuple(a for a in node.axes if a not in over.axes)
        values = self._rows(node, _numbers(self.values[node.arguments[0]]), 0)
        slopes = self._rows(node, self._of(node.arguments[0]), 0)
        result = _empty(slopes.shape)
        for place in np.ndindex(result.shape[:-1]):
            rows = _SCANS[node.op.name](list(values[place]), list(slopes[place]), dict(over.options))
            for j, row in enumerate(rows):
                result[(*place, j)] = row
        whole = result.reshape(self.environment.shape((*kept, *over.axes)))
        return aligned(whole, (*kept, *over.axes), node.axes)

    def _rows(self, node: Node, array: Value, position: int) -> Value:
        over = node.attributes[0].axes
        kept = tuple(a for a in node.axes if a not in over)
        return flattened(array, node.arguments[position].axes, kept, over, self.environment)


def _is_length(node: Node) -> bool:
    """Whether a power is the root of a sum of squares."""
    if node.op.name != "pow" or not (node.arguments[1].is_constant and node.arguments[1].value == Fraction(1, 2)):
        return False
    base = node.arguments[0]
    while base.op.name in ("sum", "expand", "outer"):
        base = base.arguments[0]
    return _is_square(base) or (base.op.name == "add" and all(map(_is_square, base.arguments)))


def _is_square(node: Node) -> bool:
    if node.op.name == "pow":
        return node.arguments[1].is_constant and node.arguments[1].value == 2
    return node.op.name == "mul" and len(node.arguments) == 2 and node.arguments[0] is node.arguments[1]


def _empty(shape: tuple[int, ...]) -> Value:
    """No slopes anywhere."""
    result = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        result[place] = {}
    return result


def _each(function: Callable[..., Slopes], *arrays: Value) -> Value:
    result = np.empty(arrays[0].shape, dtype=object)
    for place in np.ndindex(result.shape):
        result[place] = function(*(a[place] for a in arrays))
    return result


def _with_factor(total: Slopes, factor: Any, slopes: Slopes) -> Slopes:
    return total if factor is None else combined([(1, total), (factor, slopes)])


def _numbers(value: Value) -> Value:
    """Conditions count as 0 and 1."""
    return value.astype(int) if value.dtype == bool else value


def _product(values: Sequence[Any], slopes: Sequence[Slopes]) -> Slopes:
    """The product rule, with the product of the others taken afresh for each: no factor is divided by."""
    return combined((mpmath.fprod((*values[:i], *values[i + 1 :])), own) for i, own in enumerate(slopes) if own)


# Weights of the values of a reduction; None where a value has no part in the result


def _shared(values: list[Any], extreme: Any) -> list[Any]:
    """The gradient of an extreme value, shared evenly among ties."""
    if any(mpmath.isnan(v) for v in values):
        return [mpmath.nan] * len(values)
    tied = [FUNCTIONS.difference(v, extreme) == 0 for v in values]
    return [mpmath.mpf(1) / sum(tied) if t else None for t in tied]


def _softmax(values: list[Any]) -> list[Any]:
    total = mpmath.fsum(mpmath.exp(v) for v in values)
    return [mpmath.exp(v) / total for v in values]


def _unit(values: list[Any]) -> list[Any]:
    """The direction of a vector; at 0, where it has none, 0."""
    length = mpmath.norm(values)
    return [v / length if length != 0 else mpmath.mpf(0) for v in values]


_WEIGHTS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "sum": lambda v: [1] * len(v),
    "mean": lambda v: [mpmath.mpf(1) / len(v)] * len(v),
    "prod": lambda v: [mpmath.fprod(v[:i] + v[i + 1 :]) for i in range(len(v))],
    "max": lambda v: _shared(v, max(v)),
    "min": lambda v: _shared(v, min(v)),
    "logsumexp": _softmax,
    "norm": _unit,
}


# Slopes of the values of a scan


def _running(_values: list[Any], slopes: list[Slopes], options: dict[str, Any]) -> list[Slopes]:
    backwards = bool(options.get("reverse", False))
    total: Slopes = {}
    result = []
    for own in reversed(slopes) if backwards else slopes:
        total = combined([(1, total), (1, own)])
        result.append(total)
    return result[::-1] if backwards else result


def _log_softmax(values: list[Any], slopes: list[Slopes], _options: dict[str, Any]) -> list[Slopes]:
    mean = combined(zip(_softmax(values), slopes, strict=True))
    return [combined([(1, own), (-1, mean)]) for own in slopes]


def _softmax_slopes(values: list[Any], slopes: list[Slopes], options: dict[str, Any]) -> list[Slopes]:
    own = _log_softmax(values, slopes, options)
    return [combined([(p, s)]) for p, s in zip(_softmax(values), own, strict=True)]


def _unit_slopes(values: list[Any], slopes: list[Slopes], _options: dict[str, Any]) -> list[Slopes]:
    """How the direction turns; the zero vector has none that could turn."""
    length = mpmath.norm(values)
    if length == 0:
        return [{} for _ in values]
    along = combined(zip(_unit(values), slopes, strict=True))
    return [combined([(1 / length, s), (-u / length, along)]) for u, s in zip(_unit(values), slopes, strict=True)]


_SCANS: dict[str, Callable[[list[Any], list[Slopes], dict[str, Any]], list[Slopes]]] = {
    "cumsum": _running,
    "log_softmax": _log_softmax,
    "softmax": _softmax_slopes,
    "unit": _unit_slopes,
}

_RULES: dict[str, Callable[[_Run, Node], Value]] = {
    "expand": _Run.same,
    "outer": _Run.same,
    "scale_gradient": _Run.scaled,
    "rename": _Run.rename,
    "pick": _Run.pick,
    "add": _Run.add,
    "mul": _Run.mul,
    "select": _Run.select,
}

_FAMILIES: dict[str, Callable[[_Run, Node], Value]] = {
    "elementwise": _Run.elementwise,
    "reduce": _Run.reduce,
    "scan": _Run.scan,
}
