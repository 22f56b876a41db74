"""The formulas of `rows` as other papers write them: other bases, weights, orders of terms and nestings."""

from __future__ import annotations

import numpy as np

from .rows import CLASSES, WIDE, Row, X, logits, probabilities, spread, targets, vectors

TWO = {"x": ("real[B]", spread(high=2.3)), "y": ("real[B]", spread(high=2.3))}
WEIGHTED = {"x": ("real[B]", spread()), "w": ("real[B]", lambda d, n: d.uniform(0.5, 2, n))}
LABELLED = {"x": ("real[B]", spread()), "y": ("real[B] where 0 <= y <= 1", lambda d, n: d.integers(0, 2, n))}

SHARES = {
    "a": ("real[B] where a >= 0", lambda d, n: np.where(d.random(n) < 0.3, 0.0, d.uniform(0.5, 2, n))),
    "b": ("real[B] where b >= 0", lambda d, n: d.uniform(0.5, 2, n)),
}

VARIATIONS = (
    Row("bits of a softmax", CLASSES, "-log2(softmax[C](x)[C = t])"),
    Row("decimal log of a sum", {"x": ("real[B, C]", logits(5, 300.0))}, "log10(sum[C](exp(x)))"),
    Row("sharpened log of a sum", {"x": ("real[B, C]", logits(5, 300.0))}, "log(sum[C](exp(x / 0.05))) * 0.05"),
    Row(
        "sum of weighted exponentials",
        {
            "x": ("real[B, C]", logits(5, 300.0)),
            "w": ("real[B, C] where w > 0", lambda d, n: d.uniform(0.1, 3, (n, 5))),
        },
        "log(sum[C](w * exp(x)))",
    ),
    Row("powers of two", WIDE, "log2(1 + 2^x)"),
    Row("softplus, the other order", WIDE, "log(exp(-x) + 1)"),
    Row("softplus of a difference", TWO, "log(1 + exp(x - y))"),
    Row("sharp softplus", X, "log(1 + exp(50 * x)) / 50"),
    Row("pairwise logistic", TWO, "-log(exp(x) / (exp(x) + exp(y)))"),
    Row("pairwise probability", TWO, "exp(x) / (exp(x) + exp(y))"),
    Row("log of three exponentials", {**TWO, "z": ("real[B]", spread(high=2.3))}, "log(exp(x) + exp(y) + exp(z))"),
    Row("logistic by hyperbolic tangent", X, "log((1 + tanh(x)) / 2)"),
    Row("logistic by its quotient", WIDE, "exp(x) / (1 + exp(x))"),
    Row("log of the quotient", WIDE, "log(exp(x) / (1 + exp(x)))"),
    Row("weighted complement", WEIGHTED, "w - w * sigmoid(x)"),
    Row("twice the weighted complement", WEIGHTED, "2 * w - 2 * w * sigmoid(x)"),
    Row("complement of a complement", X, "log(1 - (1 - sigmoid(x)))"),
    Row("odds", X, "log(sigmoid(x) / (1 - sigmoid(x)))"),
    Row("binary cross-entropy of two classes", LABELLED, "if y > 0.5 then -log(sigmoid(x)) else -log(1 - sigmoid(x))"),
    Row("binary cross-entropy of a picked probability", LABELLED, "-log(y * sigmoid(x) + (1 - y) * (1 - sigmoid(x)))"),
    Row("clamped probability", {"x": ("real[B]", spread(high=1.1))}, "-log(clamp(sigmoid(x), 1e-7, 1))"),
    Row("log with a constant inside", X, "-log(sigmoid(x) + 1e-8)"),
    Row("log softmax with a constant inside", CLASSES, "-log(softmax[C](x)[C = t] + 1e-8)"),
    Row(
        "cross-entropy of a soft target",
        {
            "x": ("real[B, C]", logits(5)),
            "p": ("real[B, C] where 0 <= p <= 1", lambda d, n: d.dirichlet(np.ones(5), n)),
        },
        "-sum[C](p * log(softmax[C](x)))",
    ),
    Row("cross-entropy by a one-hot", CLASSES, "-sum[C]((if C == t then 1 else 0) * log(softmax[C](x)))"),
    Row("cross-entropy by a filter", CLASSES, "-sum[C where C == t](log(softmax[C](x)))"),
    Row("smoothed cross-entropy", CLASSES, "-0.9 * log(softmax[C](x)[C = t]) - 0.1 * mean[C](log(softmax[C](x)))"),
    Row("one minus softmax", CLASSES, "1 - softmax[C](x)[C = t]"),
    Row("log one minus softmax", CLASSES, "-log(1 - softmax[C](x)[C = t])"),
    Row("mean absolute error of softmax", CLASSES, "sum[C](abs(softmax[C](x) - (if C == t then 1 else 0)))"),
    Row("entropy of softmax", {"x": ("real[B, C]", logits(5))}, "-sum[C](softmax[C](x) * log(softmax[C](x)))"),
    Row("generalised cross-entropy", CLASSES, "(1 - exp(0.001 * log(softmax[C](x)[C = t]))) / 0.001"),
    Row(
        "Taylor cross-entropy",
        CLASSES,
        "(1 - softmax[C](x)[C = t]) + (1 - softmax[C](x)[C = t])^2 / 2 + (1 - softmax[C](x)[C = t])^3 / 3",
    ),
    Row("focal by a default exponent", CLASSES, "(1 - softmax[C](x)[C = t])^0 * -log(softmax[C](x)[C = t])"),
    Row("focal of a sigmoid, negative side", X, "-sigmoid(x)^2 * log(1 - sigmoid(x))"),
    Row("asymmetric, fourth power", X, "-sigmoid(x)^4 * log(1 - sigmoid(x))"),
    Row(
        "odds ratio",
        {"l": ("real[B] where l < 0", lambda d, n: -(10.0 ** d.uniform(-6, 1.5, n)))},
        "l - log(1 - exp(l))",
    ),
    Row(
        "odds ratio preference",
        {
            "c": ("real[B] where c < 0", lambda d, n: -(10.0 ** d.uniform(-4, 1, n))),
            "r": ("real[B] where r < 0", lambda d, n: -(10.0 ** d.uniform(-4, 1, n))),
        },
        "-log(sigmoid(log(exp(c) / (1 - exp(c))) - log(exp(r) / (1 - exp(r)))))",
    ),
    Row(
        "squared length under a root",
        {"x": ("real[B, D]", vectors(4)), "y": ("real[B, D]", vectors(4))},
        "sqrt(sum[D]((x - y) * (x - y)))",
    ),
    Row("length by a power", {"x": ("real[B, D]", vectors(4))}, "sum[D](x * x)^0.5"),
    Row(
        "cosine by its quotient",
        {"x": ("real[B, D]", vectors(4, zeros=False)), "y": ("real[B, D]", vectors(4, zeros=False))},
        "1 - sum[D](x * y) / (sqrt(sum[D](x^2)) * sqrt(sum[D](y^2)))",
    ),
    Row("pseudo-Huber with a scale", {"x": ("real[B]", spread(-5, 2))}, "0.25 * (sqrt(1 + (x / 0.5)^2) - 1)"),
    Row("Charbonnier", {"x": ("real[B]", spread(-8, 3))}, "sqrt(1e-6 + x * x)"),
    Row("log cosh by exponentials", {"x": ("real[B]", spread(-2, 2.4))}, "log((exp(x) + exp(-x)) / 2)"),
    Row(
        "log cosh of a difference",
        {"x": ("real[B]", spread(-4, 2.4)), "y": ("real[B]", spread(-4, 2.4))},
        "log(cosh(x - y))",
    ),
    Row(
        "policy ratio",
        {"l": ("real[B]", spread(high=2.3)), "a": ("real[B]", lambda d, n: d.choice([1.0, -1e-30], n))},
        "if a > 0 then -minimum(exp(minimum(l, 20)), 1.2) * a else -maximum(exp(minimum(l, 80)), 0.8) * a",
    ),
    Row("divergence by the ratio", {"l": ("real[B]", spread(-6, 1.6))}, "exp(l) - 1 - l"),
    Row(
        "Gaussian likelihood by a variance",
        {
            "v": ("real[B] where v > 0", lambda d, n: 10.0 ** d.uniform(-20, 20, n)),
            "r": ("real[B]", lambda d, n: d.normal(0, 1e-3, n)),
        },
        "(log(v) + r^2 / v) / 2",
    ),
    Row(
        "Jensen-Shannon",
        {
            "p": ("real[B, C] where 0 <= p <= 1", lambda d, n: d.dirichlet(np.ones(4), n)),
            "q": ("real[B, C] where 0 <= q <= 1", lambda d, n: d.dirichlet(np.ones(4), n)),
        },
        "js[C](p, q)",
        gradient=False,
    ),
    Row("variance", {"x": ("real[B, D]", lambda d, n: 1e4 + d.standard_normal((n, 8)))}, "var[D](x)"),
    Row(
        "power with exponent zero",
        {"x": ("real[B] where x >= 0", lambda d, n: np.where(d.random(n) < 0.3, 0.0, d.uniform(0, 2, n)))},
        "(if x > 0 then x^g else 0)",
        "  hyper g: real = 0.5 where g >= 0",
    ),
    Row(
        "masked mean",
        {"x": ("real[B, C]", logits(4)), "m": ("bool[B, C]", lambda d, n: d.random((n, 4)) < 0.5)},
        "mean[C where m else 0](exp(-abs(x)))",
    ),
    Row(
        "unlikelihood",
        {**CLASSES, "u": ("index(C)[B]", targets(5))},
        "-log(softmax[C](x)[C = t]) - log(1 - softmax[C](x)[C = u])",
    ),
    Row(
        "circle",
        {"x": ("real[B, C]", logits(4, 30.0)), "y": ("real[B, D]", logits(3, 30.0))},
        "log(1 + sum[C](exp(8 * (x - 0.25))) * sum[D](exp(-8 * (y - 0.75))))",
    ),
    Row(
        "lifted structure",
        {"x": ("real[B, C]", logits(4, 100.0)), "y": ("real[B, D]", logits(3, 100.0))},
        "log(sum[C](exp(x)) + sum[D](exp(y)))",
    ),
    Row("multi-similarity", {"x": ("real[B, C]", logits(4, 10.0))}, "log(1 + sum[C](exp(40 * (x - 0.5)))) / 40"),
    Row("probability of a logarithm", {"p": ("real[B] where 0 < p < 1", probabilities())}, "-log(1 - p) - log(p)"),
    Row(
        "weighted sum of probabilities",
        {**CLASSES, **SHARES, "z": ("real[B, C]", logits(5))},
        "-log(a * softmax[C](x)[C = t] + b * softmax[C](z)[C = t])",
    ),
    Row(
        "weighted sum of exponentials",
        {**WIDE, **SHARES, "y": ("real[B]", spread(high=2.5))},
        "log(b * exp(x) + a * exp(y))",
    ),
    Row(
        "weighted sum of a logistic and an exponential",
        {**WIDE, **SHARES, "y": ("real[B]", spread(high=2.5))},
        "log(a * sigmoid(x) + b * exp(y))",
    ),
)
