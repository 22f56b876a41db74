"""What people do with a loss in torch: each works, with the same numbers."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import lossdsl
from tests.backend.examples import example
from tests.backend.formulas import FORMULAS, samples

TOLERANCE = {"rtol": 1e-5, "atol": 1e-7}


def _focal(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    inputs = samples("focal", dtype, rows=6)
    return inputs["logits"].requires_grad_(), inputs["target"]


def _expected() -> tuple[Tensor, Tensor]:
    logits, target = _focal()
    value = FORMULAS["focal"](logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


def test_accumulation_double_use_and_retained_graph() -> None:
    loss, (logits, target) = example("focal"), _focal()
    _, gradient = _expected()
    (loss(logits, target) + 2 * loss(logits, target)).backward()
    loss(logits, target).backward()
    torch.testing.assert_close(logits.grad, 4 * gradient, **TOLERANCE)
    logits.grad = None
    value = loss(logits, target)
    value.backward(retain_graph=True)
    value.backward()
    torch.testing.assert_close(logits.grad, 2 * gradient, **TOLERANCE)


def test_double_backward() -> None:
    logits, target = _focal()
    ours = torch.autograd.functional.hessian(lambda x: example("focal")(x, target), logits)
    theirs = torch.autograd.functional.hessian(lambda x: FORMULAS["focal"](x, target), logits)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


@pytest.mark.parametrize("name", [n for n in FORMULAS if n not in ("moe_balance", "siglip")])
def test_function_transforms(name: str) -> None:
    inputs = samples(name)
    first = next(iter(inputs))
    rest = {n: t for n, t in inputs.items() if n != first}
    loss = example(name).eval()
    gradient = torch.func.grad(lambda x: loss(**{first: x}, **rest))(inputs[first])
    leaf = inputs[first].clone().requires_grad_()
    loss(**{first: leaf}, **rest).backward()
    torch.testing.assert_close(gradient, leaf.grad, **TOLERANCE)
    tangent = torch.ones_like(leaf)
    value, slope = torch.func.jvp(lambda x: loss(**{first: x}, **rest), (inputs[first],), (tangent,))
    torch.testing.assert_close(slope, leaf.grad.sum(), **TOLERANCE)
    assert torch.isfinite(value)


def test_vmap_and_composed_transforms() -> None:
    logits, target = _focal()
    loss = example("focal")
    many = torch.stack([logits.detach(), 2 * logits.detach()])
    values = torch.func.vmap(lambda x: loss(x, target))(many)
    torch.testing.assert_close(values, torch.stack([loss(x, target) for x in many]), **TOLERANCE)
    gradients = torch.func.vmap(torch.func.grad(lambda x: loss(x, target)))(many)
    alone = torch.stack([torch.func.grad(lambda x: loss(x, target))(x) for x in many])
    torch.testing.assert_close(gradients, alone, **TOLERANCE)
    second = torch.func.hessian(lambda x: loss(x, target))(logits.detach())
    theirs = torch.func.hessian(lambda x: _plain(x, target))(logits.detach())
    torch.testing.assert_close(second, theirs, **TOLERANCE)


def _plain(logits: Tensor, target: Tensor) -> Tensor:
    kept = target != -100
    logp = logits.log_softmax(-1).gather(1, target.clamp(min=0)[:, None])[:, 0]
    each = -((1 - logp.exp()) ** 2) * logp
    return torch.where(kept, each, 0).sum() / kept.sum()


def test_forward_mode() -> None:
    logits, target = _focal()
    _, gradient = _expected()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(logits.detach(), torch.ones_like(logits))
        slope = torch.autograd.forward_ad.unpack_dual(example("focal")(dual, target)).tangent
    torch.testing.assert_close(slope, gradient.sum(), **TOLERANCE)


class _Model(nn.Module):
    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 5)
        self.loss = loss

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        value: Tensor = self.loss(self.layer(x), target)
        return value


def test_surrounding_compile() -> None:
    logits, target = _focal(torch.float32)
    model = _Model(example("focal"))
    plain = model(logits, target)
    plain.backward()
    wanted = model.layer.weight.grad.clone()
    model.zero_grad()
    value = torch.compile(model, fullgraph=True, backend="aot_eager")(logits, target)
    value.backward()
    torch.testing.assert_close(value, plain, **TOLERANCE)
    torch.testing.assert_close(model.layer.weight.grad, wanted, **TOLERANCE)


def test_export() -> None:
    logits, target = _focal(torch.float32)
    model = _Model(example("focal"))
    exported = torch.export.export(model, (logits.detach(), target))
    torch.testing.assert_close(exported.module()(logits.detach(), target), model(logits, target), **TOLERANCE)


def test_copies_pickles_and_state() -> None:
    router = samples("moe_balance", torch.float32)
    loss = example("moe_balance")
    loss(**router)
    assert loss.load.shape == (4,)
    assert not torch.equal(loss.load, torch.full((4,), 0.25))
    fresh = example("moe_balance")
    fresh.load_state_dict(loss.state_dict())
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), fresh):
        torch.testing.assert_close(other.load, loss.load)
        assert other.load is not loss.load
        torch.testing.assert_close(other.eval()(**router), loss.eval()(**router))


def test_state_changes_in_training_only() -> None:
    router = samples("moe_balance", torch.float32)
    loss = example("moe_balance")
    loss(**router)
    before = loss.load.clone()
    loss.eval()(**router)
    assert torch.equal(loss.load, before)
    router["router"].requires_grad_()
    loss.train()(**router).backward()
    assert not torch.equal(loss.load, before)


def test_parameters_learn() -> None:
    loss = example("siglip")
    assert {n for n, _ in loss.named_parameters()} == {"log_t", "bias"}
    loss(**samples("siglip", torch.float32)).backward()
    assert all(p.grad is not None and p.grad.abs() > 0 for p in loss.parameters())
    learnt = example("focal", gamma=lossdsl.learned(1.5))
    logits, target = _focal()
    learnt(logits, target).backward()
    wanted = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    kept = target != -100
    logp = logits[kept].log_softmax(-1).gather(1, target[kept][:, None])[:, 0]
    (-((1 - logp.exp()) ** wanted) * logp).mean().backward()
    torch.testing.assert_close(learnt.gamma.grad.double(), wanted.grad, rtol=1e-5, atol=1e-6)


def test_no_grad_gives_the_same_value() -> None:
    logits, target = _focal()
    loss = example("focal")
    with torch.no_grad():
        value = loss(logits, target)
    assert not value.requires_grad
    torch.testing.assert_close(value, loss(logits, target).detach())


@pytest.mark.parametrize("change", ["strided", "expanded", "int32", "uint8"])
def test_odd_tensors(change: str) -> None:
    logits, target = _focal()
    value, gradient = _expected()
    given = logits.detach().clone()
    if change == "strided":
        given = given.repeat_interleave(2, 1)[:, ::2]
        target = target.repeat_interleave(3)[::3]
    elif change == "expanded":
        given = given[:1].expand(6, 5)
        leaf = given.detach().contiguous().requires_grad_()
        value = FORMULAS["focal"](leaf, target)
        (gradient,) = torch.autograd.grad(value, leaf)
    elif change == "int32":
        target = target.int()
    else:
        target = target.clamp(min=0).to(torch.uint8)
        value = FORMULAS["focal"](logits, target.long())
        (gradient,) = torch.autograd.grad(value, logits)
    given = given.detach().requires_grad_()
    ours = example("focal")(given, target)
    ours.backward()
    torch.testing.assert_close(ours, value, **TOLERANCE)
    torch.testing.assert_close(given.grad, gradient, **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", FORMULAS)
def test_half_precision(name: str, dtype: torch.dtype) -> None:
    inputs = samples(name, torch.float32)
    rounded = {n: t.to(dtype) if t.is_floating_point() else t for n, t in inputs.items()}
    wide = {n: t.double() if t.is_floating_point() else t for n, t in rounded.items()}
    for group in (rounded, wide):
        for n, t in group.items():
            t.requires_grad_(t.is_floating_point() and not n.startswith("ref_"))
    value, wanted = example(name)(**rounded), FORMULAS[name](**wide)
    assert value.dtype is torch.float32
    torch.testing.assert_close(value.double(), wanted, rtol=1e-2, atol=1e-2)
    value.backward()
    wanted.backward()
    for n, t in rounded.items():
        if t.requires_grad and wide[n].grad is not None:
            assert t.grad.dtype is dtype
            torch.testing.assert_close(t.grad.double(), wide[n].grad, rtol=3e-2, atol=3e-2)


def test_small_half_gradients_survive_until_they_are_scaled() -> None:
    logits = torch.zeros(4096, 64, dtype=torch.float16, requires_grad=True)
    value = lossdsl.compile("cross_entropy(logits, target)")(logits, torch.zeros(4096, dtype=torch.int64))
    (value * 65536).backward()
    assert (logits.grad[:, 1:] > 0).all()


@pytest.mark.parametrize("name", ["focal", "supcon", "lm"])
def test_autocast(name: str) -> None:
    inputs = samples(name, torch.float32)
    leaf = next(t for t in inputs.values() if t.is_floating_point()).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = example(name)(**inputs)
    value.backward()
    torch.testing.assert_close(value, FORMULAS[name](**inputs), rtol=5e-2, atol=5e-2)
    assert leaf.grad is not None
    assert leaf.grad.dtype is torch.float32


def test_moved_and_halved_modules() -> None:
    loss = example("siglip").half()
    assert loss.log_t.dtype is torch.float16
    value = loss(**samples("siglip", torch.float32))
    torch.testing.assert_close(value, example("siglip")(**samples("siglip", torch.float32)), rtol=1e-2, atol=1e-2)


def test_schedules_compile_nothing_anew() -> None:
    loss = example("focal", gamma=lambda step: 1.0 + step)
    logits, target = _focal()
    values = [loss(logits, target).item() for _ in range(3)]
    wanted = [FORMULAS["focal"](logits, target, gamma=1.0 + step).item() for step in range(3)]
    assert values == pytest.approx(wanted, rel=1e-5)
    assert len(loss.compiled._ready) == 1
    loss.eval()
    assert loss(logits, target).item() == pytest.approx(FORMULAS["focal"](logits, target, gamma=4.0).item(), rel=1e-5)


def test_terms_are_logged_and_differentiable() -> None:
    inputs = samples("lm")
    inputs["hidden"].requires_grad_()
    value, logged = example("lm").with_terms(**inputs)
    assert set(logged) == {"ce", "zloss"}
    torch.testing.assert_close(value, logged["ce"] + 1e-4 * logged["zloss"], **TOLERANCE)
    (ours,) = torch.autograd.grad(logged["zloss"], inputs["hidden"], retain_graph=True)
    logits = inputs["hidden"] @ inputs["head"].T
    plain = logits[inputs["next"] != -100].logsumexp(1).square().mean()
    (theirs,) = torch.autograd.grad(plain, inputs["hidden"])
    torch.testing.assert_close(ours, theirs, **TOLERANCE)
    _, metrics = example("dpo").with_terms(**samples("dpo"))
    assert set(metrics) == {"reward_accuracy"}
    assert not metrics["reward_accuracy"].requires_grad


def test_reductions() -> None:
    logits, target = _focal()
    each = example("focal", reduction="none")(logits, target)
    assert each.shape == (6,)
    assert each[1] == 0
    total = example("focal", reduction="sum")(logits, target)
    mean = example("focal")(logits, target)
    torch.testing.assert_close(each.sum(), total, **TOLERANCE)
    torch.testing.assert_close(total / 5, mean, **TOLERANCE)
    weights = torch.arange(6.0, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((each * weights).sum(), logits)
    plain = torch.autograd.grad(
        sum(w * FORMULAS["focal"](logits[i : i + 1], target[i : i + 1]) for i, w in enumerate(weights)), logits
    )
    torch.testing.assert_close(gradient, plain[0], **TOLERANCE)
    with pytest.raises(ValueError, match="no meaning"):
        example("lm", reduction="none")


def test_reductions_of_a_plain_mean() -> None:
    text = "loss scaled { input x: real[B]\n learn t: real = 4\n minimize mean[B](x^2) / t }"
    x = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    each = lossdsl.compile(text, reduction="none")(x)
    torch.testing.assert_close(each, torch.tensor([0.25, 1.0, 4.0]))
    torch.testing.assert_close(torch.autograd.grad(each.sum(), x)[0], torch.tensor([0.5, 1.0, 2.0]))
    torch.testing.assert_close(lossdsl.compile(text, reduction="sum")(x), torch.tensor(5.25))


def test_layout_and_packs() -> None:
    images = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 5, (2, 3, 4))
    loss = example("focal", layout={"logits": "B C H W", "target": "B H W"})
    value = loss(images, target)
    wanted = FORMULAS["focal"](images.movedim(1, -1), target)
    torch.testing.assert_close(value, wanted, **TOLERANCE)
    ours, theirs = (torch.autograd.grad(v, images)[0] for v in (value, wanted))
    torch.testing.assert_close(ours, theirs, **TOLERANCE)
    each = example("focal", layout={"logits": "B C H W", "target": "B H W"}, reduction="none")(images, target)
    assert each.shape == (2, 3, 4)


def test_random_draws_follow_the_generator() -> None:
    loss = lossdsl.compile("loss l { input x: real[B] random u: real[B] ~ uniform(0, 1) minimize mean[B]((x - u)^2) }")
    x = torch.zeros(4)
    loss.generator = torch.Generator().manual_seed(3)
    first = loss(x)
    loss.generator = torch.Generator().manual_seed(3)
    assert torch.equal(first, loss(x))
    assert not torch.equal(first, loss(x))


def test_draws_may_be_given() -> None:
    text = "loss l { input x: real[*B] random u: real[*B] ~ uniform(0, 1) minimize mean[B]((x - u)^2) }"
    loss = lossdsl.compile(text)
    x, u = torch.ones(2, 3), torch.arange(6.0).reshape(2, 3)
    torch.testing.assert_close(loss(x, u=u), ((x - u) ** 2).mean())
    torch.testing.assert_close(loss.with_terms(x=x, u=u)[0], loss(x, u=u))
    with pytest.raises(ValueError, match="axis `B` has"):
        loss(x, u=u[:1])


def test_step_counts_training_calls() -> None:
    loss = lossdsl.compile("loss l { input x: real[B] minimize mean[B](x) * step }")
    x = torch.ones(2)
    assert [loss(x).item() for _ in range(3)] == [0.0, 1.0, 2.0]
    assert loss.eval()(x).item() == 3.0
    again = lossdsl.compile("loss l { input x: real[B] minimize mean[B](x) * step }")
    again.load_state_dict(loss.state_dict())
    assert again(x).item() == 3.0


@pytest.mark.parametrize("first", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_a_gradient_that_is_an_input_stays_apart_from_it(first: torch.dtype, factor: float) -> None:
    """The gradient of a product by one factor is the other, which backward must neither scale nor hand out."""
    loss = lossdsl.compile("loss pull { input x, y: real[B] minimize sum[B](x * y) }", backend="eager")
    for dtype in (first, torch.float32):
        x, y = (torch.randn(2**15).to(dtype).requires_grad_() for _ in range(2))
        kept = y.detach().clone()
        (factor * loss(x, y)).backward()
        assert torch.equal(y.detach(), kept)
        assert x.grad is not None
        assert x.grad.data_ptr() != y.data_ptr()
        torch.testing.assert_close(x.grad, factor * kept)


def test_a_gradient_that_was_contiguous_for_one_item_is_scaled_for_many() -> None:
    loss = lossdsl.compile("loss level { input x: real[B, D] minimize sum[B, D](x) }", backend="eager")
    for rows in (1, 3):
        x = torch.randn(rows, 2**14, requires_grad=True)
        (3 * loss(x)).backward()
        assert x.grad is not None
        torch.testing.assert_close(x.grad, torch.full_like(x, 3.0))
