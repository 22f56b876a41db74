"""Contrast within a batch and between two views."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..elementary import mean_or_zero, surprisal, unit, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, normal, real
from .pairs_shared import against, alike, cosines, labelled, others, unlike

LOG_SCALE = math.log(1 / 0.07)


# Contrast within a batch


def supcon_in(*, z: Tensor, label: Tensor, temperature: float = 0.1) -> Tensor:
    """mean over anchors with a positive of -log( mean of exp over positives / sum of exp over the others )."""
    similarity = cosines(z, z) / temperature
    terms = []
    for i, row in enumerate(similarity):
        positives = alike(label, i)
        if positives:
            terms.append(math.log(len(positives)) + against(row[positives], row[unlike(label, i)]))
    return mean_or_zero(terms, z)


def simple_contrastive(*, query: Tensor, key: Tensor, negative_weight: float = 1.0) -> Tensor:
    similarity = cosines(query, key)
    terms = []
    for i, row in enumerate(similarity):
        terms.append(-row[i] + negative_weight * sum((row[j] for j in others(len(row), i)), zero_of(row)))
    return mean_or_zero(terms, query)


def hard_contrastive(*, query: Tensor, key: Tensor, k: int = 4095, temperature: float = 0.07) -> Tensor:
    """InfoNCE whose denominator keeps the k most similar negatives of each query."""
    similarity = cosines(query, key) / temperature
    terms = []
    for i, row in enumerate(similarity):
        negatives = row[others(len(row), i)]
        terms.append(against(row[i : i + 1], negatives.topk(min(k, len(negatives))).values))
    return mean_or_zero(terms, query)


def uniformity(*, z: Tensor, t: float = 2.0) -> Tensor:
    """log of the mean over pairs of exp(-t squared distance) on the sphere."""
    u = unit(z)
    exponents = [-t * ((u[i] - u[j]) ** 2).sum() for i in range(len(z)) for j in range(i)]
    if not exponents:
        return zero_of(z)
    return torch.logsumexp(torch.stack(exponents), dim=0) - math.log(len(exponents))


def tolerance(*, z: Tensor, label: Tensor) -> Tensor:
    """The mean cosine over pairs of different rows with one label."""
    similarity = cosines(z, z)
    return mean_or_zero([similarity[i, j] for i in range(len(z)) for j in alike(label, i)], z)


def inf_cl(*, query: Tensor, key: Tensor, target: Tensor, log_scale: Tensor | float = LOG_SCALE) -> Tensor:
    """mean over queries of -log softmax over keys of exp(log_scale) cosine, at the target."""
    logits = torch.as_tensor(log_scale, dtype=torch.float64).exp() * cosines(query, key)
    return mean_or_zero([surprisal(logits[m], int(n)) for m, n in enumerate(target)], query)


# Two views


def partnered(first: Tensor, second: Tensor) -> tuple[Tensor, list[int]]:
    """The cosines between all views, and each view's partner."""
    views, count = torch.cat([first, second]), len(first)
    return cosines(views, views), [(i + count) % (2 * count) for i in range(2 * count)]


def nt_xent(*, first: Tensor, second: Tensor, temperature: float = 0.5) -> Tensor:
    cosine, partner = partnered(first, second)
    terms = []
    for i, row in enumerate(cosine / temperature):
        negatives = [j for j in range(len(row)) if j not in (i, partner[i])]
        terms.append(against(row[[partner[i]]], row[negatives]))
    return torch.stack(terms).mean()


def mean_shifted_contrastive(*, first: Tensor, second: Tensor, center: Tensor, temperature: float = 0.25) -> Tensor:
    return nt_xent(first=unit(first) - center, second=unit(second) - center, temperature=temperature)


def angular_center_loss(*, feature: Tensor, center: Tensor) -> Tensor:
    return -cosines(feature, center.unsqueeze(0)).mean()


def infonce_model_aware(
    *, positive: Tensor, negative: Tensor, tau: float = 0.1, alpha: float = 0.5, alignment: float = 0.0
) -> Tensor:
    """mean of -log p / stop(1 - p) at a temperature that grows with the mean positive similarity."""
    temperature = tau * (1 + alpha * (positive.detach().mean() - alignment))
    odds = torch.logsumexp(negative / temperature, dim=-1) - positive / temperature
    return torch.stack([weighed_surprisal(o) for o in odds]).mean()


def weighed_surprisal(odds: Tensor) -> Tensor:
    """-log p / (1 - p) for p = sigmoid(-odds), whose weight 1 / (1 - p) carries no gradient.

    The derivative of -log p by the odds is 1 - p, so that of the product is 1, whatever p.
    """
    o = odds.detach()
    t = torch.exp(-o.abs())
    above, below = (torch.log1p(t) + o) * (1 + t), torch.where(t > 0, torch.log1p(t) / t, 1.0) * (1 + t)
    return torch.where(o > 0, above, below) + (odds - o)


def macl(*, first: Tensor, second: Tensor, tau: float = 0.1, alpha: float = 0.5, alignment: float = 0.0) -> Tensor:
    cosine, partner = partnered(first, second)
    count = len(cosine)
    positive = torch.stack([cosine[i, partner[i]] for i in range(count)])
    negative = torch.stack([cosine[i][[j for j in range(count) if j not in (i, partner[i])]] for i in range(count)])
    return infonce_model_aware(positive=positive, negative=negative, tau=tau, alpha=alpha, alignment=alignment)


# Samples


def supcon_samples(generator: torch.Generator) -> list[Sample]:
    return deal(labelled(generator), {"temperature": 0.1}, {"temperature": 1.0}, {"temperature": 0.01})


def paired(generator: torch.Generator, first: str, second: str) -> list[Sample]:
    """Random, of very different lengths, one pair, equal, opposite, in one dimension."""
    a, b = normal(generator, 5, 4), normal(generator, 5, 4)
    line = real([[1.5], [-0.5], [2.0]])
    pairs = [(a, b), (1e-3 * a, 1e3 * b), (a[:1], b[:1]), (a, a.clone()), (a, -a), (line, -2 * line.flip(0))]
    return [{first: x, second: y} for x, y in pairs]


def simple_contrastive_samples(generator: torch.Generator) -> list[Sample]:
    settings: list[Sample] = [{}, {"negative_weight": 0.0}, {"negative_weight": 0.3}]
    return deal(paired(generator, "query", "key"), *settings)


def hard_contrastive_samples(generator: torch.Generator) -> list[Sample]:
    """In one dimension cosines are tied, so those are left out."""
    settings: list[Sample] = [
        {},
        {"k": 2, "temperature": 0.5},
        {"k": 1},
        {"k": 3, "temperature": 0.02},
        {"k": 4, "temperature": 1.0},
    ]
    return deal(paired(generator, "query", "key")[:5], *settings)


def uniformity_samples(generator: torch.Generator) -> list[Sample]:
    z = normal(generator, 6, 3)
    batches: list[Sample] = [
        {"z": z},
        {"z": 1e3 * z[:2]},
        {"z": z[:1]},
        {"z": torch.cat([z, z])},
        {"z": real([[1.0, 2.0]] * 3)},
        {"z": real([[1.0, 0.0], [-2.0, 0.0]])},
    ]
    return deal(batches, {"t": 2.0}, {"t": 0.5}, {"t": 400.0})


def inf_cl_samples(generator: torch.Generator) -> list[Sample]:
    """Fewer, as many and more keys than queries; one key; scales from small to large."""
    query, key = normal(generator, 4, 3), normal(generator, 6, 3)
    batches: list[Sample] = [
        {"query": query, "key": key, "target": integer([5, 0, 2, 2])},
        {"query": query, "key": key[:4], "target": integer([0, 1, 2, 3])},
        {"query": query, "key": key[:2], "target": integer([0, 1, 0, 1])},
        {"query": query, "key": key[:1], "target": integer([0, 0, 0, 0])},
        {"query": query[:1], "key": 1e3 * key, "target": integer([3])},
        {"query": query, "key": -query, "target": integer([0, 1, 2, 3])},
    ]
    scales: list[Sample] = [{"log_scale": real(v)} for v in (LOG_SCALE, 0.0, 4.6)]
    return batches[:1] + deal(batches, *scales)


def view_samples(generator: torch.Generator) -> list[Sample]:
    settings: list[Sample] = [{}, {"temperature": 0.05}, {"temperature": 2.0}]
    return deal(paired(generator, "first", "second"), *settings)


def mean_shifted_samples(generator: torch.Generator) -> list[Sample]:
    """A small center, none, and one outside the sphere."""
    samples: list[Sample] = []
    for i, sample in enumerate(view_samples(generator)):
        first = sample["first"]
        assert isinstance(first, Tensor)
        center = (0.4, 0.0, 1.7)[i % 3] * unit(normal(generator, first.shape[-1]))
        samples.append(sample | {"center": center})
    return samples


def center_samples(generator: torch.Generator) -> list[Sample]:
    feature, center = normal(generator, 5, 4), normal(generator, 4)
    return [
        {"feature": feature, "center": center},
        {"feature": feature[:1], "center": 1e3 * center},
        {"feature": 1e4 * feature, "center": 1e-3 * center},
        {"feature": torch.cat([torch.zeros(1, 4).double(), feature]), "center": center},
        {"feature": feature[:, :1], "center": center[:1]},
    ]


def model_aware_samples(generator: torch.Generator) -> list[Sample]:
    """Cosines of all kinds; one row; one negative; positives far above and far below their negatives."""
    positive, negative = torch.tanh(normal(generator, 5)), torch.tanh(normal(generator, 5, 4))
    sure, hopeless = real([0.95, 0.9, 0.99]), real([-0.9, -0.3, -0.95])
    far = torch.tanh(normal(generator, 3, 4)) / 10 - 0.5
    batches: list[Sample] = [
        {"positive": positive, "negative": negative},
        {"positive": positive[:1], "negative": negative[:1]},
        {"positive": positive, "negative": negative[:, :1]},
        {"positive": sure, "negative": far},
        {"positive": hopeless, "negative": -far},
    ]
    settings: list[Sample] = [
        {},
        {"tau": 1.0, "alpha": 0.0},
        {"tau": 0.5, "alpha": 0.9, "alignment": 0.3},
        {"tau": 0.05, "alpha": 0.25},
    ]
    return deal([*batches, *batches[3:]], *settings)


def macl_samples(generator: torch.Generator) -> list[Sample]:
    """At least two rows; the cosines in one dimension are 1 and -1."""
    pairs = paired(generator, "first", "second")
    settings: list[Sample] = [{}, {"tau": 1.0, "alpha": 0.0}, {"tau": 0.5, "alpha": 0.9, "alignment": 0.3}]
    return deal([pairs[0], pairs[1], *pairs[3:]], *settings)


CONTRAST: list[Oracle] = [
    Oracle(
        "supcon_in",
        supcon_in,
        supcon_samples,
        ("z",),
        "Khosla et al. 2020, L_in, as a mean over anchors with a positive; at most L_out by Jensen.",
    ),
    Oracle(
        "simple_contrastive",
        simple_contrastive,
        simple_contrastive_samples,
        ("query", "key"),
        "Wang and Liu 2021; equal to the trace and the total of the matrix of cosines.",
    ),
    Oracle(
        "hard_contrastive",
        hard_contrastive,
        hard_contrastive_samples,
        ("query", "key"),
        "Wang and Liu 2021, the threshold given as a count; equal to InfoNCE when every negative is kept.",
    ),
    Oracle(
        "uniformity",
        uniformity,
        uniformity_samples,
        ("z",),
        "Wang and Isola 2020; equal to the formula on torch.nn.functional.pdist.",
    ),
    Oracle(
        "tolerance",
        tolerance,
        labelled,
        ("z",),
        "Wang and Liu 2021; equal to a masked mean of the matrix of cosines.",
    ),
    Oracle(
        "inf_cl",
        inf_cl,
        inf_cl_samples,
        ("query", "key", "log_scale"),
        "Cheng et al. 2024; equal to torch.nn.functional.cross_entropy on scaled cosines.",
    ),
    Oracle(
        "nt_xent",
        nt_xent,
        view_samples,
        ("first", "second"),
        "Chen et al. 2020; equal to torch.nn.functional.cross_entropy on the cosines of all views, the diagonal masked.",
    ),
    Oracle(
        "mean_shifted_contrastive",
        mean_shifted_contrastive,
        mean_shifted_samples,
        ("first", "second"),
        "Reiss and Hoshen 2021, as read in the authors' code; equal to nt_xent about the origin.",
    ),
    Oracle(
        "angular_center_loss",
        angular_center_loss,
        center_samples,
        ("feature",),
        "Reiss and Hoshen 2021; equal to torch.nn.functional.cosine_similarity with a minus.",
    ),
    Oracle(
        "infonce_model_aware",
        infonce_model_aware,
        model_aware_samples,
        ("positive", "negative"),
        "Huang et al. 2022, as read in the authors' code; the derivative by a positive is -1 / (temperature B).",
    ),
    Oracle(
        "macl",
        macl,
        macl_samples,
        ("first", "second"),
        "Huang et al. 2022, over two views; its weights and temperature undone, it is nt_xent.",
    ),
]
