"""What the tests of the oracles on pairs share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .. import ORACLES as OTHERS
from ..oracle import Oracle, Sample
from .pairs import ORACLES

NAMED = {oracle.name: oracle for oracle in ORACLES}


def loss(name: str, **arguments: object) -> Tensor:
    return NAMED[name].function(**arguments)


def established(name: str, **arguments: object) -> Tensor:
    """A loss whose oracle is tested elsewhere."""
    return OTHERS[name].function(**arguments)


def samples(name: str) -> list[Sample]:
    return NAMED[name].samples(torch.Generator().manual_seed(3))


def tensors(sample: Sample, *names: str) -> list[Tensor]:
    found = [sample[n] for n in names]
    return [t for t in found if isinstance(t, Tensor)]


def number(sample: Sample, name: str, default: float) -> float:
    found = sample.get(name, default)
    assert not isinstance(found, list)
    return float(found)


def assert_close(found: Tensor, expected: Tensor | float, atol: float = 1e-12) -> None:
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=atol)


def gradients(oracle: Oracle, sample: Sample) -> tuple[Tensor, dict[str, Tensor]]:
    leaves = {n: t.clone().requires_grad_() for n in oracle.differentiable if isinstance(t := sample.get(n), Tensor)}
    value = oracle.function(**{**sample, **leaves})
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return value, {n: torch.zeros_like(leaves[n]) if g is None else g for n, g in zip(leaves, found, strict=True)}


def cosines(x: Tensor, y: Tensor) -> Tensor:
    return functional.cosine_similarity(x.unsqueeze(1), y.unsqueeze(0), dim=-1)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return torch.nan_to_num(functional.cross_entropy(logits, target))
