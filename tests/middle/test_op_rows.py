"""Every row of the op table against an independent definition, against mpmath, and its own columns."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special as special

from lossdsl.build import Builder
from lossdsl.graph import BOOL, INT, REAL, Axis, Node
from lossdsl.ops import Leaf, Op
from lossdsl.optable import OPS
from lossdsl.ranges import Interval
from lossdsl.reference import Environment, evaluate
from lossdsl.reference.partials import partial

ELEMENTWISE = [name for name, op in OPS.items() if op.family == "elementwise"]
REDUCTIONS = [name for name, op in OPS.items() if op.family == "reduce"]
SCANS = [name for name, op in OPS.items() if op.family == "scan"]

MEANINGS: dict[str, Callable[..., Any]] = {
    "add": lambda *v: math.fsum(v),
    "mul": lambda *v: math.prod(v),
    "pow": lambda x, y: x**y,
    "maximum": lambda x, y: x if x >= y else y,
    "minimum": lambda x, y: y if x >= y else x,
    "mod": lambda x, y: x % y,
    "eq": lambda x, y: x == y,
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "not": lambda x: not x,
    "and": lambda *v: False not in v,
    "or": lambda *v: True in v,
    "select": lambda c, x, y: x if c else y,
    "sign": lambda x: math.copysign(1, x) if x else 0,
    "round": round,
    "erf": special.erf,
    "erfc": special.erfc,
    "lgamma": special.gammaln,
    "digamma": special.digamma,
    "polygamma": special.polygamma,
    "log_ndtr": special.log_ndtr,
    "erfcx": special.erfcx,
    "log_interval": lambda x, y: (
        math.log1p(-special.ndtr(x - y) - special.ndtr(-x - y))
        if special.ndtr(x - y) + special.ndtr(-x - y) < 0.5
        else math.log(between(abs(x) - y, 2 * y)) - (abs(x) - y) ** 2 / 2
    ),
    "interval_peak": lambda x, y: 1 / (math.sqrt(2 * math.pi) * between(abs(x) - y, 2 * y)),
    "i0e": special.i0e,
    "i1e": special.i1e,
    "sigmoid": special.expit,
    "softplus": lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))),
    "exp_rest": lambda x: (
        math.fsum(x**n / math.factorial(n) for n in range(2, 60)) if abs(x) < 2 else math.exp(x) - 1 - x
    ),
    "log1mexp": lambda x: math.log(-math.expm1(x)) if x > -0.7 else math.log1p(-math.exp(x)),
    "gap": lambda x, y: x - y,
    "logaddexp": lambda x, y: math.log(math.exp(x) + math.exp(y)),
    "log_mix": lambda w, x, y: x + math.log1p((1 - w) * math.expm1(y - x)),
    "log_blend": lambda a, x, b, y: math.log(a * math.exp(x) + b * math.exp(y)),
    "log_any": lambda n, x: (
        math.log1p(-((-math.expm1(x)) ** n)) if x > -0.7 else math.log(-math.expm1(n * math.log1p(-math.exp(x))))
    ),
    "log_cosh": lambda x: math.log1p(2 * math.sinh(x / 2) ** 2),
    "xlogx": lambda x: special.xlogy(x, x),
    **{name: getattr(math, name) for name in ("exp", "log", "log1p", "expm1", "floor", "ceil", "sin", "cos")},
    **{name: getattr(math, name) for name in ("tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh")},
    **{name: getattr(math, name) for name in ("acosh", "atanh", "atan2", "hypot")},
    "abs": math.fabs,
    "mix": lambda w, x, y: w * x + (1 - w) * y,
}


def between(x: float, y: float) -> float:
    """The probability of a normal number between x and x + y, over exp(-x^2 / 2), by integration."""
    nodes, weights = special.roots_legendre(24)
    # Along equal steps of at most 1/2; far beyond where the density vanishes nothing is added.
    steps = max(1, math.ceil(min(y, 60.0) * 2))
    half = min(y, 60.0) / steps / 2
    places = (2 * np.arange(steps)[:, None] + 1 + nodes) * half
    return float(np.sum(weights * half * np.exp(-places * (x + places / 2)))) / math.sqrt(2 * math.pi)


def points(interval: Interval, kind: str, generator: random.Random, count: int = 12) -> list[Any]:
    """Numbers of an interval of many magnitudes, its closed ends included; no ties, and few near kinks."""
    if kind == BOOL:
        return [generator.random() < 0.5 for _ in range(count)]
    if kind == INT:
        low = max(interval.low, -5)
        return [int(generator.randint(int(low), int(min(interval.high, low + 9)))) for _ in range(count)]
    ends = [x for x in interval[:2] if x in interval and math.isfinite(x)]
    found = [float(x) for x in ends]
    while len(found) < count + len(ends):
        x = generator.choice((1, -1)) * 10 ** generator.uniform(-6, 1.4)
        if math.isfinite(interval.low) and math.isfinite(interval.high):
            x = interval.low + (interval.high - interval.low) * generator.random()
        if x in interval:
            found.append(x)
    return found


def kinds(op: Op) -> list[str]:
    arity = 3 if op.arity is None else op.arity
    takes = [op.takes[min(i, len(op.takes) - 1)] for i in range(arity)]
    return [t if t in (BOOL, INT) else REAL for t in takes]


def domains(op: Op) -> list[Interval]:
    return [op.domain[min(i, len(op.domain) - 1)] for i in range(len(kinds(op)))]


def samples(op: Op, seed: int = 1) -> list[tuple[Any, ...]]:
    generator = random.Random(f"{op.name} {seed}")
    columns = [points(d, k, generator)[:14] for d, k in zip(domains(op), kinds(op), strict=True) for _ in range(1)]
    for column in columns[1:]:
        generator.shuffle(column)
    return list(zip(*columns, strict=False))


def applied(op: Op, rows: Sequence[tuple[Any, ...]], precision: int | None) -> list[Any]:
    """The operation on each row of arguments, through the interpreter."""
    graph, axis = Builder(), Axis("K")
    leaves = [Leaf(f"x{i}", "input", kind, (axis,)) for i, kind in enumerate(kinds(op))]
    node = graph.apply(op, *(graph.leaf(leaf) for leaf in leaves))
    environment = Environment({}, {axis: len(rows)}, precision)
    with environment.numbers.working():
        columns = zip(leaves, zip(*rows, strict=True), strict=True)
        given = {leaf: environment.numbers.settled(np.array(column), leaf.kind) for leaf, column in columns}
    return list(evaluate([node], Environment(given, {axis: len(rows)}, precision))[node])


def test_every_row_is_defined_here() -> None:
    assert set(ELEMENTWISE) <= set(MEANINGS)
    assert set(REDUCTIONS) <= set(REDUCED)
    assert set(SCANS) <= set(SCANNED)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_means_what_it_says(name: str) -> None:
    op, rows = OPS[name], samples(OPS[name])
    for row, found in zip(rows, applied(op, rows, None), strict=True):
        assert math.isclose(found, MEANINGS[name](*row), rel_tol=1e-12, abs_tol=1e-300), row


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float64_agrees_with_mpmath(name: str) -> None:
    op, rows = OPS[name], samples(OPS[name], seed=2)
    for row, found, exact in zip(rows, applied(op, rows, None), applied(op, rows, 60), strict=True):
        assert math.isclose(found, float(exact), rel_tol=1e-12, abs_tol=1e-300), row


def with_partials() -> Iterator[tuple[str, int]]:
    for name in ELEMENTWISE:
        for position, text in enumerate(OPS[name].partials or ()):
            if text is not None:
                yield name, position


@pytest.mark.parametrize(("name", "position"), list(with_partials()))
def test_partial_is_the_slope(name: str, position: int) -> None:
    op = OPS[name]
    rows = [
        r
        for r in samples(op, seed=3)
        if not any(isinstance(x, float) and x in d[:2] for x, d in zip(r, domains(op), strict=True))
    ]
    assert len(rows) > 5
    with mpmath.workdps(50):
        columns = [np.array([mpmath.mpf(x) for x in column], dtype=object) for column in zip(*rows, strict=True)]
        for row, found in zip(rows, partial(op, position, columns, 50), strict=True):
            exact = slope(op, position, row)
            assert mpmath.almosteq(found if found is not None else 0, exact, rel_eps=1e-18, abs_eps=1e-40), row


def slope(op: Op, position: int, row: tuple[Any, ...]) -> Any:
    def along(x: Any) -> Any:
        assert op.mpmath is not None
        numbers = [mpmath.mpf(v) for v in row]
        numbers[position] = x
        return op.mpmath(mpmath.mp, *numbers)

    # The step must stay inside the domain of functions that end at 0.
    x = mpmath.mpf(row[position])
    h = min(abs(x), 1) * mpmath.mpf("1e-10")
    with mpmath.workdps(160):
        return mpmath.diff(along, x, h=h * mpmath.mpf("1e-30"))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_image_holds_every_result(name: str) -> None:
    op = OPS[name]
    if BOOL in kinds(op) or op.gives == BOOL:
        return
    generator = random.Random(name)
    for _ in range(60):
        intervals = [part_of(d, k, generator) for d, k in zip(domains(op), kinds(op), strict=True)]
        image = op.image(*intervals)
        columns = [points(i, k, generator, 4) for i, k in zip(intervals, kinds(op), strict=True)]
        rows = list(zip(*columns, strict=False))
        for row, found in zip(rows, applied(op, rows, 30), strict=True):
            assert mpmath.isnan(found) or holds(image, found), (intervals, row, found, image)


def part_of(domain: Interval, kind: str, generator: random.Random) -> Interval:
    """A random part of a domain, with open or closed ends."""
    if kind == INT:
        return domain
    ends = [*points(domain, kind, generator, 6), *domain[:2], 0.0, 1.0, -1.0, 2.0]
    low, high = sorted(generator.sample(sorted({e for e in ends if domain.low <= e <= domain.high}), 2))
    part = Interval(low, high, generator.random() < 0.5, generator.random() < 0.5).meet(domain)
    wide_enough = math.isinf(high - low) or high - low > 1e-3
    return part if wide_enough and not (part.low > 20 or part.high < -20) else domain


def holds(image: Interval, x: Any) -> bool:
    """Whether a number lies in an interval, but for one rounding of the interval's end."""
    slack = 1e-13 * abs(x)
    inside = image.low - slack <= x <= image.high + slack
    return bool(inside and not (x == image.low == 0 and image.low_open))


# Reductions and scans: loops over lists


def logsumexp(values: list[float]) -> float:
    return math.log(math.fsum(math.exp(v) for v in values)) if values else -math.inf


REDUCED: dict[str, Callable[[list[Any]], Any]] = {
    "sum": sum,
    "prod": math.prod,
    "max": lambda v: sorted(v)[-1] if v else math.nan,
    "min": lambda v: sorted(v)[0] if v else math.nan,
    "any": lambda v: v.count(True) > 0,
    "all": lambda v: v.count(False) == 0,
    "argmax": lambda v: next(i for i, x in enumerate(v) if all(x >= y for y in v)),
    "argmin": lambda v: next(i for i, x in enumerate(v) if all(x <= y for y in v)),
    "logsumexp": logsumexp,
    "score_entropy": lambda v: math.fsum(math.exp(x - logsumexp(v)) * (logsumexp(v) - x) for x in v) if v else math.nan,
    "mean": lambda v: sum(v) / len(v) if v else math.nan,
    "norm": lambda v: math.dist(v, [0] * len(v)),
}


def selection_sorted(values: list[float]) -> list[int]:
    left, order = list(range(len(values))), []
    while left:
        smallest = left[0]
        for i in left:
            if values[i] < values[smallest]:
                smallest = i
        left.remove(smallest)
        order.append(smallest)
    return order


def totals(values: list[float], reverse: bool = False) -> list[float]:
    return [sum(values[i:] if reverse else values[: i + 1]) for i in range(len(values))]


SCANNED: dict[str, Callable[..., list[Any]]] = {
    "argsort": selection_sorted,
    "rank": lambda v: [sum(y < x or (y == x and j < i) for j, y in enumerate(v)) for i, x in enumerate(v)],
    "topk": lambda v, k: [sum(y > x or (y == x and j < i) for j, y in enumerate(v)) < k for i, x in enumerate(v)],
    "cumsum": totals,
    "softmax": lambda v: [1 / sum(math.exp(y - x) for y in v) for x in v],
    "log_softmax": lambda v: [-logsumexp([y - x for y in v]) for x in v],
    "unit": lambda v: [x / math.dist(v, [0] * len(v)) if any(v) else 0 for x in v],
}

SIZES = {"A": 2, "B": 3, "C": 4}
SUBSETS = [s for n in (1, 2, 3) for s in combinations("CAB", n)]


def cube(kind: str, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    # Few different values, so that there are ties.
    values = generator.integers(-2, 3, size=tuple(SIZES.values()))
    return values > 0 if kind == BOOL else values / (2 if kind == REAL else 1)


def rows_of(array: np.ndarray, over: Sequence[str]) -> dict[tuple[int, ...], list[Any]]:
    """The numbers along some axes, for each place along the others; the last of them fastest."""
    kept = [a for a in SIZES if a not in over]
    rows: dict[tuple[int, ...], list[Any]] = {}
    for place in np.ndindex(*(SIZES[a] for a in (*kept, *over))):
        at = dict(zip((*kept, *over), place, strict=True))
        rows.setdefault(place[: len(kept)], []).append(array[tuple(at[a] for a in SIZES)])
    return rows


class Cube:
    """A graph over values with three axes."""

    def __init__(self, kind: str, precision: int | None) -> None:
        self.graph = Builder()
        self.axes = {name: Axis(name) for name in SIZES}
        self.precision = precision
        self.arrays = {"x": cube(kind, 1), "chosen": cube(BOOL, 2)}
        self.leaves = {
            "x": Leaf("x", "input", kind, tuple(self.axes.values())),
            "chosen": Leaf("chosen", "input", BOOL, tuple(self.axes.values())),
        }

    def node(self, name: str) -> Node:
        return self.graph.leaf(self.leaves[name])

    def value(self, node: Node) -> np.ndarray:
        sizes = {axis: SIZES[name] for name, axis in self.axes.items()}
        environment = Environment({}, sizes, self.precision)
        with environment.numbers.working():
            given = {
                leaf: environment.numbers.settled(self.arrays[name], leaf.kind) for name, leaf in self.leaves.items()
            }
        return evaluate([node], Environment(given, sizes, self.precision))[node]


@pytest.mark.parametrize("precision", [None, 40])
@pytest.mark.parametrize("over", SUBSETS, ids="".join)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_is_a_loop(name: str, over: tuple[str, ...], precision: int | None) -> None:
    op = OPS[name]
    things = Cube(BOOL if op.takes == (BOOL,) else REAL, precision)
    axes = [things.axes[a] for a in over]
    found = things.value(things.graph.reduce(op, axes, things.node("x")))
    for place, values in rows_of(things.arrays["x"], over).items():
        assert math.isclose(found[place], REDUCED[name](values), rel_tol=1e-13, abs_tol=1e-15)


@pytest.mark.parametrize("precision", [None, 40])
@pytest.mark.parametrize("over", SUBSETS, ids="".join)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_excluded_values_do_not_exist(name: str, over: tuple[str, ...], precision: int | None) -> None:
    op = OPS[name]
    kind = BOOL if op.takes == (BOOL,) else REAL
    things = Cube(kind, precision)
    clean, chosen = things.arrays["x"], things.arrays["chosen"]
    chosen[0, 0], chosen[:, 1, 2] = False, True
    if kind == REAL:
        things.arrays["x"] = np.where(chosen, clean, np.nan)
    axes = [things.axes[a] for a in over]
    node = things.graph.reduce(op, axes, things.node("x"), things.node("chosen"))
    found, included = things.value(node), rows_of(chosen, over)
    for place, values in rows_of(clean, over).items():
        places = [i for i, counts in enumerate(included[place]) if counts]
        if name.startswith("arg"):
            expected = places[REDUCED[name]([values[i] for i in places])] if places else math.nan
        else:
            expected = REDUCED[name]([values[i] for i in places])
        assert same(found[place], expected)


def same(found: Any, expected: Any) -> bool:
    if math.isnan(expected):
        return math.isnan(found)
    return math.isclose(found, expected, rel_tol=1e-13, abs_tol=1e-15)


@pytest.mark.parametrize("precision", [None, 40])
@pytest.mark.parametrize("over", SUBSETS, ids="".join)
@pytest.mark.parametrize("name", [*SCANS, "cumsum reversed"])
def test_scan_is_a_loop(name: str, over: tuple[str, ...], precision: int | None) -> None:
    name, _, backwards = name.partition(" ")
    op, things = OPS[name], Cube(REAL, precision)
    axes = [things.axes[a] for a in over]
    further = [things.graph.constant(2)] * (len(kinds(op)) - 1)
    options = {"reverse": True} if backwards else {}
    found = things.value(things.graph.scan(op, axes, things.node("x"), *further, **options))
    results = rows_of(np.asarray(found), over)
    for place, values in rows_of(things.arrays["x"], over).items():
        expected = SCANNED[name](values, *[2] * len(further), **options)
        assert all(same(f, e) for f, e in zip(results[place], expected, strict=True))


@pytest.mark.parametrize("precision", [None, 40])
@pytest.mark.parametrize("name", ["max", "min", "maximum", "minimum", "sum", "mean", "prod", "argmax"])
def test_nan_that_counts_is_seen(name: str, precision: int | None) -> None:
    graph, axis = Builder(), Axis("K")
    leaf = Leaf("x", "input", REAL, (axis,))
    x = graph.leaf(leaf)
    node = graph.reduce(name, [axis], x) if name in REDUCTIONS else graph.apply(name, x, graph.constant(1))
    for numbers in ([1.0, math.nan, 2.0], [math.nan, 1.0, 2.0], [3.0, 1.0, math.nan]):
        environment = Environment({}, {axis: 3}, precision)
        with environment.numbers.working():
            given = {leaf: environment.numbers.settled(np.array(numbers), REAL)}
        found = evaluate([node], Environment(given, {axis: 3}, precision))[node]
        if name == "argmax":
            assert found == numbers.index(math.nan)
        else:
            assert [x for x in np.atleast_1d(found) if math.isnan(x)]


def test_sums_of_whole_numbers_and_of_conditions_are_whole() -> None:
    things = Cube(INT, None)
    chosen = things.node("chosen")
    count = things.value(things.graph.reduce("sum", list(things.axes.values()), chosen))
    both = things.value(things.graph.add(chosen, chosen, chosen))
    assert count.dtype == both.dtype == np.int64
    assert count == things.arrays["chosen"].sum()
    assert (both == 3 * things.arrays["chosen"]).all()
    huge = things.graph.mul(things.graph.constant(10**18), things.graph.size(things.axes["C"]), things.node("x"))
    assert np.allclose(things.value(huge), 4e18 * things.arrays["x"])
