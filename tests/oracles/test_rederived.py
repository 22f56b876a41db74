"""Losses of a random sample against a third derivation: value and gradient, in float64."""

import pytest
import torch
from torch import Generator, Tensor

import lossdsl
from lossdsl.catalogue import losses
from lossdsl.check import check_file
from lossdsl.module import LossModule

from .oracle import Sample
from .rederived import REDERIVED, Rederived

ENTRIES = [pytest.param(r, id=r.name) for r in REDERIVED]
PATHS = {entry.name: entry.path for entry in losses()}


def differentiable(name: str) -> set[str]:
    """What the loss says a gradient flows into."""
    return {d.name for d in check_file(PATHS[name]).programs[name].by_role("input", "learn")}


def with_gradients(name: str, sample: Sample) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of a sample, and those of them that a gradient flows into."""
    tensors = {n: t.clone() for n, t in sample.items() if isinstance(t, Tensor)}
    wanted = differentiable(name)
    return tensors, {n: t.requires_grad_() for n, t in tensors.items() if n in wanted and t.is_floating_point()}


def compare(entry: Rederived, backend: str) -> None:
    for seed, hypers in enumerate([{}, *entry.hypers]):
        sample = entry.inputs(Generator().manual_seed(seed))
        tensors, leaves = with_gradients(entry.name, sample)
        right = entry.function(**tensors, **hypers)
        right_gradients = torch.autograd.grad(right, list(leaves.values()))

        loss: LossModule = lossdsl.load(entry.name, backend=backend, **hypers).double()
        given, given_leaves = with_gradients(entry.name, sample)
        loss.load_state_dict({n: given.pop(n).detach() for n in loss.state_dict()})
        given_leaves |= dict(loss.named_parameters())
        value = loss(**given)
        gradients = torch.autograd.grad(value, [given_leaves[n] for n in leaves])

        torch.testing.assert_close(value, right, rtol=1e-9, atol=1e-12)
        for name, got, expected in zip(leaves, gradients, right_gradients, strict=True):
            assert expected.abs().max() > 1e-6, f"the gradient by {name} says nothing"
            torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12, msg=f"{name}: {got} against {expected}")


@pytest.mark.parametrize("entry", ENTRIES)
def test_eager(entry: Rederived) -> None:
    compare(entry, "eager")


@pytest.mark.long
@pytest.mark.parametrize("entry", ENTRIES)
def test_compiled(entry: Rederived) -> None:
    compare(entry, "inductor")
