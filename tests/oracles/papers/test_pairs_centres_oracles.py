"""The oracles on domains, centres, prototypes and clusters against torch, and against identities of their losses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ..sampling import integer, labels, normal, real
from .pairs_checks import (
    assert_close,
    cosines,
    cross_entropy,
    established,
    loss,
    number,
    samples,
    tensors,
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)


# Domains


def test_cad_is_a_masked_sum_of_a_softmax() -> None:
    for sample in samples("cad"):
        z, domain = tensors(sample, "z", "domain")
        t, base = number(sample, "temperature", 0.1), number(sample, "base_temperature", 0.07)
        logits = (z @ z.T / t).masked_fill(torch.eye(len(z), dtype=torch.bool), -math.inf)
        far = domain[:, None] != domain
        chances = torch.log_softmax(logits, 1).masked_fill(~far, -math.inf).logsumexp(1)[far.any(1)]
        assert_close(loss("cad", **sample), torch.nan_to_num(-t / base * chances.mean()), atol=1e-10)


def test_cond_cad_of_separate_classes_is_a_mean_of_cad(generator: torch.Generator) -> None:
    z, domain = normal(generator, 6, 3), integer([0, 1, 1, 0, 1, 0])
    halves = [loss("cad", z=z[i : i + 3], domain=domain[i : i + 3]) for i in (0, 3)]
    whole = loss("cond_cad", z=z, label=integer([0, 0, 0, 1, 1, 1]), domain=domain)
    assert_close(whole, (halves[0] + halves[1]) / 2)


def test_d_bat_of_two_classes(generator: torch.Generator) -> None:
    logits, first = normal(generator, 5, 2), normal(generator, 5, 2)
    q, p = logits.softmax(1), first.softmax(1)
    assert_close(loss("d_bat", logits=logits, first=first), -(p[:, 0] * q[:, 1] + p[:, 1] * q[:, 0]).log().mean())


def test_div_dis_mi_is_the_plain_sum() -> None:
    for sample in samples("div_dis_mi"):
        logits, prior = tensors(sample, "logits", "prior")
        logits = logits.clone().requires_grad_()
        p = logits.softmax(-1)
        m, joint = p.mean(0), torch.einsum("bhc,bge->hgce", p, p) / len(p)
        apart = joint * (joint / torch.einsum("hc,ge->hgce", m, m)).log()
        heads = torch.eye(len(m), dtype=torch.bool)
        right = apart[~heads].sum() + number(sample, "regularization", 10.0) * (m * (m / prior).log()).sum()
        found = loss("div_dis_mi", **{**sample, "logits": logits})
        assert_close(found, right, atol=1e-13)
        slopes = [torch.autograd.grad(v, logits)[0] for v in (found, right)]
        assert_close(slopes[0], slopes[1], atol=1e-13)


def test_div_dis_mi_of_nearly_independent_heads() -> None:
    """Two classes whose probabilities deviate by d from 1/2 together: the information is 8 d^4 to first order."""
    d = 1e-5
    item = torch.tensor([0.5 + d, 0.5 - d], dtype=torch.float64).log()
    logits = torch.stack([torch.stack([item, item]), torch.stack([item.flip(0), item.flip(0)])])
    found = loss("div_dis_mi", logits=logits, prior=real([0.5, 0.5]), regularization=0.0)
    torch.testing.assert_close(found, real(2 * 8 * d**4), rtol=1e-7, atol=0.0)


# Centres and prototypes


def test_circle_loss_classification_of_two_classes(generator: torch.Generator) -> None:
    """In value, and in the gradient that constant weights give."""
    feature, weight = normal(generator, 5, 3).requires_grad_(), normal(generator, 2, 3)
    c = cosines(feature, weight)
    own, rest = c[:, 0], c[:, 1]
    push, pull = (rest + 0.4).relu().detach(), (1.4 - own).relu().detach()
    right = functional.softplus(80 * (push * (rest - 0.4) - pull * (own - 0.6)), 1.0, 700).mean()
    batch = {"feature": feature, "weight": weight, "target": integer([0] * 5)}
    found = loss("circle_loss_classification", **batch, m=0.4, gamma=80.0)
    assert_close(found, right)
    slopes = [torch.autograd.grad(v, feature)[0] for v in (found, right)]
    assert_close(slopes[0], slopes[1])


def test_cosine_contrastive_loss_by_torch() -> None:
    for sample in samples("cosine_contrastive_loss"):
        vectors = tensors(sample, "user", "positive", "negative")
        user, positive, negative = (functional.normalize(v, dim=-1) for v in vectors)
        margin, weight = number(sample, "margin", 0.9), number(sample, "weight", 150.0)
        one = torch.ones(len(user)).double()
        right = functional.cosine_embedding_loss(user, positive, one)
        for k in range(negative.shape[1]):
            each = functional.cosine_embedding_loss(user, negative[:, k], -one, margin=margin)
            right = right + weight * each / negative.shape[1]
        assert_close(loss("cosine_contrastive_loss", **sample), right, atol=1e-9)


def test_sup_con_relu_is_a_sum_of_supcon() -> None:
    for sample in samples("sup_con_relu"):
        z, label = tensors(sample, "z", "label")
        anchors = sum(int((label == y).sum()) > 1 for y in label)
        mean = established("supcon", z=z.relu(), label=label, temperature=number(sample, "temperature", 0.1))
        assert_close(loss("sup_con_relu", **sample), anchors * mean)


def test_sup_con_relu_of_an_orthogonal_frame() -> None:
    z, label = torch.eye(3).double()[[0, 0, 1, 1, 1, 2]], integer([0, 0, 1, 1, 1, 2])
    right = sum(n * math.log((n - 1) + (6 - n) * math.exp(-1)) for n in (2, 3))
    assert_close(loss("sup_con_relu", z=z, label=label, temperature=1.0), right)


def test_prototype_attraction_by_torch() -> None:
    for sample in samples("prototype_attraction"):
        feature, prototype, target = tensors(sample, "feature", "prototype", "target")
        valid = target >= 0
        cosine = functional.cosine_similarity(feature[valid], prototype[target[valid]])
        assert_close(loss("prototype_attraction", **sample), torch.nan_to_num((1 - cosine).mean()))


@pytest.mark.parametrize(("name", "axis"), [("sample", 0), ("class", 1)])
def test_relation_distillation_is_kl_div(name: str, axis: int) -> None:
    name = f"prototype_{name}_relation_distillation"
    for sample in samples(name):
        f, p, old_f, old_p = tensors(sample, "feature", "prototype", "old_feature", "old_prototype")
        t = number(sample, "temperature", 2.0)
        new, old = (
            x @ functional.normalize(y, dim=-1).T / t if axis else (x @ functional.normalize(y, dim=-1).T / t).T
            for x, y in ((f, p), (old_f, old_p))
        )
        right = functional.kl_div(new.log_softmax(1), old.log_softmax(1), reduction="batchmean", log_target=True)
        assert_close(loss(name, **sample), right)


def test_proto_triplet_by_torch() -> None:
    for sample in samples("proto_triplet"):
        query, prototype, target = tensors(sample, "query", "prototype", "target")
        valid = target >= 0
        query, target = query[valid], target[valid]
        distance = torch.cdist(query, prototype)
        own = distance.gather(1, target[:, None])[:, 0]
        rival = distance.scatter(1, target[:, None], math.inf).amin(1)
        right = functional.margin_ranking_loss(rival, own, torch.ones_like(own), margin=number(sample, "margin", 0.5))
        assert_close(loss("proto_triplet", **sample), torch.nan_to_num(right), atol=1e-9)


# Clusters, the Poincaré ball, and anchors


def test_pamc_on_matrices() -> None:
    for sample in samples("pamc_contrastive"):
        z, q, adjacency = tensors(sample, "z", "q", "adjacency")
        tau, eps = number(sample, "tau", 1.0), number(sample, "eps", 1e-10)
        sums = functional.one_hot(q.argmax(1), q.shape[1]).double().T @ z
        pull, push = ((tau * cosines(x, x).nan_to_num() * (1 - torch.eye(len(x)).double())).exp() for x in (z, sums))
        right = (push.sum(1) + eps).log().mean() - ((adjacency * pull).sum(1) + eps).log().mean()
        assert_close(loss("pamc_contrastive", **sample), right, atol=1e-10)


def assignment(z: Tensor, center: Tensor, v: float) -> Tensor:
    weights = (1 + torch.cdist(z, center, compute_mode="donot_use_mm_for_euclid_dist") ** 2 / v) ** (-(v + 1) / 2)
    return weights / weights.sum(1, keepdim=True)


def test_dec_is_kl_div_from_the_sharpened_assignment() -> None:
    for sample in samples("dec_kl_clustering"):
        z, center = tensors(sample, "z", "center")
        q = assignment(z, center, number(sample, "v", 1.0))
        p = q**2 / q.sum(0)
        p = p / p.sum(1, keepdim=True)
        right = functional.kl_div(q.log(), p, reduction="batchmean")
        assert_close(loss("dec_kl_clustering", **sample), right, atol=1e-9)


def test_dec_pushes_towards_the_sharpened_assignment(generator: torch.Generator) -> None:
    """As p is constant, the derivative is that of the cross entropy of p and q."""
    z, center = normal(generator, 4, 3).requires_grad_(), normal(generator, 3, 3)
    q = assignment(z, center, 1.0)
    p = (q**2 / q.sum(0)).detach()
    p = p / p.sum(1, keepdim=True)
    right = -(p * q.log()).sum(1).mean()
    slopes = [torch.autograd.grad(v, z)[0] for v in (loss("dec_kl_clustering", z=z, center=center), right)]
    assert_close(slopes[0], slopes[1])


def test_dec_of_one_row_is_zero(generator: torch.Generator) -> None:
    assert_close(loss("dec_kl_clustering", z=normal(generator, 1, 3), center=normal(generator, 3, 3)), 0.0)


def moebius(x: Tensor, y: Tensor, c: float) -> Tensor:
    """Möbius addition, as it is defined."""
    xy, xx, yy = ((a * b).sum(-1, keepdim=True) for a, b in ((x, y), (x, x), (y, y)))
    return ((1 + 2 * c * xy + c * yy) * x + (1 - c * xx) * y) / (1 + 2 * c * xy + c**2 * xx * yy)


def test_hyp_pc_is_artanh_of_a_moebius_sum() -> None:
    for sample in samples("hyp_pc"):
        first, second = tensors(sample, "first", "second")
        c = number(sample, "c", 0.1)
        right = 2 / math.sqrt(c) * torch.atanh(math.sqrt(c) * moebius(-first, second, c).norm(dim=-1)).mean()
        torch.testing.assert_close(loss("hyp_pc", **sample), right, rtol=1e-8, atol=1e-12)


def test_hyp_pc_is_flat_for_small_curvature(generator: torch.Generator) -> None:
    x, y = normal(generator, 3, 3), normal(generator, 3, 3)
    flat = 2 * (x - y).norm(dim=-1).mean()
    torch.testing.assert_close(loss("hyp_pc", first=x, second=y, c=1e-10), flat, rtol=1e-8, atol=0.0)


def moebius_logits(x: Tensor, offset: Tensor, slope: Tensor, c: float) -> Tensor:
    logits = []
    for p, a in zip(offset, slope, strict=True):
        w = moebius(-p, x, c)
        size, conformal = a.norm(), 2 / (1 - c * (p @ p))
        height = 2 * math.sqrt(c) * (w @ a) / (size * (1 - c * (w * w).sum(-1)))
        logits.append(conformal * size / math.sqrt(c) * torch.asinh(height))
    return torch.stack(logits, dim=1)


def test_hyp_ce_is_cross_entropy_of_gyroplane_logits() -> None:
    for sample in samples("hyp_ce"):
        x, offset, slope, target = tensors(sample, "point", "offset", "normal", "target")
        right = cross_entropy(moebius_logits(x, offset, slope, number(sample, "c", 0.1)), target)
        torch.testing.assert_close(loss("hyp_ce", **sample), right, rtol=1e-8, atol=1e-10)


def test_hyp_ce_is_linear_for_small_curvature(generator: torch.Generator) -> None:
    x, slope, target = normal(generator, 4, 3), normal(generator, 3, 3), labels(generator, 3, 4)
    flat = functional.cross_entropy(4 * x @ slope.T, target)
    found = loss("hyp_ce", point=x, offset=torch.zeros_like(slope), normal=slope, target=target, c=1e-10)
    torch.testing.assert_close(found, flat, rtol=1e-7, atol=0.0)


def test_hyp_oc_weighs_every_point_alike() -> None:
    for sample in samples("hyp_oc"):
        first, second, negative, offset, slope = tensors(sample, "first", "second", "negative", "offset", "normal")
        c = number(sample, "c", 0.1)
        logits = moebius_logits(torch.cat([first, second, negative]), offset, slope, c)
        target = (torch.arange(len(logits)) >= 2 * len(first)).long()
        right = functional.cross_entropy(logits, target) + loss("hyp_pc", first=first, second=second, c=c)
        torch.testing.assert_close(loss("hyp_oc", **sample), right, rtol=1e-8, atol=1e-10)


def test_arbex_anchor_loss_by_sums_of_squares() -> None:
    for sample in samples("arbex_anchor_loss"):
        (anchor,) = tensors(sample, "anchor")
        classes, each, dims = anchor.shape
        spread = classes * (anchor**2).sum() - (anchor.sum(0) ** 2).sum()
        assert_close(loss("arbex_anchor_loss", **sample), -2 * spread / math.sqrt(dims) / each**2, atol=1e-10)


def confidence(p: Tensor) -> Tensor:
    doubt: Tensor = torch.special.entr(p).sum(-1, keepdim=True) / math.log(p.shape[-1])
    return 1 - doubt


def test_arbex_center_loss_by_its_formula() -> None:
    for sample in samples("arbex_center_loss"):
        feature, logits, anchor, target = tensors(sample, "feature", "logits", "anchor", "target")
        nearest = (feature[:, None, None] - anchor).norm(dim=-1).amin(-1).gather(1, target.clamp(min=0)[:, None])
        terms = confidence((logits / number(sample, "T", 1.0)).softmax(-1)) * nearest / math.sqrt(feature.shape[1])
        assert_close(loss("arbex_center_loss", **sample), torch.nan_to_num(terms[target >= 0].mean()))


def test_arbex_nll_by_its_formula() -> None:
    for sample in samples("arbex_reliability_balanced_nll"):
        logits, feature, anchor, attention, target = tensors(
            sample, "logits", "feature", "anchor", "attention", "target"
        )
        T, delta, trust = (number(sample, n, d) for n, d in (("T", 1.0), ("delta", 1.0), ("trust", 0.5)))
        weight = torch.as_tensor(sample.get("weight", [1.0] * logits.shape[1]), dtype=torch.float64)
        own, attended = (logits / T).softmax(-1), attention.softmax(-1)
        near = -(feature[:, None, None] - anchor).norm(dim=-1) / delta
        similar = near.flatten(1).softmax(-1).unflatten(1, anchor.shape[:2]).sum(-1)
        sure, sure_too, c = confidence(similar), confidence(attended), confidence(own)
        corrected = (sure * similar + sure_too * attended) / (sure + sure_too)
        q = (1 - trust) * own + trust * (c * own + (1 - c) * corrected)
        right = torch.nan_to_num(functional.nll_loss(q.log(), target, weight=weight))
        assert_close(loss("arbex_reliability_balanced_nll", **sample), right)


def test_arbex_nll_without_trust_is_cross_entropy(generator: torch.Generator) -> None:
    batch = samples("arbex_reliability_balanced_nll")[0]
    logits, target = tensors(batch, "logits", "target")
    right = established("cross_entropy", logits=logits, target=target)
    assert_close(loss("arbex_reliability_balanced_nll", **{**batch, "trust": 0.0}), right)


def test_icnn_loss_by_hand() -> None:
    """On a line at 0, 1 | 3, 5.5 with one neighbour: own ratios 1/3, 1/2, 5/9, one stranger, three of four agree."""
    own = (1 / 3 + 1 / 2 + 5 / 9) / 3
    right = -math.log(((1 - own + 1) / 2 + 3 / 4) / 2)
    found = loss("icnn_loss", z=real([[0.0], [1.0], [3.0], [5.5]]), label=integer([0, 0, 1, 1]), k=1)
    assert_close(found, right)


def test_icnn_loss_knows_no_unit(generator: torch.Generator) -> None:
    z, label = normal(generator, 6, 3), integer([0, 1, 0, 1, 1, 0])
    assert_close(loss("icnn_loss", z=7 * z + 2, label=label, k=3), loss("icnn_loss", z=z, label=label, k=3))


def test_icnn_loss_of_one_class_is_zero(generator: torch.Generator) -> None:
    assert_close(loss("icnn_loss", z=normal(generator, 5, 2), label=integer([1] * 5), k=2), 0.0)
