"""What users do with losses, done with losses that run in blocks."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from torch import Tensor

import lossdsl
from lossdsl.backend.guards import InputError
from lossdsl.backend.streamed import Streamed
from tests.streaming.heads import loss

BUDGET = 2000
TEXT = loss("term ce = cross_entropy(logits, next)\nmetric top = mean[T](max[V](logits))\nminimize ce")
PAIRS = """
loss spread {
  input z: real[B, D]
  axis P like B
  minimize log(mean[B, P where B != P](exp(-sum[D]((z - z[B -> P])^2))))
}
"""


def given(rows: int = 13, seed: int = 0) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 4, generator=random, dtype=torch.float64, requires_grad=True)
    head = torch.randn(9, 4, generator=random, dtype=torch.float64, requires_grad=True)
    next = torch.randint(0, 9, (rows,), generator=random)
    next[1::4] = -100
    return {"hidden": hidden, "head": head, "next": next}


def gradients(tensors: dict[str, Tensor], value: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, [tensors["hidden"], tensors["head"]])


def both(**options: object) -> tuple[lossdsl.LossModule, lossdsl.LossModule]:
    """The loss in blocks, and in one piece."""
    small = lossdsl.compile(TEXT, backend="eager", memory_budget=BUDGET, **options)
    return small, lossdsl.compile(TEXT, backend="eager", **options)


def same(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_the_plan_of_a_call_is_told() -> None:
    small, dense = both()
    tensors = given()
    plan = small.plan(**tensors)
    assert plan.mode == "blocks"
    assert plan["block"] == {"T": plan.rows["T"]}
    assert plan.rows["T"] < 13
    assert plan.held <= BUDGET < plan.dense
    assert dense.plan(**tensors).mode == "one piece"
    shapes = small.plan({n: tuple(t.shape) for n, t in tensors.items()})
    assert shapes.mode == "blocks"


def test_products_are_counted() -> None:
    plan = lossdsl.compile(TEXT).plan({"hidden": (4096, 512), "head": (32000, 512), "next": (4096,)})
    assert plan.mode == "blocks"
    assert plan.flops == plan.dense_flops == 6 * 4096 * 512 * 32000
    assert plan.saved == 4 * (4096 + 32000) * 512


def test_terms_and_metrics() -> None:
    small, dense = both()
    tensors = given()
    (value, logged), (expected, known) = small.with_terms(**tensors), dense.with_terms(**tensors)
    same((value, *logged.values()), (expected, *known.values()))
    same(gradients(tensors, value + 2 * logged["ce"]), gradients(tensors, 3 * expected))


def test_gradients_of_terms_run_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = loss(
        "term ce = cross_entropy(logits, next)\n"
        "term z = mean[T where next != -100 else 0](logsumexp[V](logits)^2)\nminimize ce + 0.1 * z"
    )
    tensors, ran = given(), []
    small = lossdsl.compile(text, backend="eager", memory_budget=BUDGET)
    run = Streamed.run
    monkeypatch.setattr(Streamed, "run", lambda made, *rest, **o: ran.append(made.outputs) or run(made, *rest, **o))
    logits = tensors["hidden"] @ tensors["head"].T
    z = logits[tensors["next"] != -100].logsumexp(1).square().mean()
    ce = torch.nn.functional.cross_entropy(logits, tensors["next"])
    value, logged = small.with_terms(**tensors)
    inputs = [tensors["hidden"], tensors["head"]]
    found = torch.autograd.grad(value + 0.5 * logged["z"], inputs, retain_graph=True)
    same(found, torch.autograd.grad(ce + 0.6 * z, inputs, retain_graph=True))
    assert ran[1:] == [("gradient of hidden", "gradient of head")]
    same(torch.autograd.grad(logged["ce"], inputs), torch.autograd.grad(ce, inputs))
    assert len(ran) == 3


def test_gradients_of_terms_of_a_value_for_each_item_run_in_blocks() -> None:
    text = loss(
        "each = -log_softmax[V](logits)[V = next]\nterm z = mean[T where next != -100 else 0](each^2)\n"
        "minimize sum[T where next != -100](each)"
    )
    tensors = given()
    small = lossdsl.compile(text, backend="eager", reduction="none", memory_budget=BUDGET)
    value, logged = small.with_terms(**tensors)
    kept = tensors["next"] != -100
    each = torch.nn.functional.cross_entropy(tensors["hidden"] @ tensors["head"].T, tensors["next"], reduction="none")
    z = each[kept].square().mean()
    same(gradients(tensors, 2 * value.sum() + logged["z"]), gradients(tensors, 2 * each.sum() + z))
    assert any(key.through == ("z",) for key, _ in small._blocks._made)


def test_without_gradients() -> None:
    small, dense = both()
    tensors = given()
    with torch.no_grad():
        same((small(**tensors),), (dense(**tensors),))


def test_a_factor_without_gradient() -> None:
    small, dense = both()
    tensors = given()
    tensors["head"] = tensors["head"].detach()
    found = torch.autograd.grad(small(**tensors), tensors["hidden"])
    same(found, torch.autograd.grad(dense(**tensors), tensors["hidden"]))


def test_backward_twice() -> None:
    small, dense = both()
    tensors = given()
    value = small(**tensors)
    inputs = [tensors["hidden"], tensors["head"]]
    first = torch.autograd.grad(value, inputs, retain_graph=True)
    second = torch.autograd.grad(value, inputs, torch.tensor(2.0, dtype=torch.float64))
    expected = gradients(tensors, dense(**tensors))
    same(first, expected)
    same(second, tuple(2 * g for g in expected))


def test_a_value_for_each_item() -> None:
    text = loss("minimize mean[T where next != -100 else 0](-log_softmax[V](logits)[V = next])")
    small = lossdsl.compile(text, backend="eager", reduction="none", memory_budget=BUDGET)
    dense = lossdsl.compile(text, backend="eager", reduction="none")
    tensors = given()
    weight = torch.linspace(0.5, 2, 13, dtype=torch.float64)
    one, other = small(**tensors), dense(**tensors)
    same((one,), (other,))
    same(gradients(tensors, (weight * one).sum()), gradients(tensors, (weight * other).sum()))


def test_other_sizes_from_call_to_call() -> None:
    small, dense = both()
    for rows in (13, 1, 8, 14, 13):
        tensors = given(rows, rows)
        same(gradients(tensors, small(**tensors)), gradients(tensors, dense(**tensors)))


@pytest.mark.parametrize("ignored", [slice(0, 6), slice(None)], ids=["a block", "everything"])
def test_nothing_counts_in_a_block(ignored: slice) -> None:
    small, dense = both()
    tensors = given()
    tensors["next"][ignored] = -100
    one, other = small(**tensors), dense(**tensors)
    same((one, *gradients(tensors, one)), (other, *gradients(tensors, other)))


def test_what_is_ignored_has_no_influence_and_what_counts_is_seen() -> None:
    small, _ = both()
    tensors = given()
    clean = gradients(tensors, small(**tensors))
    spoilt = {**tensors, "hidden": tensors["hidden"].detach().clone()}
    spoilt["hidden"][1] = torch.nan
    spoilt["hidden"].requires_grad_()
    same(gradients(spoilt, small(**spoilt)), clean)
    spoilt["hidden"].data[2] = torch.nan
    assert small(**spoilt).isnan()


@pytest.mark.parametrize("name", ["contrastive.supcon", "metric.batch_hard_triplet", "metric.circle"])
def test_a_block_without_positives(name: str) -> None:
    z = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    label = torch.tensor([0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 8])
    dense = lossdsl.load(name, backend="eager")
    small = lossdsl.load(name, backend="eager", memory_budget=dense.plan(z, label).dense // 3)
    assert small.plan(z, label).mode == "blocks"
    one, other = small(z, label), dense(z, label)
    same((one, *torch.autograd.grad(one, z)), (other, *torch.autograd.grad(other, z)))


def test_copies_and_pickles() -> None:
    small, dense = both()
    tensors = given()
    expected = gradients(tensors, dense(**tensors))
    small(**tensors)
    for module in (copy.deepcopy(small), pickle.loads(pickle.dumps(small))):
        assert module.plan(**tensors).mode == "blocks"
        same(gradients(tensors, module(**tensors)), expected)


def test_a_budget_that_is_too_small_is_refused() -> None:
    module = lossdsl.compile(TEXT, backend="eager", memory_budget=100)
    with pytest.raises(InputError, match="cannot run within 100 bytes"):
        module(**given())


MEDIAN = PAIRS.replace("log(mean[B, P where B != P](", "log(median[B, P](").replace(")^2)))", ")^2)))")


def test_what_cannot_run_in_blocks_says_so() -> None:
    z = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    module = lossdsl.compile(MEDIAN, backend="eager", memory_budget=1000)
    plan = module.plan(z)
    assert plan.mode == "refused"
    assert "line 5" in plan.why
    plan = lossdsl.compile(MEDIAN, backend="eager").plan(z)
    assert plan.mode == "one piece"
    with pytest.raises(InputError, match="runs in one piece"):
        module(z)


def test_a_large_loss_in_one_piece_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossdsl.backend.blocks.STREAM_FROM", 1000)
    z = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    module = lossdsl.compile(MEDIAN, backend="eager")
    with pytest.warns(UserWarning, match="runs in one piece"):
        module(z)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module(z[:29])
