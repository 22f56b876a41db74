"""The exact derivative: conventions, masks, and slopes by differences."""

import math
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from oracles import FIRST, Sample

from lossdsl.check import check_file, check_text
from lossdsl.program import Program
from lossdsl.reference import reference, reference_gradient

ROOT = Path(__file__).parents[2]
COINCIDENT = {("batch_hard_triplet", 17), ("batch_hard_triplet", 18)}
"""Samples with points at distance 0, where the chain rule has infinity times zero and the oracle a choice."""


FILES = [ROOT / "tests/good/design/all.loss", *sorted((ROOT / "stdlib").rglob("*/*.loss"))]
CHECKED = {file: check_file(file) for file in FILES}
SPECIFIED: dict[str, Program] = {
    name: program for checked in CHECKED.values() for name, program in checked.programs.items() if checked.ok
}
"""The design's losses and those of the stdlib, by name."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_specification_is_correct(file: Path) -> None:
    assert CHECKED[file].ok, [d.message for d in CHECKED[file].diagnostics]


def cases() -> list[Any]:
    generator = torch.Generator().manual_seed(3)
    return [
        pytest.param(name, sample, number, id=f"{name}-{number}")
        for name in sorted(set(FIRST) & set(SPECIFIED))
        for number, sample in enumerate(FIRST[name].samples(generator))
    ]


@pytest.mark.parametrize(("name", "sample", "number"), cases())
def test_agrees_with_the_oracle(name: str, sample: Sample, number: int) -> None:
    program, oracle = SPECIFIED[name], FIRST[name]
    roles = {d.name: d.role for d in program.declared}
    inputs = {n: v for n, v in sample.items() if roles.get(n, "hyper") != "hyper"}
    hypers = {n: v for n, v in sample.items() if roles.get(n) == "hyper"}
    step = int(sample.get("step", 0))
    leaves = {n: sample[n].clone().requires_grad_() for n in oracle.differentiable if n in sample}
    expected = oracle.function(**(sample | leaves))
    found = reference(program, inputs, hypers, step=step, precision="exact").value
    assert math.isclose(found, expected.item(), rel_tol=1e-9, abs_tol=1e-11)
    slopes = torch.autograd.grad(expected, list(leaves.values()), allow_unused=True)
    for (leaf, tensor), slope in zip(leaves.items(), slopes, strict=True):
        mine = reference_gradient(program, inputs, leaf, hypers, step=step).astype(float)
        theirs = np.zeros(tuple(tensor.shape)) if slope is None else slope.numpy()
        known = ~np.isnan(mine)
        assert known.all() or (name, number) in COINCIDENT
        assert np.allclose(mine[known], theirs[known], rtol=1e-8, atol=1e-11)


def gradient(text: str, inputs: dict[str, Any], name: str = "x", **rest: Any) -> list[Any]:
    checked = check_text(f"loss t {{ {text} }}")
    assert checked.ok, checked.diagnostics
    found = reference_gradient(checked.programs["t"], inputs, name, **rest)
    result: list[Any] = found.astype(float).tolist()
    return result


REAL_LINE = "input x: real[B] minimize "
# Text after `input x: real[B] minimize`, x, and the gradient.
CONVENTIONS: list[tuple[str, list[float], list[float]]] = [
    ("max[B](x)", [3.0, 1.0, 3.0], [0.5, 0.0, 0.5]),
    ("min[B](x)", [1.0, 1.0, 1.0], [1 / 3, 1 / 3, 1 / 3]),
    ("sum[B](maximum(x, 1))", [0.0, 1.0, 2.0], [0.0, 0.5, 1.0]),
    ("sum[B](minimum(x, 1))", [0.0, 1.0, 2.0], [1.0, 0.5, 0.0]),
    ("sum[B](abs(x))", [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]),
    ("sum[B](relu(x))", [-2.0, 0.0, 2.0], [0.0, 0.0, 1.0]),
    ("sum[B](sign(x) * x)", [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]),
    ("sum[B](x + floor(x) + round(x) + rank[B](x))", [0.5, 1.5], [1.0, 1.0]),
    ("prod[B](x)", [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    ("prod[B](x)", [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    ("sum[B](x^2)", [0.0, -3.0], [0.0, -6.0]),
    ("sum[B](x^0)", [0.0, -3.0], [0.0, 0.0]),
    ("sum[B](cumsum[B](x) * (B + 1))", [1.0, 1.0, 1.0], [6.0, 5.0, 3.0]),
    ("sum[B](cumsum[B](x, reverse = true) * (B + 1))", [1.0, 1.0, 1.0], [1.0, 3.0, 6.0]),
    ("sum[B](sort[B](x) * (B + 1))", [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]),
    ("sum[B where topk[B](x, 2)](x^2)", [3.0, 1.0, 2.0], [6.0, 0.0, 4.0]),
    ("median[B](x)", [3.0, 1.0, 2.0, 9.0], [0.5, 0.0, 0.5, 0.0]),
    # stop and scale
    ("sum[B](stop(x) * x)", [2.0, 3.0], [2.0, 3.0]),
    ("sum[B](x - stop(x - 5 * x))", [2.0, 3.0], [1.0, 1.0]),
    ("sum[B](scale_gradient(x^2, -0.5))", [2.0, 3.0], [-2.0, -3.0]),
    ("sum[B](straight_through(round(x), x^2))", [2.2, 3.0], [4.4, 6.0]),
    ("mean[B](x > 1) + sum[B](x)", [2.0, 0.0], [1.0, 1.0]),
    # masks
    ("sum[B where x > 0](log(x))", [2.0, 0.0], [0.5, 0.0]),
    ("sum[B](if x > 0 then log(x) else 0)", [2.0, 0.0], [0.5, 0.0]),
    ("sum[B](if x > 0 then sqrt(x) else x)", [4.0, 0.0], [0.25, 1.0]),
    ("sum[B](xlogy(x, x))", [1.0, 0.0], [1.0, 0.0]),
    ("sum[B](minimum(sqrt(abs(x)), 1))", [4.0, 0.25], [0.0, 1.0]),
    ("sum[B](maximum(sqrt(x), 1))", [0.0, 4.0], [0.0, 0.25]),
    ("mean[B where x > 9 else 0](x)", [1.0, 2.0], [0.0, 0.0]),
    ("max[B where x < 3 else 0](x^2)", [1.0, 2.0, math.nan], [0.0, 4.0, 0.0]),
    ("sum[B where B < |B| - 1](x * x[B = B + 1])", [1.0, 2.0, 3.0], [2.0, 4.0, 2.0]),
    # a length has gradient 0 where it is 0
    ("sum[B](sqrt(x^2))", [2.0, 0.0], [1.0, 0.0]),
    ("norm[B](x)", [0.0, 0.0], [0.0, 0.0]),
    # no derivative there: the naive chain says so
    ("sum[B](x * log(x))", [1.0, 0.0], [1.0, math.nan]),
    ("sum[B](sqrt(x))", [0.0, 4.0], [math.inf, 0.25]),
]


@pytest.mark.parametrize(("text", "x", "expected"), CONVENTIONS)
def test_convention(text: str, x: list[float], expected: list[float]) -> None:
    assert np.allclose(gradient(REAL_LINE + text, {"x": x}), expected, rtol=1e-15, equal_nan=True)


SMOOTH = [
    "sum[B, C](x * exp(-x^2))",
    "mean[B](logsumexp[C](x) - x[C = floor(B)])",
    "mean[B](log_softmax[C](x)[C = 0] * softmax[C](x)[C = 1])",
    "sum[B](norm[C](x)^3 + log(var[C](x)))",
    "sum[C](sum[B, P](x * cos(x[B -> P] + P)))",
    "sum[B](prod[C](x) + quantile[C](x, 0.3)) + std[B, C](x)",
    "sum[B, C](erf(x) + lgamma(1 + x^2) + digamma(1 + x^2) + log_ndtr(x))",
    "sum[B, C](i0e(x) + i1e(x) + atan2(x, 1 + B))",
    "sum[B, C where C - B > 0](abs(x)^1.5 / (1 + cumsum[C](x)^2))",
    "sum[B, P where P != B](exp(-euclid[C](x, x[B -> P])))",
    "sum[B, C](mod(x, 2) * tanh(x) + pinball(x, 0.3) + huber(x, 0.5))",
    "sum[B](sum[C where x > 0](w * x) / sum[C where x > 0](w))",
]


@pytest.mark.parametrize("name", ["x", "w"])
@pytest.mark.parametrize("text", SMOOTH)
def test_gradient_is_the_slope(text: str, name: str) -> None:
    checked = check_text(
        f"loss t {{ input x: real[B, C] axis P like B hyper w: real[C] = 1 minimize {text} + 0 * sum[C](w) }}"
    )
    assert checked.ok, checked.diagnostics
    program = checked.programs["t"]
    generator = np.random.default_rng(4)
    given = {"x": generator.normal(size=(3, 4)) + 0.1, "w": generator.uniform(1, 2, size=4)}
    with mpmath.workdps(60):
        inputs = {n: np.vectorize(mpmath.mpf, otypes=[object])(v) for n, v in given.items()}
        found = reference_gradient(program, {"x": inputs["x"]}, name, {"w": inputs["w"]}, precision=60)
        for place in np.ndindex(found.shape):
            ends = []
            for sign in (1, -1):
                moved = inputs | {name: inputs[name].copy()}
                moved[name][place] += sign * mpmath.mpf("1e-20")
                ends.append(reference(program, {"x": moved["x"]}, {"w": moved["w"]}, precision=60).value)
            slope = (ends[0] - ends[1]) / mpmath.mpf("2e-20")
            assert mpmath.almosteq(found[place], slope, rel_eps=1e-25, abs_eps=1e-25)


def test_frozen_inputs_and_whole_numbers_have_no_gradient() -> None:
    text = "input x: real[B] frozen y: real[B] input k: int[B] minimize sum[B](x * y * k)"
    inputs = {"x": [1.0, 2.0], "y": [3.0, 4.0], "k": [1, 2]}
    assert gradient(text, inputs) == [3, 8]
    assert gradient(text, inputs, "y") == [0, 0]
    with pytest.raises(ValueError, match="`k` is of kind `int`"):
        gradient(text, inputs, "k")


def test_gradient_of_a_term_and_of_a_pack() -> None:
    text = "input x: real[*B] term a = sum[B](x^2) minimize a + sum[B](x)"
    assert gradient(text, {"x": [[1.0, 2.0]]}) == [[3, 5]]
    assert gradient(text, {"x": [[1.0, 2.0]]}, of="a") == [[2, 4]]


def test_far_tails_keep_their_digits() -> None:
    (found,) = gradient("input x: real[B] minimize sum[B](-(1 - sigmoid(x))^0.5 * log(sigmoid(x)))", {"x": [300.0]})
    assert math.isclose(found, -1.5 * math.exp(-450), rel_tol=1e-14)


def test_router_balance_by_hand() -> None:
    generator = np.random.default_rng(2)
    router, kept = generator.normal(size=(5, 4)), np.array([True, False, True, True, False])
    hypers = {"k": 2, "alpha": 0.5, "momentum": 0.9}
    load = np.array([0.1, 0.2, 0.3, 0.4])
    chosen = np.zeros(4)
    for row in router[kept]:
        for expert in sorted(range(4), key=lambda e: -row[e])[:2]:
            chosen[expert] += 1 / 2 / kept.sum()
    ema = 0.9 * load + 0.1 * chosen
    odds = np.exp(router[kept]) / np.exp(router[kept]).sum(axis=1, keepdims=True)
    result = reference(SPECIFIED["moe_balance"], {"router": router, "kept": kept}, hypers, state={"load": load})
    assert math.isclose(result.value, 0.5 * 4 * (ema * odds.mean(axis=0)).sum(), rel_tol=1e-14)
    assert np.allclose(result.updates["load"], ema, rtol=1e-15)


def test_language_model_by_hand() -> None:
    generator = np.random.default_rng(3)
    hidden, head = generator.normal(size=(2, 3, 4)), generator.normal(size=(5, 4))
    target = np.array([[1, -100, 4], [0, 2, -100]])
    logits = hidden @ head.T
    partition = np.log(np.exp(logits).sum(axis=-1))
    valid = [(i, j) for i in range(2) for j in range(3) if target[i, j] != -100]
    entropy = np.mean([partition[at] - logits[at][target[at]] for at in valid])
    penalty = np.mean([partition[at] ** 2 for at in valid])
    result = reference(SPECIFIED["lm"], {"hidden": hidden, "head": head, "next": target}, {"z": 0.1})
    assert math.isclose(result.value, entropy + 0.1 * penalty, rel_tol=1e-14)
    assert result.terms == {"ce": pytest.approx(entropy), "zloss": pytest.approx(penalty)}
    slopes = reference_gradient(SPECIFIED["lm"], {"hidden": hidden, "head": head, "next": target}, "hidden", {"z": 0.1})
    assert slopes.shape == hidden.shape
    assert not slopes[0, 1].any()


@pytest.mark.parametrize("length", ["sqrt(sum[D](x^2))", "sum[D](x * x)^0.5", "norm[D](x)", "euclid[D](x, stop(x))"])
def test_a_length_of_nothing_has_no_slope(length: str) -> None:
    found = gradient(f"input x: real[B, D] minimize sum[B]({length})", {"x": [[0.0, 0.0], [0.0, 0.0]]})
    assert found == [[0, 0], [0, 0]]
