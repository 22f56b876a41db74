"""Formulas that papers write and that go wrong in floating point when computed as written.

Each row is a naive text with one value for each place along B, and the places to try: magnitudes over many orders,
both signs, zeros, ties, and the ends of each range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Sampler = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Row:
    """A naive formula: `text` is the body of a loss over B, `inputs` how each input is drawn."""

    name: str
    inputs: dict[str, tuple[str, Sampler]]
    """The declared type of each input, and its values for n places."""
    formula: str
    before: str = ""
    """Declarations and definitions in front of the formula."""
    naive: str = ""
    """The same in torch, as it would be typed; for the table of benchmarks."""
    gradient: bool = True
    hypers: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        declared = "\n".join(f"  input {name}: {kind}" for name, (kind, _) in self.inputs.items())
        return f"loss row {{\n{declared}\n{self.before}\n  minimize sum[B]({self.formula})\n}}"


def spread(low: float = -2.0, high: float = 1.9, signs: tuple[float, ...] = (-1.0, 1.0)) -> Sampler:
    """Magnitudes from 10^low to 10^high, evenly in the logarithm, and 0."""

    def sample(draw: np.random.Generator, n: int) -> np.ndarray:
        values = 10.0 ** draw.uniform(low, high, n) * draw.choice(signs, n)
        values[0] = 0.0
        return values

    return sample


def logits(classes: int, largest: float = 60.0) -> Sampler:
    """Rows of logits whose scale varies from tiny to large."""

    def sample(draw: np.random.Generator, n: int) -> np.ndarray:
        scale = 10.0 ** draw.uniform(-1, np.log10(largest), (n, 1))
        rows = draw.standard_normal((n, classes)) * scale / 2
        rows[0] = 0.0
        return rows

    return sample


def targets(classes: int) -> Sampler:
    return lambda draw, n: draw.integers(0, classes, n)


def probabilities(ends: bool = False) -> Sampler:
    """Probabilities down to 1e-6 and up to 1 - 1e-6, and 0 and 1 where asked."""

    def sample(draw: np.random.Generator, n: int) -> np.ndarray:
        small = 10.0 ** draw.uniform(-6, -0.4, n)
        values = np.where(draw.random(n) < 0.5, small, 1 - small)
        if ends:
            values[0], values[1] = 0.0, 1.0
        return values

    return sample


def above(low: float, decades: tuple[float, float] = (-5.0, 1.0)) -> Sampler:
    return lambda draw, n: low + 10.0 ** draw.uniform(*decades, n)


def vectors(size: int, *, zeros: bool = True) -> Sampler:
    def sample(draw: np.random.Generator, n: int) -> np.ndarray:
        rows = draw.standard_normal((n, size)) * 10.0 ** draw.uniform(-3, 3, (n, 1))
        if zeros:
            rows[0] = 0.0
        return rows

    return sample


X = {"x": ("real[B]", spread())}
WIDE = {"x": ("real[B]", spread(high=2.5))}
CLASSES = {"x": ("real[B, C]", logits(5)), "t": ("index(C)[B]", targets(5))}

ROWS = (
    Row("log of a sum of exponentials", {"x": ("real[B, C]", logits(5, 300.0))}, "log(sum[C](exp(x)))"),
    Row("log of two exponentials", {"x": ("real[B]", spread(high=2.3)), "y": ("real[B]", spread(high=2.3))},
        "log(exp(x) + exp(y))"),
    Row("log one plus exp", WIDE, "log(1 + exp(x))"),
    Row("log one plus exp, other base", X, "2 * log(1 + exp(-3 * x)) / log(2)"),
    Row("log softmax", CLASSES, "-log(exp(x) / sum[C](exp(x)))[C = t]"),
    Row("log softmax through a definition", CLASSES, "-3 * log(softmax[C](2 * x)[C = t])"),
    Row("log sigmoid", WIDE, "log(1 / (1 + exp(-x)))"),
    Row("log of one minus sigmoid", WIDE, "log(1 - sigmoid(x))"),
    Row("one minus sigmoid", X, "1 - sigmoid(x)"),
    Row("log one plus x", {"x": ("real[B] where x > -1", spread(-7, 1, (1.0,)))}, "log(1 + x)"),
    Row("exp minus one", {"x": ("real[B]", spread(-7, 1))}, "exp(x) - 1"),
    Row("log one minus exp", {"x": ("real[B] where x < 0", lambda d, n: -(10.0 ** d.uniform(-6, 1.7, n)))},
        "log(1 - exp(x))"),
    Row("entropy of probabilities", {"p": ("real[B] where 0 <= p <= 1", probabilities())}, "-p * log(p)"),
    Row("binary cross-entropy", {"x": ("real[B]", spread()), "y": ("real[B] where 0 <= y <= 1", probabilities())},
        "-(y * log(sigmoid(x)) + (1 - y) * log(1 - sigmoid(x)))"),
    Row("binary focal, exponent below one", X, "-(1 - sigmoid(x))^g * log(sigmoid(x))",
        "  hyper g: real = 0.5 where g >= 0"),
    Row("binary focal", X, "-(1 - sigmoid(x))^2 * log(sigmoid(x))"),
    Row("focal", CLASSES, "-(1 - softmax[C](x)[C = t])^g * log(softmax[C](x)[C = t])",
        "  hyper g: real = 2 where g >= 0"),
    Row("focal, exponent below one", CLASSES, "-(1 - softmax[C](x)[C = t])^g * log(softmax[C](x)[C = t])",
        "  hyper g: real = 0.5 where g >= 0"),
    Row("length", {"x": ("real[B, D]", vectors(4))}, "sqrt(sum[D](x^2))"),
    Row("length of large vectors", {"x": ("real[B, D]", lambda d, n: d.standard_normal((n, 4)) * 1e25)},
        "sqrt(sum[D](x^2))"),
    Row("distance", {"x": ("real[B, D]", vectors(4)), "y": ("real[B, D]", vectors(4))}, "euclid[D](x, y)"),
    Row("unit vector", {"x": ("real[B, D]", vectors(4)), "y": ("real[B, D]", vectors(4, zeros=False))},
        "sum[D](x / norm[D](x) * y)"),
    Row("cosine", {"x": ("real[B, D]", vectors(4)), "y": ("real[B, D]", vectors(4, zeros=False))},
        "cosine[D](x, y)"),
    Row("angle plus margin", {"x": ("real[B] where -1 <= x <= 1", lambda d, n: d.uniform(-0.999, 0.999, n))},
        "cos(acos(x) + 0.5)"),
    Row("smooth absolute value", {"x": ("real[B]", spread(-8, 3))}, "sqrt(x^2 + 1e-12)"),
    Row("pseudo-Huber", {"x": ("real[B]", spread(-5, 2))}, "sqrt(1 + x^2) - 1"),
    Row("log cosh", {"x": ("real[B]", spread(-4, 2.4))}, "log(cosh(x))"),
    Row("ratio of exponentials", {"x": ("real[B]", spread(high=2.2)), "y": ("real[B]", lambda d, n: d.uniform(-3, 3, n))},
        "exp(x) / exp(x + y)"),
    Row("clipped ratio", {"l": ("real[B]", spread(high=2.0)), "a": ("real[B]", lambda d, n: d.choice([1.0, -1e-30], n))},
        "-minimum(exp(minimum(l, 20)) * a, clamp(exp(l), 0.8, 1.2) * a)"),
    Row("clipped ratio, far off", {"l": ("real[B]", lambda d, n: d.uniform(90, 120, n)), "a": ("real[B]", lambda d, n: np.ones(n))},
        "-minimum(exp(l) * a, clamp(exp(l), 0.8, 1.2) * a)"),
    Row("discovered preference", {"x": ("real[B]", spread(high=1.9))}, "exp(-x) * sigmoid(x / 0.05)"),
    Row("power difference", CLASSES, "(1 - softmax[C](x)[C = t]^0.001) / 0.001"),
    Row("power difference with a hyper", CLASSES, "(1 - softmax[C](x)[C = t]^q) / q",
        "  hyper q: real = 0.7 where 0 < q <= 1"),
    Row("Gaussian likelihood", {"s": ("real[B]", lambda d, n: d.uniform(-80, 100, n)), "r": ("real[B]", lambda d, n: d.normal(0, 1e-3, n))},
        "log(exp(s)) + r^2 / exp(s)"),
    Row("log mean exp", {"x": ("real[B, C]", logits(5, 300.0))}, "log(mean[C](exp(x)))"),
    Row("divergence of softmaxes", {"x": ("real[B, C]", logits(5)), "y": ("real[B, C]", logits(5))},
        "sum[C](softmax[C](x) * log(softmax[C](x) / softmax[C](y)))", gradient=False),
    Row("divergence of probabilities", {"p": ("real[B, C] where 0 <= p <= 1", lambda d, n: d.dirichlet(np.ones(4), n)),
                                        "q": ("real[B, C] where 0 < q <= 1", lambda d, n: d.dirichlet(np.ones(4), n))},
        "kl[C](p, q)"),
    Row("masked logarithm", {"x": ("real[B] where x >= 0", lambda d, n: np.where(d.random(n) < 0.5, 0.0, d.uniform(0.1, 2, n)))},
        "if x > 0 then log(x) else 0"),
    Row("variance far from zero", {"x": ("real[B, D]", lambda d, n: 1e4 + d.standard_normal((n, 8)))},
        "mean[D](x^2) - mean[D](x)^2"),
    Row("margin softplus of sums", {"x": ("real[B, C]", logits(4, 100.0)), "y": ("real[B, D]", logits(3, 100.0))},
        "log(1 + sum[C](exp(x)) * sum[D](exp(y)))"),
    Row("log one plus sum", {"x": ("real[B, C]", logits(4, 200.0))}, "log(1 + sum[C](exp(x)))"),
    Row("Poly-1", CLASSES, "-log(softmax[C](x)[C = t]) + 2 * (1 - softmax[C](x)[C = t])"),
    Row("encouraging loss", CLASSES, "-log(softmax[C](x)[C = t]) + log(1 - softmax[C](x)[C = t])"),
    Row("log of a normal probability", {"x": ("real[B]", lambda d, n: np.where(d.random(n) < 0.7, -1, 0.02) * 10.0 ** d.uniform(-2, 3, n))},
        "log(ndtr(x))"),
    Row("log of a normal interval", {"m": ("real[B]", lambda d, n: d.normal(0, 2, n)), "s": ("real[B]", lambda d, n: d.uniform(-4, 4, n))},
        "log(ndtr((1 - m) * exp(-s)) - ndtr((0.99 - m) * exp(-s)))"),
    Row("log of a wide normal interval", {"m": ("real[B]", lambda d, n: d.normal(0, 2, n)), "s": ("real[B]", lambda d, n: d.uniform(-2, 2, n))},
        "log(erf((1 - m) / exp(s)) - erf((-1 - m) / exp(s)))"),
)
