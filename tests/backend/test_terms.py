"""Gradients of logged terms are those of a loss that minimises the term, wherever the value's are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.reference import reference_gradient
from tests.backend.examples import example
from tests.backend.formulas import samples

TOLERANCE = {"rtol": 1e-9, "atol": 1e-12}
TERMS = {
    "ways": "mean[B](cosine[D](x, w))",
    "lengths": "mean[B](norm[D](x)^0.5)",
    "ties": "mean[B](max[D](x))",
    "guarded": "mean[B](sum[D](if p > 0 then log(p) else 0))",
    "far": "mean[B](sum[D]((1 - sigmoid(x))^0.5 * log(1 + exp(x))))",
    "both": "mean[B](sum[D](p * x^2))",
    "three": "3",
}
TEXT = """
loss logging {{
  input x: real[B, D]
  input p: real[B, D] where p >= 0
  frozen w: real[D]
{terms}
  metric longest = max[B](norm[D](x))
  minimize {minimized}
}}
"""


def _text() -> str:
    terms = "\n".join(f"  term {name} = {formula}" for name, formula in TERMS.items())
    return TEXT.format(terms=terms, minimized=" + ".join(["sum[B](sum[D](x^2))", *(f"0.1 * {name}" for name in TERMS)]))


def _logging(**options: object) -> lossdsl.LossModule:
    return lossdsl.compile(_text(), backend="eager", **options)


def _inputs() -> dict[str, Tensor]:
    """With a vector of 0, ties, tails, and numbers whose logarithm is not finite."""
    rows = [[1.0, 1.0, -2.0], [0.0, 0.0, 0.0], [45.0, -45.0, 800.0], [3.0, 0.0, 3.0]]
    x = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    shares = [[0.5, 0.5, 0.0], [0.0, 0.2, 1.0], [1.0, 3.0, 0.0], [0.1, 0.0, 0.0]]
    p = torch.tensor(shares, dtype=torch.float64, requires_grad=True)
    return {"x": x, "p": p, "w": torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)}


def _learners(tensors: dict[str, Tensor]) -> list[Tensor]:
    return [tensors["x"], tensors["p"]]


def _of(output: Tensor, tensors: dict[str, Tensor], **options: bool) -> list[Tensor]:
    found = torch.autograd.grad(output, _learners(tensors), allow_unused=True, **options)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, _learners(tensors), strict=True)]


def _exact(loss: lossdsl.LossModule, tensors: dict[str, Tensor], term: str) -> list[Tensor]:
    given = {n: t.detach().numpy() for n, t in tensors.items()}
    found = [reference_gradient(loss.compiled.written, given, n, of=term) for n in ("x", "p")]
    return [torch.tensor(g.astype(float).tolist(), dtype=torch.float64) for g in found]


def _same(found: list[Tensor], wanted: list[Tensor]) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_has_its_exact_gradient_where_plain_autograd_has_none(term: str) -> None:
    loss, tensors = _logging(), _inputs()
    _, logged = loss.with_terms(**tensors)
    _same(_of(logged[term], tensors), _exact(loss, tensors, term))


@pytest.mark.parametrize("term", [t for t in TERMS if t != "three"])
def test_a_term_alone_is_a_loss(term: str) -> None:
    tensors = _inputs()
    alone = lossdsl.compile(TEXT.format(terms="", minimized=TERMS[term]), backend="eager")
    _, logged = _logging().with_terms(**tensors)
    _same(_of(logged[term], tensors), _of(alone(**tensors), tensors))


def test_backward_through_the_value_and_terms_at_once() -> None:
    loss, tensors = _logging(), _inputs()
    value, logged = loss.with_terms(**tensors)
    found = _of(value + 0.5 * logged["lengths"] - 2 * logged["ties"], tensors, retain_graph=True)
    parts = [_of(loss(**tensors), tensors), _exact(loss, tensors, "lengths"), _exact(loss, tensors, "ties")]
    _same(found, [v + 0.5 * one - 2 * other for v, one, other in zip(*parts, strict=True)])
    _same(_of(logged["ties"], tensors), parts[2])


def test_terms_that_are_constants_and_metrics_move_nothing() -> None:
    tensors = _inputs()
    _, logged = _logging().with_terms(**tensors)
    x = tensors["x"]
    assert torch.autograd.grad(logged["three"], x, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(logged["guarded"], x, retain_graph=True, allow_unused=True) == (None,)
    assert not logged["longest"].requires_grad


def test_terms_of_a_loss_that_is_not_reduced() -> None:
    terms = "\n".join(f"  term {name} = {TERMS[name]}" for name in ("lengths", "both"))
    text = TEXT.format(terms=terms, minimized="sum[B](sum[D](x^2))")
    loss, tensors = lossdsl.compile(text, backend="eager", reduction="none"), _inputs()
    each, logged = loss.with_terms(**tensors)
    weights = torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64)
    found = _of((weights * each).sum() + 3 * logged["both"] + logged["lengths"], tensors)
    x = tensors["x"]
    both = [3 * g for g in _exact(loss, tensors, "both")]
    _same(found, [2 * weights[:, None] * x + both[0] + _exact(loss, tensors, "lengths")[0], both[1]])


def test_a_term_is_derived_twice() -> None:
    tensors = _inputs()
    _, logged = _logging().with_terms(**tensors)
    first = torch.autograd.grad(logged["both"], _learners(tensors), create_graph=True)
    x, p = _learners(tensors)
    _same(_of(first[0].sum(), tensors), [2 * p / 4, 2 * x / 4])


def test_terms_of_half_precision_are_scaled_before_they_are_rounded() -> None:
    tensors = {n: t.detach().to(torch.float16).requires_grad_(t.requires_grad) for n, t in _inputs().items()}
    _, logged = _logging().with_terms(**tensors)
    (found,) = torch.autograd.grad(1e-9 * 2.0**16 * logged["both"], tensors["p"])
    torch.testing.assert_close(found.double(), 1e-9 * 2.0**16 * tensors["x"].double() ** 2 / 4, rtol=1e-3, atol=6e-8)


@pytest.mark.parametrize(
    "chosen",
    [
        lambda value, logged: logged["lengths"],
        lambda value, logged: value + 0.5 * logged["both"],
        lambda value, logged: value,
    ],
)
def test_terms_under_a_surrounding_compile(chosen: Callable[[Tensor, dict[str, Tensor]], Tensor]) -> None:
    loss, tensors = _logging(), _inputs()

    def run(x: Tensor, p: Tensor, w: Tensor) -> Tensor:
        return chosen(*loss.with_terms(x, p, w))

    plain, traced = run(**tensors), torch.compile(run, fullgraph=True, backend="aot_eager")(**tensors)
    torch.testing.assert_close(traced, plain, **TOLERANCE)
    _same(_of(traced, tensors), _of(plain, tensors))


def test_no_gradient_is_computed_for_terms_that_nobody_asks_for() -> None:
    inputs = samples("lm")
    inputs["hidden"].requires_grad_()
    loss = example("lm")
    value, _ = loss.with_terms(**inputs)
    value.backward()
    assert not loss.compiled._through
