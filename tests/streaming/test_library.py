"""Every loss of the library that runs in blocks computes what it computes in one piece, however long the blocks are."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.backend.blocks import Blocks
from lossdsl.backend.streamed import Streamed
from lossdsl.testing.subjects import Subject, tensors
from tests.streaming.page import PAGE, key, listed, written

LENGTHS = (1, 2, 3, 4, 7, 13, 1000)
SEEDS = (1, 2, 3)


@cache
def subject(name: str) -> Subject:
    return Subject(lossdsl.load(name, backend="eager"))


def batches(name: str) -> list[dict[str, Tensor]]:
    """All tensors of some calls, with what the module holds and draws."""
    loss = subject(name).variant().eval()
    found = []
    for seed in SEEDS:
        try:
            arrays = subject(name).arrays(seed)
            given = tensors(arrays)
            drawn = {n: t for n, t in given.items() if n not in loss._guard.names}
            bound = loss._layout.arranged(loss._guard.bind((), {n: t for n, t in given.items() if n not in drawn}))
            torch.manual_seed(seed)
            found.append(loss._complete(bound, drawn)[0])
        except ValueError:
            continue  # no value for these sizes, or no inputs that satisfy the declarations
    assert found
    return found


@pytest.mark.parametrize("name", listed())
def test_blocks_of_any_length_give_the_same(name: str) -> None:
    loss = subject(name).variant().eval()
    blocks = Blocks(loss.compiled)
    made, ready = blocks.made(key(loss)), blocks.ready(key(loss))
    assert isinstance(made, Streamed)
    for given in batches(name):
        arguments = [given[n] for n in ready.function.arguments]
        with torch.no_grad():
            whole = ready.run(*arguments)
            whole = whole if isinstance(whole, tuple) else (whole,)
            for length in LENGTHS:
                parts = made.run(arguments, dict.fromkeys(made.schedule.axes, length))
                for output, one, other in zip(ready.function.outputs, whole, parts, strict=True):
                    what = f"{output}, blocks of {length}"
                    torch.testing.assert_close(
                        other, one, rtol=1e-9, atol=1e-11, equal_nan=True, msg=lambda m, what=what: f"{what}: {m}"
                    )


@pytest.mark.parametrize("name", listed())
def test_gradients_are_all_that_is_saved(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large values, and what is made of them, nothing is kept for backward."""
    monkeypatch.setattr("lossdsl.backend.blocks.STREAM_FROM", 0)
    loss = subject(name).variant()
    (given, *_) = batches(name)
    names = [*loss.inputs, *(d.name for d in loss._draws)]
    tensors = {n: t.clone().requires_grad_(n in loss._learners) for n, t in given.items() if n in names}
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        value = loss(**tensors)
    assert loss._jobs, "a call like one before"
    assert all(job.in_blocks is not None for job in loss._jobs.values())
    assert value.grad_fn is not None
    everything = {**tensors, **loss.held}
    places = {t.untyped_storage().data_ptr() for t in everything.values()}
    held = [*saved, *value.grad_fn.gradients]  # type: ignore[attr-defined]
    beside = sum(t.numel() for t in held if t.untyped_storage().data_ptr() not in places)
    assert beside <= sum(everything[n].numel() for n in loss._learners)


def test_the_page_lists_what_runs_in_blocks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == written(text), "run `python -m tests.streaming.page --write`"
