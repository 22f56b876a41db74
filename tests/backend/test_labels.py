"""Scores seen with and without the place of a label share their exponentials; the numbers are those of the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lossdsl
from lossdsl.reference import reference_gradient

SMOOTHED = "-0.9 * log(softmax[C](x)[C = t]) - 0.1 * mean[C](log(softmax[C](x)))"
SQUARED = "-log(softmax[C](x)[C = t]) + log(sum[C](exp(x)))^2"
ENTROPY = "-log(softmax[C](x)[C = t]) - sum[C](softmax[C](x) * log(softmax[C](x)))"
SHIFTED = "sum[C](((if C == t then 2 else y) + x^2 + y)^2)"

FORMULAS = {
    "smoothed": f"minimize mean[B]({SMOOTHED})",
    "squared": f"minimize mean[B]({SQUARED})",
    "entropy": f"minimize mean[B]({ENTROPY})",
    "shifted": f"minimize mean[B]({SHIFTED})",
    "smoothed, some ignored": f"minimize mean[B where t != -1 else 0]({SMOOTHED})",
    "squared, some ignored": f"minimize mean[B where t != -1 else 0]({SQUARED})",
    "squares of all, some without a label": (
        "minimize mean[B where t != -1 else 0](-log(softmax[C](x)[C = t])) + mean[B](log(sum[C](exp(x)))^2)"
    ),
    "entropy of all, some without a label": (
        "minimize mean[B where t != -1 else 0](-log(softmax[C](x)[C = t])) + mean[B](-sum[C](p * log(p)))"
    ),
    "shifted, some without a label": f"minimize mean[B]({SHIFTED})",
}


def data(ignored: bool) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(3)
    x = draw.normal(size=(7, 4)) * 10.0 ** draw.uniform(-1, 2, (7, 1))
    x[2, 1:], x[3, :3] = -np.inf, -np.inf
    t = np.array([0, 1, 0, 3, 2, 3, 1])
    if ignored:
        t[[0, 5]] = -1
    return {"x": x, "y": draw.normal(size=(7, 4)), "t": t}


@pytest.mark.parametrize("infinite", [False, True], ids=["finite", "with classes ruled out"])
@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradient(name: str, infinite: bool) -> None:
    ignored = "ignored" in name or "without" in name
    sentinel = " or -1" if ignored else ""
    shown = "\n  p = softmax[C](x)" if "p *" in FORMULAS[name] else ""
    text = f"loss f {{\n  input x, y: real[B, C]\n  input t: index(C)[B]{sentinel}{shown}\n  {FORMULAS[name]}\n}}"
    inputs = data(ignored)
    if not infinite or "smoothed" in name or "shifted" in name:
        inputs["x"] = np.nan_to_num(inputs["x"], neginf=-3.0)
    loss = lossdsl.compile(text, backend="eager")
    leaves = {n: torch.tensor(a) for n, a in inputs.items()}
    leaves["x"].requires_grad_()
    value = loss(**leaves) if "y" in loss.inputs else loss(leaves["x"], leaves["t"])
    value.backward()
    exact = reference_gradient(loss.compiled.program, inputs, "x")
    np.testing.assert_allclose(leaves["x"].grad.numpy(), exact.astype(float), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(value.item(), float(loss.reference(**leaves)), rtol=1e-9)
