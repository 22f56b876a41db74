"""Losses through inductor: the same numbers, and at most one recompilation over changing batch sizes."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.utils import counters

import lossdsl
from lossdsl.backend.choice import INDUCTOR_FROM, can_compile
from tests.backend.examples import example
from tests.backend.formulas import FORMULAS, samples


def test_small_losses_run_eagerly() -> None:
    plan = example("focal").plan(**samples("focal"))
    assert plan["backend"] == "eager"
    large = {
        "logits": torch.zeros(INDUCTOR_FROM // 64, 64),
        "target": torch.zeros(INDUCTOR_FROM // 64, dtype=torch.int64),
    }
    assert example("focal").plan(**large)["backend"] == ("inductor" if can_compile("cpu") else "eager")
    assert example("focal", backend="eager").plan(**large)["backend"] == "eager"


@pytest.mark.long
@pytest.mark.parametrize("name", ["focal", "supcon", "siglip", "lm"])
def test_one_recompilation_over_twenty_batch_sizes(name: str) -> None:
    if not can_compile("cpu"):
        pytest.skip("inductor needs a C++ compiler")
    loss = example(name, backend="inductor")
    counters.clear()
    for rows in (64, *range(2, 21)):
        ours, theirs = samples(name, torch.float32, rows), samples(name, torch.float32, rows)
        for inputs in (ours, theirs):
            for tensor in inputs.values():
                tensor.requires_grad_(tensor.is_floating_point())
        value, wanted = loss(**ours), FORMULAS[name](**theirs)
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-5)
        value.backward()
        wanted.backward()
        for key, tensor in ours.items():
            if tensor.grad is not None and theirs[key].grad is not None:
                torch.testing.assert_close(tensor.grad, theirs[key].grad, rtol=1e-3, atol=1e-5)
    assert counters["stats"]["unique_graphs"] <= 2


@pytest.mark.skipif(not can_compile("cpu"), reason="needs a C++ compiler")
def test_modules_of_one_text_share_their_graphs() -> None:
    """Dynamo refuses to compile one function more than a few times: a sweep makes more modules than that."""
    torch._dynamo.reset()
    counters.clear()
    for _ in range(torch._dynamo.config.recompile_limit + 2):
        loss = lossdsl.load("huber", backend="inductor")
        x = torch.randn(100, requires_grad=True)
        loss(x, torch.zeros(100)).backward()
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.skipif(not can_compile("cpu"), reason="needs a C++ compiler")
def test_more_kinds_of_calls_than_torch_compiles_run_as_they_are() -> None:
    torch._dynamo.reset()
    loss = lossdsl.load("pseudo_huber", backend="inductor", c=0.37)

    def called(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.linspace(-2, 2, 40, dtype=dtype, requires_grad=True)
        loss(x, torch.zeros(40, dtype=dtype)).backward()
        assert x.grad is not None
        return x.detach(), x.grad

    with torch._dynamo.config.patch(recompile_limit=1):
        called(torch.float32)
        with pytest.warns(UserWarning, match="run as plain torch code"):
            x, gradient = called(torch.float64)
    torch.testing.assert_close(gradient, x / (1 + (x / 0.37) ** 2).sqrt() / 40)
