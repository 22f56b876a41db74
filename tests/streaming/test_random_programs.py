"""Random programs in blocks compute what they compute in one piece."""

from __future__ import annotations

import pytest
import torch

import lossdsl
from lossdsl.backend.blocks import Blocks
from lossdsl.backend.streamed import Streamed
from lossdsl.testing import random_program
from lossdsl.testing.subjects import Subject, tensors
from tests.streaming.page import key

QUICK, LONG, STEP = 300, 6000, 100


def differences(seed: int) -> list[str] | None:
    """Where one random program is another in blocks; None where it has nothing to compute in blocks."""
    subject = Subject(lossdsl.compile(random_program(seed).text, backend="eager"))
    loss = subject.variant().eval()
    blocks = Blocks(loss.compiled)
    made, ready = blocks.made(key(loss)), blocks.ready(key(loss))
    if not isinstance(made, Streamed):
        return None
    try:
        given = tensors(subject.arrays(seed))
        drawn = {n: t for n, t in given.items() if n not in loss._guard.names}
        bound = loss._layout.arranged(loss._guard.bind((), {n: t for n, t in given.items() if n not in drawn}))
        torch.manual_seed(seed)
        everything = loss._complete(bound, drawn)[0]
    except ValueError:
        return None  # no value for these sizes, or no inputs that satisfy the declarations
    arguments = [everything[n] for n in ready.function.arguments]
    wrong = []
    with torch.no_grad():
        found = ready.run(*arguments)
        whole = found if isinstance(found, tuple) else (found,)
        for length in (1, 2, 3, 50):
            parts = made.run(arguments, dict.fromkeys(made.schedule.axes, length))
            for output, one, other in zip(ready.function.outputs, whole, parts, strict=True):
                finite = one.isfinite()
                scale = one[finite].abs().max().item() if finite.any() else 1.0
                if one.shape != other.shape or not torch.allclose(
                    one, other, rtol=1e-8, atol=1e-9 * scale + 1e-12, equal_nan=True
                ):
                    wrong.append(f"random_program({seed}): {output} in blocks of {length}: {one} {other}")
    return wrong


def tried(first: int, last: int) -> None:
    results = [differences(seed) for seed in range(first, last)]
    wrong = [line for found in results if found is not None for line in found]
    assert not wrong, "\n".join(wrong[:8])
    assert sum(found is not None for found in results) >= (last - first) // 20, "nearly nothing runs in blocks"


@pytest.mark.parametrize("first", range(0, QUICK, STEP))
def test_random_programs(first: int) -> None:
    tried(first, first + STEP)


@pytest.mark.long
@pytest.mark.parametrize("first", range(QUICK, LONG, STEP))
def test_many_random_programs(first: int) -> None:
    tried(first, first + STEP)
