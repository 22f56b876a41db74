"""Blocks through inductor: the same numbers, and no compiling anew for each batch size."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.utils import counters

import lossdsl
from lossdsl.backend.choice import can_compile
from tests.streaming.heads import HEADS, inputs, loss
from tests.streaming.test_habits import given, same

pytestmark = pytest.mark.skipif(not can_compile("cpu"), reason="needs a C++ compiler")


def test_batch_sizes_compile_once_more_at_most() -> None:
    text = loss("minimize cross_entropy(logits, next)")
    small = lossdsl.compile(text, backend="inductor", memory_budget=1500)
    dense = lossdsl.compile(text, backend="eager")
    torch._dynamo.reset()
    counters.clear()
    for rows in (13, 8, 21, 34, 17, 55):
        tensors = given(rows, rows)
        assert small.plan(**tensors).mode == "blocks"
        learners = [tensors["hidden"], tensors["head"]]
        one = torch.autograd.grad(small(**tensors), learners)
        same(one, torch.autograd.grad(dense(**tensors), learners))
    # The last block of a batch is shorter than the others: one graph for a length, one for any.
    assert counters["stats"]["unique_graphs"] <= 2


@pytest.mark.long
@pytest.mark.parametrize("head", HEADS, ids=lambda h: h.name)
def test_every_head(head: object) -> None:
    from tests.streaming.heads import Head

    assert isinstance(head, Head)
    tensors = inputs(head, torch.float64)
    learners = [n for n in ("hidden", "head", "bias") if n in tensors]
    found = []
    for backend, budget in (("inductor", 3000), ("eager", None)):
        module = lossdsl.compile(head.text, backend=backend, memory_budget=budget)
        leaves = {n: t.clone().requires_grad_(n in learners) for n, t in tensors.items()}
        value = module(**leaves)
        found.append((value.detach(), *torch.autograd.grad(value, [leaves[n] for n in learners])))
    same(*found)
