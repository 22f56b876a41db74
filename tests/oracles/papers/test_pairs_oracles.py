"""The oracles on pairs against torch, and against identities of their losses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ..sampling import integer, labels, normal, real
from .pairs import ORACLES
from .pairs_checks import (
    NAMED,
    assert_close,
    cosines,
    cross_entropy,
    established,
    gradients,
    loss,
    number,
    samples,
    tensors,
)

CASES = [(o.name, i) for o in ORACLES for i in range(len(o.samples(torch.Generator())))]


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_value_and_gradient_are_finite(name: str, number: int) -> None:
    value, slopes = gradients(NAMED[name], samples(name)[number])
    assert value.shape == ()
    assert value.dtype == torch.float64
    assert value.isfinite()
    assert slopes
    assert all(g.isfinite().all() for g in slopes.values())


# Margins between classes


def test_cosface_is_cross_entropy_of_shifted_cosines() -> None:
    for sample in samples("cosface"):
        feature, weight, target = tensors(sample, "feature", "weight", "target")
        hot = functional.one_hot(target.clamp(min=0), len(weight)).double()
        shifted = cosines(feature, weight) - number(sample, "m", 0.35) * hot
        right = cross_entropy(number(sample, "s", 64.0) * shifted, target)
        assert_close(loss("cosface", **sample), right)


def test_arcface_by_the_addition_theorem() -> None:
    for sample in samples("arcface"):
        feature, weight, target = tensors(sample, "feature", "weight", "target")
        hot = functional.one_hot(target.clamp(min=0), len(weight)).bool()
        c, m = cosines(feature, weight), number(sample, "m", 0.5)
        turned = c * math.cos(m) - (1 - c**2).sqrt() * math.sin(m)
        right = cross_entropy(number(sample, "s", 64.0) * torch.where(hot, turned, c), target)
        assert_close(loss("arcface", **sample), right)


def test_adaface_without_quality_is_cosface(generator: torch.Generator) -> None:
    batch = {"feature": normal(generator, 5, 4), "weight": normal(generator, 3, 4), "target": labels(generator, 3, 5)}
    assert_close(loss("adaface", **batch, h=0.0, m=0.3), loss("cosface", **batch, m=0.3))


def test_adaface_of_a_short_feature_is_arcface(generator: torch.Generator) -> None:
    feature = 0.1 * normal(generator, 4, 4)
    batch = {"feature": feature, "weight": normal(generator, 3, 4), "target": labels(generator, 3, 4)}
    assert_close(loss("adaface", **batch, h=1e4, m=0.2), loss("arcface", **batch, m=0.2))


def test_adaface_averages_before_use(generator: torch.Generator) -> None:
    """With momentum 1 the batch's own statistics count and the old ones do not."""
    batch = {"feature": normal(generator, 4, 4), "weight": normal(generator, 3, 4), "target": labels(generator, 3, 4)}
    first = loss("adaface", **batch, momentum=1.0, norm_mean=real(1.0), norm_std=real(2.0))
    assert_close(loss("adaface", **batch, momentum=1.0), first)


def test_adaface_gives_lengths_no_gradient() -> None:
    for sample in samples("adaface"):
        _, slopes = gradients(NAMED["adaface"], sample)
        (feature,) = tensors(sample, "feature")
        assert_close((slopes["feature"] * feature).sum(-1), torch.zeros(len(feature)).double(), atol=1e-9)


# Triplets


def test_triplets_by_torch(generator: torch.Generator) -> None:
    z, label = normal(generator, 6, 3), integer([0, 1, 0, 1, 2, 0])
    a, p, n = (torch.tensor(i) for i in zip(*valid_triplets(label), strict=True))
    each = functional.triplet_margin_loss(z[a], z[p], z[n], margin=0.5, eps=0.0, reduction="none")
    assert_close(loss("triplet_batch_all", z=z, label=label, margin=0.5), each.mean())
    assert_close(loss("triplet_batch_all_nonzero", z=z, label=label, margin=0.5), each[each > 0].mean())


def valid_triplets(label: Tensor) -> list[tuple[int, int, int]]:
    same = label[:, None] == label
    choices = same[:, :, None] & ~same[:, None, :] & ~torch.eye(len(label), dtype=torch.bool)[:, :, None]
    return [(int(a), int(p), int(n)) for a, p, n in choices.nonzero()]


def test_soft_margin_lies_above_the_hinge() -> None:
    for sample in samples("soft_margin_triplet"):
        hinge = established("batch_hard_triplet", **sample, margin=0.0)
        soft = loss("soft_margin_triplet", **sample)
        assert hinge <= soft <= hinge + math.log(2)


# Contrast within a batch


def test_supcon_in_is_at_most_supcon() -> None:
    for sample in samples("supcon_in"):
        assert loss("supcon_in", **sample) <= established("supcon", **sample) + 1e-12


def test_supcon_in_with_one_positive_is_supcon(generator: torch.Generator) -> None:
    batch = {"z": normal(generator, 6, 4), "label": integer([0, 1, 2, 0, 1, 2])}
    assert_close(loss("supcon_in", **batch), established("supcon", **batch))


def test_simple_contrastive_by_trace_and_total() -> None:
    for sample in samples("simple_contrastive"):
        c, weight = cosines(*tensors(sample, "query", "key")), number(sample, "negative_weight", 1.0)
        assert_close(loss("simple_contrastive", **sample), (weight * c.sum() - (1 + weight) * c.trace()) / len(c))


def test_hard_contrastive_with_all_negatives_is_info_nce(generator: torch.Generator) -> None:
    pair = {"query": normal(generator, 5, 4), "key": normal(generator, 5, 4)}
    right = established("info_nce", **pair, temperature=0.2)
    assert_close(loss("hard_contrastive", **pair, temperature=0.2), right)
    assert_close(loss("hard_contrastive", **pair, temperature=0.2, k=4), right)
    assert loss("hard_contrastive", **pair, temperature=0.2, k=3) < right


def test_uniformity_by_pdist(generator: torch.Generator) -> None:
    z = normal(generator, 6, 3)
    distance = functional.pdist(functional.normalize(z, dim=-1))
    assert_close(loss("uniformity", z=z, t=1.5), (-1.5 * distance**2).exp().mean().log())


def test_tolerance_by_a_mask(generator: torch.Generator) -> None:
    z, label = normal(generator, 6, 3), integer([0, 1, 0, 2, 1, 0])
    mask = (label[:, None] == label) & ~torch.eye(6, dtype=torch.bool)
    assert_close(loss("tolerance", z=z, label=label), cosines(z, z)[mask].mean())


def test_inf_cl_is_cross_entropy_of_scaled_cosines() -> None:
    for sample in samples("inf_cl"):
        query, key, target = tensors(sample, "query", "key", "target")
        scale = math.exp(number(sample, "log_scale", math.log(1 / 0.07)))
        assert_close(loss("inf_cl", **sample), functional.cross_entropy(scale * cosines(query, key), target))


# Two views


def view_logits(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The cosines of all views, the diagonal masked, and the places of the partners."""
    views, count = torch.cat([first, second]), len(first)
    own = torch.eye(2 * count, dtype=torch.bool)
    return (cosines(views, views) / temperature).masked_fill(own, -math.inf), torch.arange(2 * count).roll(count)


def test_nt_xent_is_masked_cross_entropy() -> None:
    for sample in samples("nt_xent"):
        first, second = tensors(sample, "first", "second")
        logits, partner = view_logits(first, second, number(sample, "temperature", 0.5))
        assert_close(loss("nt_xent", **sample), functional.cross_entropy(logits, partner), atol=1e-10)


def test_mean_shifted_contrastive_about_the_origin_is_nt_xent(generator: torch.Generator) -> None:
    views = {"first": normal(generator, 4, 3), "second": normal(generator, 4, 3)}
    shifted = loss("mean_shifted_contrastive", **views, center=torch.zeros(3).double())
    assert_close(shifted, loss("nt_xent", **views, temperature=0.25))


def test_mean_shifted_contrastive_turns_with_its_center(generator: torch.Generator) -> None:
    turn = torch.linalg.qr(normal(generator, 3, 3)).Q
    first, second, center = normal(generator, 4, 3), normal(generator, 4, 3), normal(generator, 3)
    right = loss("mean_shifted_contrastive", first=first, second=second, center=center)
    turned = loss("mean_shifted_contrastive", first=first @ turn, second=second @ turn, center=center @ turn)
    assert_close(turned, right)


def test_angular_center_loss_is_half_a_squared_distance(generator: torch.Generator) -> None:
    feature, center = normal(generator, 4, 3), normal(generator, 3)
    squares = (functional.normalize(feature, dim=-1) - functional.normalize(center, dim=0)) ** 2
    assert_close(2 + 2 * loss("angular_center_loss", feature=feature, center=center), squares.sum(-1).mean())


def test_infonce_model_aware_slope_of_a_positive() -> None:
    for sample in samples("infonce_model_aware"):
        (positive,) = tensors(sample, "positive")
        tau, alpha, start = (number(sample, n, d) for n, d in (("tau", 0.1), ("alpha", 0.5), ("alignment", 0.0)))
        temperature = tau * (1 + alpha * (positive.mean() - start))
        _, slopes = gradients(NAMED["infonce_model_aware"], sample)
        assert_close(slopes["positive"], -torch.ones_like(positive) / temperature / len(positive))


def test_infonce_model_aware_by_its_formula(generator: torch.Generator) -> None:
    positive, negative = torch.tanh(normal(generator, 5)), torch.tanh(normal(generator, 5, 3))
    positive.requires_grad_()
    negative.requires_grad_()
    p = torch.softmax(torch.cat([positive.unsqueeze(1), negative], 1) / 0.4, 1)[:, 0]
    right = (-p.log() / (1 - p).detach()).mean()
    found = loss("infonce_model_aware", positive=positive, negative=negative, tau=0.4, alpha=0.0)
    assert_close(found, right)
    for got, expected in zip(*(torch.autograd.grad(v, (positive, negative)) for v in (found, right)), strict=True):
        assert_close(got, expected)


def test_macl_by_its_formula() -> None:
    for sample in samples("macl"):
        first, second = tensors(sample, "first", "second")
        tau, alpha, start = (number(sample, n, d) for n, d in (("tau", 0.1), ("alpha", 0.5), ("alignment", 0.0)))
        mean = functional.cosine_similarity(first, second).mean()
        logits, partner = view_logits(first, second, float(tau * (1 + alpha * (mean - start))))
        chosen = functional.one_hot(partner).bool()
        rest = torch.log_softmax(logits, 1).masked_fill(chosen, -math.inf).logsumexp(1).exp()
        surprise = functional.cross_entropy(logits, partner, reduction="none")
        assert_close(loss("macl", **sample), (surprise / rest).mean(), atol=1e-9)
