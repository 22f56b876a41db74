"""Clusters, the Poincaré ball, and anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..elementary import mean_or_zero, norm, surprisal, unit, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, normal, uniform
from .pairs_shared import IGNORED, cosines, kept, log_softmax

# Clusters, the Poincaré ball, and anchors


def pamc_contrastive(*, z: Tensor, q: Tensor, adjacency: Tensor, tau: float = 1.0, eps: float = 1e-10) -> Tensor:
    """Neighbours attract; the sums of the clusters repel each other."""
    cluster = q.argmax(dim=1)
    sums = torch.stack([sum((z[i] for i in range(len(z)) if cluster[i] == k), z[0] * 0) for k in range(q.shape[1])])
    pull = [torch.log((adjacency[i] * rise).sum() + eps) for i, rise in enumerate(exp_off_diagonal(z, tau))]
    push = [torch.log(row.sum() + eps) for row in exp_off_diagonal(sums, tau)]
    return torch.stack(push).mean() - torch.stack(pull).mean()


def exp_off_diagonal(x: Tensor, tau: float) -> Tensor:
    """exp(tau cosine) between different rows, and 1 on the diagonal."""
    return torch.where(torch.eye(len(x), dtype=torch.bool), 1.0, torch.exp(tau * cosines(x, x)))


def dec_kl_clustering(*, z: Tensor, center: Tensor, v: float = 1.0) -> Tensor:
    """Divergence of a soft assignment from its own sharpened, balanced version."""
    squares = ((z.unsqueeze(1) - center) ** 2).sum(-1)
    logq = torch.stack([log_softmax(row) for row in -(v + 1) / 2 * torch.log1p(squares / v)])
    sharpened = 2 * logq.detach() - torch.logsumexp(logq.detach(), dim=0)
    logp = torch.stack([log_softmax(row) for row in sharpened])
    return torch.stack([(p.exp() * (p - q)).sum() for p, q in zip(logp, logq, strict=True)]).mean()


def inside(x: Tensor, c: float) -> Tensor:
    """How far a point lies from the ball's edge: 1 - c |x|^2."""
    return 1 - c * (x * x).sum(-1)


def geodesic(x: Tensor, y: Tensor, c: float) -> Tensor:
    """The Poincaré distance; through asinh, which is exact for near points and at the edge."""
    return 2 / math.sqrt(c) * torch.asinh(math.sqrt(c) * norm(x - y) / torch.sqrt(inside(x, c) * inside(y, c)))


def hyp_pc(*, first: Tensor, second: Tensor, c: float = 0.1) -> Tensor:
    return torch.stack([geodesic(x, y, c) for x, y in zip(first, second, strict=True)]).mean()


def gyroplane_logits(x: Tensor, offset: Tensor, normal: Tensor, c: float) -> Tensor:
    """Ganea's logit of one point for every class, the Möbius sum's denominator cancelled."""
    logits = []
    for p, a in zip(offset, normal, strict=True):
        moved = inside(p, c) * x - (1 - 2 * c * (p @ x) + c * (x @ x)) * p
        height = 2 * math.sqrt(c) * (moved @ a) / (norm(a) * inside(p, c) * inside(x, c))
        logits.append(2 * norm(a) / (math.sqrt(c) * inside(p, c)) * torch.asinh(height))
    return torch.stack(logits)


def hyp_ce(*, point: Tensor, offset: Tensor, normal: Tensor, target: Tensor, c: float = 0.1) -> Tensor:
    terms = [surprisal(gyroplane_logits(point[b], offset, normal, c), y) for b, y in kept(target)]
    return mean_or_zero(terms, point)


def hyp_oc(
    *, first: Tensor, second: Tensor, negative: Tensor, offset: Tensor, normal: Tensor, c: float = 0.1
) -> Tensor:
    """hyp_ce of both halves of the real points as class 0 and the negatives as class 1, and hyp_pc of the halves."""
    target = torch.tensor([0] * (2 * len(first)) + [1] * len(negative))
    points = torch.cat([first, second, negative])
    apart = hyp_ce(point=points, offset=offset, normal=normal, target=target, c=c)
    return apart + hyp_pc(first=first, second=second, c=c)


def arbex_anchor_loss(*, anchor: Tensor) -> Tensor:
    classes, each, dims = anchor.shape
    total = zero_of(anchor)
    for x in range(classes):
        for y in range(classes):
            total = total - ((anchor[x] - anchor[y]) ** 2).sum()
    return total / math.sqrt(dims) / each**2


def arbex_center_loss(*, feature: Tensor, logits: Tensor, anchor: Tensor, target: Tensor, T: float = 1.0) -> Tensor:
    terms = []
    for b, y in kept(target):
        nearest = norm(feature[b] - anchor[y]).amin()
        terms.append((1 - doubt(log_softmax(logits[b] / T))) * nearest / math.sqrt(feature.shape[1]))
    return mean_or_zero(terms, feature)


def doubt(logp: Tensor) -> Tensor:
    """The entropy of a distribution in parts of the largest possible."""
    return -(logp.exp() * logp).sum() / math.log(len(logp))


def arbex_reliability_balanced_nll(
    *,
    logits: Tensor,
    feature: Tensor,
    anchor: Tensor,
    attention: Tensor,
    target: Tensor,
    weight: Sequence[float] | float = 1.0,
    T: float = 1.0,
    delta: float = 1.0,
    trust: float = 0.5,
) -> Tensor:
    """Weighted mean of -log q at the targets, q mixed from predictions and their corrections."""
    classes, each, _ = anchor.shape
    weights = [float(weight)] * classes if isinstance(weight, int | float) else list(weight)
    total, divisor = zero_of(logits), 0.0
    for b, y in kept(target):
        own, attended = log_softmax(logits[b] / T), log_softmax(attention[b])
        near = log_softmax(-norm(feature[b] - anchor).reshape(-1) / delta).reshape(classes, each)
        similar = torch.logsumexp(near, dim=1)
        sure, sure_too = 1 - doubt(similar), 1 - doubt(attended)
        corrected = torch.logaddexp(similar[y] + sure.log(), attended[y] + sure_too.log()) - (sure + sure_too).log()
        mixed = torch.log1p(-trust * doubt(own)) + own[y]
        if trust > 0:
            mixed = torch.logaddexp(mixed, math.log(trust) + torch.log(doubt(own)) + corrected)
        total = total - weights[y] * mixed
        divisor += weights[y]
    return total / divisor if divisor > 0 else zero_of(logits)


# Samples


def pamc_samples(generator: torch.Generator) -> list[Sample]:
    """Weighted edges, an empty cluster, one cluster, a node without edges, every node its own cluster."""
    z, q = normal(generator, 5, 3), torch.softmax(normal(generator, 5, 3), dim=1)
    edges = (uniform(generator, 5, 5) < 0.5).double()
    edges = torch.maximum(torch.maximum(edges, edges.T), torch.eye(5).double())
    lonely = edges * (torch.arange(5) != 2)
    batches: list[Sample] = [
        {"z": z, "q": q, "adjacency": edges * (0.5 + uniform(generator, 5, 5))},
        {"z": z, "q": torch.cat([q, torch.zeros(5, 1).double()], dim=1), "adjacency": edges},
        {"z": 100 * z, "q": q[:, :1], "adjacency": edges},
        {"z": z, "q": q, "adjacency": lonely * (torch.arange(5) != 2).unsqueeze(1), "eps": 1e-3},
        {"z": z, "q": torch.eye(5).double(), "adjacency": edges},
        {"z": z[:1], "q": q[:1], "adjacency": torch.ones(1, 1).double()},
    ]
    return deal(batches, {"tau": 1.0}, {"tau": 0.2}, {"tau": 10.0})


def dec_samples(generator: torch.Generator) -> list[Sample]:
    """Points among, near and far from their centers."""
    z, center = normal(generator, 6, 3), normal(generator, 4, 3)
    batches: list[Sample] = [
        {"z": z, "center": center},
        {"z": 100 * z, "center": 100 * center},
        {"z": z + 1e3, "center": center + 1e3},
        {"z": center[integer([0, 1, 1, 3])] + 0.01 * z[:4], "center": center},
        {"z": z[:2], "center": center[:2]},
    ]
    return deal(batches, {"v": 1.0}, {"v": 5.0}, {"v": 0.3})


def ball(generator: torch.Generator, count: int, dims: int, c: float, reach: float = 0.9) -> Tensor:
    """Points of the Poincaré ball, up to a part of its radius."""
    return reach / math.sqrt(c) * uniform(generator, count, 1) * unit(normal(generator, count, dims))


def hyp_pc_samples(generator: torch.Generator) -> list[Sample]:
    """Random, near the edge, near each other, equal, one pair, nearly flat."""
    x, y = ball(generator, 4, 3, 0.1), ball(generator, 4, 3, 0.1)
    edge = 0.999 / math.sqrt(0.1)
    return [
        {"first": x, "second": y},
        {"first": edge * unit(x), "second": edge * unit(y)},
        {"first": x, "second": x + 1e-4 * y},
        {"first": x, "second": x.clone()},
        {"first": x[:1], "second": y[:1]},
        {"first": 0.3 * x, "second": 0.3 * y, "c": 1.0},
        {"first": 10 * x, "second": 10 * y, "c": 1e-4},
    ]


def hyp_ce_samples(generator: torch.Generator) -> list[Sample]:
    """Random, ignored in part and wholly, near the edge, offsets at 0, one class."""
    x, offset, slope = ball(generator, 5, 3, 0.1), ball(generator, 4, 3, 0.1, 0.5), normal(generator, 4, 3)
    target = integer([0, 3, IGNORED, 1, 0])
    batch: Sample = {"point": x, "offset": offset, "normal": slope, "target": target}
    return [
        batch,
        batch | {"point": 0.999 / math.sqrt(0.1) * unit(x)},
        batch | {"offset": torch.zeros_like(offset), "normal": 20 * slope},
        batch | {"target": torch.full_like(target, IGNORED)},
        {"point": x[:1], "offset": offset[:1], "normal": slope[:1], "target": integer([0])},
        batch | {"point": 0.3 * x, "offset": 0.3 * offset, "c": 1.0},
        batch | {"c": 1e-4, "normal": 0.1 * slope},
    ]


def hyp_oc_samples(generator: torch.Generator) -> list[Sample]:
    x, y, negative = ball(generator, 3, 3, 0.1), ball(generator, 3, 3, 0.1), ball(generator, 4, 3, 0.1)
    offset, slope = ball(generator, 2, 3, 0.1, 0.5), normal(generator, 2, 3)
    batch: Sample = {"first": x, "second": y, "negative": negative, "offset": offset, "normal": slope}
    return [
        batch,
        batch | {"second": x.clone()},
        batch | {"first": x[:1], "second": y[:1], "negative": negative[:1]},
        batch | {"c": 0.02, "normal": 5 * slope},
    ]


def anchors(generator: torch.Generator) -> list[Sample]:
    anchor = normal(generator, 4, 3, 2)
    return [{"anchor": a} for a in (anchor, anchor[:1], anchor[:, :1], 100 * anchor, anchor[:2, :, :1])]


def arbex_batch(generator: torch.Generator) -> Sample:
    return {
        "logits": normal(generator, 5, 4, scale=2),
        "feature": normal(generator, 5, 3),
        "anchor": normal(generator, 4, 2, 3),
        "target": integer([0, 3, IGNORED, 1, 0]),
    }


def arbex_center_samples(generator: torch.Generator) -> list[Sample]:
    """Also confident logits, far anchors, a feature on its anchor, all ignored."""
    batch = arbex_batch(generator)
    logits, feature, anchor = batch["logits"], batch["feature"], batch["anchor"]
    assert isinstance(logits, Tensor)
    assert isinstance(feature, Tensor)
    assert isinstance(anchor, Tensor)
    return [
        batch,
        batch | {"logits": 20 * logits, "T": 2.0},
        batch | {"anchor": 100 * anchor, "T": 0.5},
        batch | {"feature": torch.cat([anchor[0, :1], feature[1:]])},
        batch | {"target": integer([IGNORED] * 5)},
        batch | {"logits": logits[:, :2], "anchor": anchor[:2, :1], "target": integer([0, 1, 1, 0, 1])},
    ]


def arbex_nll_samples(generator: torch.Generator) -> list[Sample]:
    """No, some and full trust; class weights; confident predictions; sharp similarities; all ignored."""
    batch = arbex_batch(generator) | {"attention": normal(generator, 5, 4)}
    logits, attention = batch["logits"], batch["attention"]
    assert isinstance(logits, Tensor)
    assert isinstance(attention, Tensor)
    return [
        batch,
        batch | {"trust": 0.0, "T": 2.0},
        batch | {"trust": 1.0, "weight": [0.5, 2.0, 1.0, 0.1]},
        batch | {"logits": 8 * logits, "trust": 0.9},
        batch | {"delta": 0.1, "attention": 5 * attention, "trust": 0.7},
        batch | {"target": integer([IGNORED] * 5)},
    ]


CLUSTERS: list[Oracle] = [
    Oracle(
        "pamc_contrastive",
        pamc_contrastive,
        pamc_samples,
        ("z",),
        "Kulatilleke et al. 2022, as read in the authors' code; equal to the same on matrices.",
    ),
    Oracle(
        "dec_kl_clustering",
        dec_kl_clustering,
        dec_samples,
        ("z", "center"),
        "Xie et al. 2016; equal to torch.nn.functional.kl_div on the two distributions.",
    ),
    Oracle(
        "hyp_pc",
        hyp_pc,
        hyp_pc_samples,
        ("first", "second"),
        "Narayan and Patel 2024, geodesic distance, mean over pairs; equal to artanh of a Möbius sum.",
    ),
    Oracle(
        "hyp_ce",
        hyp_ce,
        hyp_ce_samples,
        ("point", "offset", "normal"),
        "Narayan and Patel 2024 with Ganea's logits; equal to torch.nn.functional.cross_entropy on Möbius sums.",
    ),
    Oracle(
        "hyp_oc",
        hyp_oc,
        hyp_oc_samples,
        ("first", "second", "negative", "offset", "normal"),
        "Narayan and Patel 2024; hyp_ce plus hyp_pc.",
    ),
    Oracle(
        "arbex_anchor_loss",
        arbex_anchor_loss,
        anchors,
        ("anchor",),
        "Wasi et al. 2023, as read in the authors' code; equal to sums of squares less squares of sums.",
    ),
    Oracle(
        "arbex_center_loss",
        arbex_center_loss,
        arbex_center_samples,
        ("feature", "logits", "anchor"),
        "Wasi et al. 2023, as read in the authors' code; equal to the formula with torch.special.entr and cdist.",
    ),
    Oracle(
        "arbex_reliability_balanced_nll",
        arbex_reliability_balanced_nll,
        arbex_nll_samples,
        ("logits", "feature", "anchor", "attention"),
        "Wasi et al. 2023, as read in the authors' code; equal to torch.nn.functional.nll_loss of the mixture.",
    ),
]
