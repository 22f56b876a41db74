"""Inside a surrounding torch.compile a large loss runs in blocks, without a break of the graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossdsl
from lossdsl.backend.streamed import Streamed
from lossdsl.module import LossModule
from tests.streaming.heads import loss
from tests.streaming.test_habits import BUDGET, TEXT, given, gradients, same

BACKENDS = pytest.mark.parametrize(
    "backend", ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.long)], ids=str
)


class Trained(nn.Module):
    """A loss with something before it, that autograd goes through."""

    def __init__(self, made: LossModule) -> None:
        super().__init__()
        self.made = made

    def forward(self, hidden: Tensor, head: Tensor, next: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        value, logged = self.made.with_terms(2 * hidden, head, next)
        return value + 1, logged


def surrounded(made: LossModule, backend: Any, **options: Any) -> Any:
    torch._dynamo.reset()
    return torch.compile(Trained(made), backend=backend, fullgraph=True, **options)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many places there were in each run in blocks."""
    seen: list[int] = []
    run = Streamed.run

    def watched(self: Streamed, tensors: Any, rows: Any, *, fast: bool = False) -> tuple[Tensor, ...]:
        seen.append(tensors[0].shape[0])
        return run(self, tensors, rows, fast=fast)

    monkeypatch.setattr(Streamed, "run", watched)
    return seen


@BACKENDS
def test_value_gradients_and_logged_terms_are_those_of_plain_calls(backend: str, runs: list[int]) -> None:
    tensors = given()
    module = lossdsl.compile(TEXT, backend="eager", memory_budget=BUDGET)
    value, logged = surrounded(module, backend)(**tensors)
    assert runs == [13]
    expected, known = Trained(lossdsl.compile(TEXT, backend="eager"))(**tensors)
    same((value, *logged.values()), (expected, *known.values()))
    same(gradients(tensors, 3 * value), gradients(tensors, 3 * expected))
    assert not any(term.requires_grad for term in logged.values())
    with torch.no_grad():
        same(surrounded(module, backend)(**tensors)[:1], (expected,))


@BACKENDS
def test_other_sizes_compile_nothing_anew(backend: str, runs: list[int]) -> None:
    module = lossdsl.compile(TEXT, backend="eager", memory_budget=BUDGET)
    plain = Trained(lossdsl.compile(TEXT, backend="eager"))
    counter = torch._dynamo.testing.CompileCounterWithBackend(backend)
    compiled = surrounded(module, counter, dynamic=True)
    for rows in (13, 8, 14, 200):
        tensors = given(rows, rows)
        value, expected = compiled(**tensors)[0], plain(**tensors)[0]
        same((value, *gradients(tensors, value)), (expected, *gradients(tensors, expected)))
    assert runs == [13, 8, 14, 200]
    assert counter.frame_count == 1


@BACKENDS
def test_a_value_for_each_item(backend: str, runs: list[int]) -> None:
    text = loss("minimize mean[T where next != -100 else 0](-log_softmax[V](logits)[V = next])")
    small = lossdsl.compile(text, backend="eager", reduction="none", memory_budget=BUDGET)
    tensors = given()
    value = surrounded(small, backend)(**tensors)[0]
    expected = Trained(lossdsl.compile(text, backend="eager", reduction="none"))(**tensors)[0]
    same((value,), (expected,))
    weight = torch.linspace(0.5, 2, 13, dtype=torch.float64)
    same(gradients(tensors, (weight * value).sum()), gradients(tensors, (weight * expected).sum()))
    assert runs == [13, 13]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_lower_precision_keeps_its_dtypes(dtype: torch.dtype, runs: list[int]) -> None:
    tensors = {n: t.detach().to(dtype) if t.is_floating_point() else t for n, t in given(64).items()}
    for name in ("hidden", "head"):
        tensors[name].requires_grad_()
    module = lossdsl.compile(TEXT, backend="eager", memory_budget=3 * BUDGET)
    value, logged = surrounded(module, "aot_eager")(**tensors)
    expected, known = Trained(module)(**tensors)
    assert len(runs) == 2
    found = (value, *logged.values(), *gradients(tensors, value))
    for one, other in zip(found, (expected, *known.values(), *gradients(tensors, expected)), strict=True):
        assert one.dtype is other.dtype
        torch.testing.assert_close(one, other)


def test_nothing_large_is_kept_for_backward(runs: list[int]) -> None:
    module = lossdsl.compile(TEXT, backend="eager", memory_budget=40 * BUDGET)
    random = torch.Generator().manual_seed(0)
    hidden = torch.randn(300, 4, generator=random, requires_grad=True)
    head = torch.randn(200, 4, generator=random, requires_grad=True)
    next = torch.randint(0, 200, (300,), generator=random)
    compiled = surrounded(module, "aot_eager")
    saved: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        value, _ = compiled(hidden, head, next)
    assert runs
    assert saved
    # The inputs, the doubled hidden rows, and the gradients by these and the head.
    given = sum(t.numel() * t.element_size() for t in (hidden, hidden, hidden, head, head, next))
    assert sum(t.numel() * t.element_size() for t in saved) <= given + 64
    value.backward()


def test_what_is_small_is_traced_as_plain_torch() -> None:
    module = lossdsl.compile(TEXT, backend="eager")
    targets: list[str] = []

    def watched(graph: Any, examples: Any) -> Any:
        targets.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    backend = torch._dynamo.backends.common.aot_autograd(fw_compiler=watched)
    surrounded(module, backend)(**given())
    assert targets
    assert not any("lossdsl" in target for target in targets)
