"""Losses over linear heads: in blocks they are what plain torch makes of the formula, for every factor."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.backend.blocks import Blocks
from lossdsl.backend.streamed import Streamed
from tests.streaming.heads import HEADS, Head, inputs
from tests.streaming.page import key


def learned(head: Head, given: dict[str, Tensor]) -> list[str]:
    return [n for n in ("hidden", "head", "bias") if n in given]


def by_hand(head: Head, given: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    names = learned(head, given)
    leaves = {n: t.clone().requires_grad_(n in names) for n, t in given.items()}
    value = head.by_hand(**leaves)
    found = torch.autograd.grad(value, [leaves[n] for n in names])
    return value.detach(), dict(zip(names, found, strict=True))


every_head = pytest.mark.parametrize("head", HEADS, ids=lambda h: h.name)


@every_head
@pytest.mark.parametrize("length", [1, 3, 4, 1000])
def test_value_and_gradients_of_every_factor(head: Head, length: int) -> None:
    given = inputs(head, torch.float64)
    value, gradients = by_hand(head, given)
    loss = lossdsl.compile(head.text, backend="eager")
    blocks = Blocks(loss.compiled)
    made, ready = blocks.made(key(loss)), blocks.ready(key(loss))
    assert isinstance(made, Streamed)
    with torch.no_grad():
        found = made.run([given[n] for n in ready.function.arguments], dict.fromkeys(made.schedule.axes, length))
    torch.testing.assert_close(found[0], value, rtol=1e-9, atol=1e-12)
    for name, gradient in gradients.items():
        got = found[ready.function.outputs.index(f"gradient of {name}")]
        torch.testing.assert_close(got, gradient, rtol=1e-8, atol=1e-11, msg=lambda m, name=name: f"{name}: {m}")


@every_head
def test_one_sweep_is_enough(head: Head) -> None:
    loss = lossdsl.compile(head.text, backend="eager")
    made = Blocks(loss.compiled).made(key(loss))
    assert isinstance(made, Streamed)
    assert made.schedule.sweeps == 1


@pytest.mark.parametrize("head", [h for h in HEADS if h.pairs], ids=lambda h: h.name)
def test_blocks_of_tokens_where_whole_sequences_do_not_fit(head: Head) -> None:
    given = inputs(head, torch.float64)
    value, gradients = by_hand(head, given)
    loss = lossdsl.compile(head.text, backend="eager", memory_budget=4000)
    plan = loss.plan(**given)
    assert plan.mode == "blocks"
    assert list(plan.rows) == ["T"]
    names = learned(head, given)
    leaves = {n: t.clone().requires_grad_(n in names) for n, t in given.items()}
    found = loss(**leaves)
    found.backward()
    torch.testing.assert_close(found.detach(), value, rtol=1e-9, atol=1e-12)
    for name, gradient in gradients.items():
        torch.testing.assert_close(leaves[name].grad, gradient, rtol=1e-8, atol=1e-11)


@every_head
def test_in_half_precision_the_head_stays_as_it_is(head: Head) -> None:
    given = inputs(head, torch.bfloat16)
    value, gradients = by_hand(head, {n: t.double() if t.is_floating_point() else t for n, t in given.items()})
    loss = lossdsl.compile(head.text, backend="eager")
    made, ready = (blocks := Blocks(loss.compiled)).made(key(loss)), blocks.ready(key(loss))
    assert isinstance(made, Streamed)
    with torch.no_grad():
        found = made.run([given[n] for n in ready.function.arguments], dict.fromkeys(made.schedule.axes, 2))
    torch.testing.assert_close(found[0].double(), value, rtol=3e-2, atol=3e-2)
    for name, gradient in gradients.items():
        got = found[ready.function.outputs.index(f"gradient of {name}")]
        scale = gradient.abs().max()
        assert got.dtype is not torch.bfloat16
        assert (got.double() - gradient).abs().max() <= 4e-2 * scale, name
    texts = [step.emitted.function.text for step in made.steps]
    assert any("head" in text for text in texts)
    # It is turned, and cast to the dtype that it has, but never widened.
    assert not [text for text in texts if re.search(r"head(\.T)?\.to\(wide\)", text)]
