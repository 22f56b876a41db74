"""Where a loss that could run in blocks runs in one piece all the same: it says so once, or is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.backend.guards import InputError
from lossdsl.module import LossModule
from tests.streaming.test_habits import BUDGET, TEXT, given, gradients, same


def transformed(module: LossModule, tensors: dict[str, Tensor]) -> Tensor:
    grad = torch.func.grad(lambda hidden: module(hidden, tensors["head"], tensors["next"]))
    found: Tensor = grad(tensors["hidden"])
    return found


def forward_mode(module: LossModule, tensors: dict[str, Tensor]) -> Tensor:
    def of(hidden: Tensor) -> Tensor:
        value: Tensor = module(hidden, tensors["head"], tensors["next"])
        return value

    _, slope = torch.func.jvp(of, (tensors["hidden"].detach(),), (torch.ones_like(tensors["hidden"]),))
    return slope


def twice(module: LossModule, tensors: dict[str, Tensor]) -> Tensor:
    (first,) = torch.autograd.grad(module(**tensors), tensors["hidden"], create_graph=True)
    return torch.cat(gradients(tensors, first.square().sum()))


def exported(module: LossModule, tensors: dict[str, Tensor]) -> Tensor:
    plain = {n: t.detach() for n, t in tensors.items()}
    program = torch.export.export(module, (), plain)
    assert not any("lossdsl" in str(node.target) for node in program.graph.nodes)
    found: Tensor = program.module()(**plain)
    return found


CASES = pytest.mark.parametrize(
    ("run", "words"),
    [
        (transformed, "under function transforms"),
        (forward_mode, "in forward mode"),
        (twice, "for second derivatives"),
        (exported, "in an exported program"),
    ],
    ids=["transform", "forward mode", "second derivatives", "export"],
)
Use = Callable[[LossModule, dict[str, Tensor]], Tensor]


@CASES
def test_it_warns_once_and_names_the_bytes(run: Use, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(lossdsl.compile(TEXT, backend="eager"), given())
    monkeypatch.setattr("lossdsl.backend.blocks.STREAM_FROM", BUDGET)
    module = lossdsl.compile(TEXT, backend="eager")
    with pytest.warns(UserWarning, match=f"in one piece .*{words}.*values of .T, V. are larger than all inputs.* KB"):
        found = run(module, given())
    same((found,), (expected,))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(module, given())


@CASES
def test_it_is_refused_where_a_budget_is_given(run: Use, words: str) -> None:
    module = lossdsl.compile(TEXT, backend="eager", memory_budget=BUDGET)
    with pytest.raises(InputError, match=f"cannot run within {BUDGET:,} bytes.*{words}"):
        run(module, given())


@CASES
def test_small_ones_say_nothing(run: Use, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(lossdsl.compile(TEXT, backend="eager"), given())


@pytest.mark.parametrize("name", ["language.lm", "contrastive.supcon", "metric.batch_hard_triplet"])
def test_a_written_file_says_what_is_large(name: str) -> None:
    module = lossdsl.load(name)
    shapes = {
        n: tuple(10**4 for _ in t.partition("[")[2].partition("]")[0].split(",")) for n, t in module.inputs.items()
    }
    large = module.plan(shapes).why.partition(", and would take")[0]
    assert large.startswith("values of [")
    assert f"\nIt runs in one piece: {large}.\n" in module.source


def test_a_written_file_says_nothing_where_nothing_is_large() -> None:
    assert "in one piece" not in lossdsl.load("focal").source
