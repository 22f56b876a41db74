"""A call like one before takes a short way: whatever makes it unlike is seen, and the numbers are the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.backend.guards import InputError
from lossdsl.backend.repeats import MOST

WEIGHTED = """loss weighted {
  input x: real[B, C]
  input y: real[B, C]
  input t: index(C)[B]
  learn scale: real = 2
  minimize mean[B](scale * sum[C](exp(x) * y) + x[C = t])
}"""
BACKENDS = pytest.mark.parametrize("backend", ["eager", "inductor"])


def weighted(x: Tensor, y: Tensor, t: Tensor, scale: Tensor) -> Tensor:
    return (scale * (x.exp() * y).sum(1) + x.gather(1, t[:, None]).squeeze(1)).mean()


def inputs(rows: int = 4, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    draw = torch.Generator().manual_seed(rows)
    x, y = (torch.randn(rows, 3, generator=draw, dtype=dtype) for _ in range(2))
    return [x.requires_grad_(), y, torch.randint(0, 3, (rows,), generator=draw)]


def agrees(loss: Any, tensors: list[Tensor], upstream: float = 1.0) -> None:
    """Value and gradients of a call are those of the formula."""
    copies = {id(t): t.detach().clone().requires_grad_(t.requires_grad) for t in tensors}
    given = [copies[id(t)] for t in tensors]
    scale = loss.scale.detach().clone().requires_grad_(loss.scale.requires_grad)
    expected = weighted(*given, scale) * upstream
    if expected.requires_grad:
        expected.backward()
    for t in (*tensors, loss.scale):
        t.grad = None
    value = loss(*tensors) * upstream
    assert value.requires_grad == expected.requires_grad
    if value.requires_grad:
        value.backward()
    torch.testing.assert_close(value, expected, check_dtype=False)
    for t, g in zip((*tensors, loss.scale), (*given, scale), strict=True):
        assert (t.grad is None) == (g.grad is None)
        if t.grad is not None:
            torch.testing.assert_close(t.grad, g.grad)


def views() -> list[Tensor]:
    x, y, t = inputs()
    return [x.detach().T.contiguous().T.requires_grad_(), y.T.contiguous().T, t]


def both() -> list[Tensor]:
    x, y, t = inputs()
    return [x, y.requires_grad_(), t]


def neither() -> list[Tensor]:
    x, y, t = inputs()
    return [x.detach(), y, t]


def negated() -> list[Tensor]:
    x, y, t = inputs()
    turned = torch.complex(torch.zeros_like(y), y).conj().imag
    assert turned.is_neg()
    return [x, turned, t]


def one_tensor_twice() -> list[Tensor]:
    x, _, t = inputs()
    return [x, x, t]


KINDS: dict[str, Callable[[], list[Tensor]]] = {
    "like the first": inputs,
    "other rows": lambda: inputs(7),
    "one row": lambda: inputs(1),
    "float64": lambda: inputs(dtype=torch.float64),
    "other strides": views,
    "both learn": both,
    "neither learns": neither,
    "a view that negates": negated,
    "one tensor twice": one_tensor_twice,
}


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.long)])
def test_calls_of_every_kind_in_turn(backend: str) -> None:
    loss = lossdsl.compile(WEIGHTED, backend=backend)
    for _ in range(3):
        for make in KINDS.values():
            agrees(loss, make())
            agrees(loss, make(), upstream=-3.0)


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_a_backward_may_be_run_again_and_derived_after_any_number_of_calls(calls: int) -> None:
    loss = lossdsl.compile(WEIGHTED, backend="eager")
    x, y, t = inputs()
    formula = weighted(x, y, t, loss.scale.detach())
    expected = torch.autograd.grad(formula, x, retain_graph=True)[0]
    for _ in range(calls):
        value = loss(x, y, t)
    for upstream in (1.0, -3.0, 1.0):
        (found,) = torch.autograd.grad(value, x, torch.tensor(upstream), retain_graph=True)
        torch.testing.assert_close(found, upstream * expected)
    first, theirs = (torch.autograd.grad(v, x, create_graph=True)[0] for v in (value, formula))
    torch.testing.assert_close(*(torch.autograd.grad(g.square().sum(), x)[0] for g in (first, theirs)))


def test_a_change_in_place_before_backward_is_noticed_where_it_matters() -> None:
    loss = lossdsl.compile(WEIGHTED, backend="eager")
    x, y, t = inputs()
    for _ in range(4):
        value = loss(x, y, t)
    expected = torch.autograd.grad(value, x, retain_graph=True)[0]
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(value, x)
    assert not torch.allclose(torch.autograd.grad(loss(x, y, t), x)[0], expected)


@BACKENDS
def test_the_data_may_change(backend: str) -> None:
    loss = lossdsl.compile(WEIGHTED, backend=backend)
    tensors = inputs()
    for step in range(4):
        agrees(loss, tensors)
        with torch.no_grad():
            tensors[0].add_(step)
            tensors[2].copy_((tensors[2] + 1) % 3)
            loss.scale.mul_(1.5)


@BACKENDS
def test_an_index_outside_is_still_refused(backend: str) -> None:
    loss = lossdsl.compile(WEIGHTED, backend=backend)
    x, y, t = inputs()
    for _ in range(3):
        loss(x, y, t)
    t[2] = 3
    with pytest.raises(InputError, match=r"`t` holds 3 at \[2\]"):
        loss(x, y, t)


def test_what_the_module_holds_may_change() -> None:
    loss = lossdsl.compile(WEIGHTED, backend="eager")
    for _ in range(2):
        agrees(loss, inputs())
    loss.scale.requires_grad_(False)
    agrees(loss, inputs())
    loss.scale.requires_grad_(True)
    loss.double()
    agrees(loss, inputs(dtype=torch.float64))
    loss.load_state_dict({"scale": torch.tensor(-1.0)})
    agrees(loss, inputs(dtype=torch.float64))


def test_a_copy_goes_its_own_way() -> None:
    loss = lossdsl.compile(WEIGHTED, backend="eager")
    agrees(loss, inputs())
    other = copy.deepcopy(loss)
    with torch.no_grad():
        other.scale.fill_(5.0)
    agrees(other, inputs())
    agrees(loss, inputs())
    other.backend, other.validate = "eager", True
    with pytest.raises(InputError, match="not finite"):
        other(inputs()[0] * torch.nan, *inputs()[1:])


def test_without_gradients_and_under_transforms_and_autocast() -> None:
    loss = lossdsl.compile(WEIGHTED, backend="eager")
    x, y, t = inputs()
    for _ in range(4):
        agrees(loss, [x, y, t])
    (expected,) = torch.autograd.grad(loss(x, y, t), x)
    with torch.no_grad():
        assert not loss(x, y, t).requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(torch.autograd.grad(loss(x, y, t), x)[0], expected)
    torch.testing.assert_close(torch.func.grad(lambda z: loss(z, y, t))(x.detach()), expected)
    (first,) = torch.autograd.grad(loss(x, y, t), x, create_graph=True)
    ours = torch.autograd.grad(first.square().sum(), x)[0]
    theirs = torch.autograd.functional.hvp(lambda z: weighted(z, y, t, loss.scale.detach()), x, 2 * expected)[1]
    torch.testing.assert_close(ours, theirs)


def test_a_wrong_call_after_right_ones_is_explained() -> None:
    loss = lossdsl.compile(WEIGHTED, backend="eager")
    x, y, t = inputs()
    for _ in range(2):
        loss(x, y, t)
    with pytest.raises(TypeError, match="is missing `t"):
        loss(x, y)
    with pytest.raises(InputError, match="must hold whole numbers"):
        loss(x, y, t.double())
    with pytest.raises(InputError, match="axis `B` has size"):
        loss(x, y[:2], t)


def test_no_more_than_so_many_kinds_are_remembered() -> None:
    loss = lossdsl.compile(WEIGHTED, backend="eager")
    for rows in range(1, 2 * MOST):
        loss(*inputs(rows))
    assert len(loss._known) <= MOST
    agrees(loss, inputs(3))


def test_packs_are_flattened_each_time() -> None:
    loss = lossdsl.compile("loss squares { input x: real[B, *S]\n minimize mean[B, S](x^2) }", backend="eager")
    for _ in range(3):
        for shape in ((2, 3), (2, 3, 4), (2, 6, 2)):
            x = torch.randn(shape, requires_grad=True)
            loss(x).backward()
            torch.testing.assert_close(x.grad, 2 * x.detach() / x.numel())


def test_a_gradient_that_is_an_input_stays_apart_from_it() -> None:
    loss = lossdsl.compile("loss product { input x: real[B]\n input y: real[B]\n minimize sum[B](x * y) }")
    y = torch.randn(5)
    for _ in range(3):
        x = torch.randn(5, requires_grad=True)
        loss(x, y).backward()
        assert x.grad is not None
        x.grad.zero_()
        assert bool((y != 0).all())
