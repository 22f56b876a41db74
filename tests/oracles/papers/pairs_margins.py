"""Margins between classes, and triplets."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..elementary import mean_or_zero, norm, softplus, surprisal, unit
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, labels, normal, real
from .pairs_shared import alike, cosines, face_batches, kept, labelled, unlike


def replaced(row: Tensor, place: int, value: Tensor) -> Tensor:
    """The row with another value at one place."""
    return torch.where(torch.arange(len(row)) == place, value, row)


# Margins between classes


def cosface(*, feature: Tensor, weight: Tensor, target: Tensor, m: float = 0.35, s: float = 64.0) -> Tensor:
    """mean cross entropy of s (cosine - m at the target)."""
    cosine = cosines(feature, weight)
    rows = [(replaced(cosine[b], y, cosine[b, y] - m), y) for b, y in kept(target)]
    return mean_or_zero([surprisal(s * row, y) for row, y in rows], feature)


def arcface(
    *, feature: Tensor, weight: Tensor, target: Tensor, m: float = 0.5, s: float = 64.0, eps: float = 1e-7
) -> Tensor:
    """mean cross entropy of s cosine, with s cos(angle + m) at the target; cosines within 1 - eps."""
    cosine = cosines(feature, weight).clamp(-(1 - eps), 1 - eps)
    rows = [(replaced(cosine[b], y, torch.cos(torch.acos(cosine[b, y]) + m)), y) for b, y in kept(target)]
    return mean_or_zero([surprisal(s * row, y) for row, y in rows], feature)


def adaface(
    *,
    feature: Tensor,
    weight: Tensor,
    target: Tensor,
    norm_mean: Tensor | float = 20.0,
    norm_std: Tensor | float = 100.0,
    m: float = 0.4,
    h: float = 0.333,
    s: float = 64.0,
    momentum: float = 0.01,
    eps: float = 1e-3,
) -> Tensor:
    """Margins by the length of a feature against running statistics, which this batch enters first."""
    length = norm(feature).detach().clamp(eps, 100.0)
    mean = momentum * length.mean() + (1 - momentum) * norm_mean
    spread = momentum * length.std(correction=1) + (1 - momentum) * norm_std
    quality = (h * (length - mean) / (spread + eps)).clamp(-1.0, 1.0)
    cosine = cosines(feature, weight).clamp(-(1 - eps), 1 - eps)
    terms = []
    for b, y in kept(target):
        angle = (torch.acos(cosine[b, y]) - m * quality[b]).clamp(eps, math.pi - eps)
        row = replaced(cosine[b], y, torch.cos(angle) - (m + m * quality[b]))
        terms.append(surprisal(s * row, y))
    return torch.stack(terms).mean()


# Triplets


def triplet_hinges(z: Tensor, label: Tensor, margin: float) -> list[Tensor]:
    """relu(margin + |a - p| - |a - n|) for every valid triplet."""
    hinges = []
    for a in range(len(z)):
        for p in alike(label, a):
            for n in unlike(label, a):
                hinges.append(torch.relu(margin + norm(z[a] - z[p]) - norm(z[a] - z[n])))
    return hinges


def triplet_batch_all(*, z: Tensor, label: Tensor, margin: float = 0.2) -> Tensor:
    return mean_or_zero(triplet_hinges(z, label, margin), z)


def triplet_batch_all_nonzero(*, z: Tensor, label: Tensor, margin: float = 0.2) -> Tensor:
    """The mean over those triplets alone that are not satisfied."""
    return mean_or_zero([t for t in triplet_hinges(z, label, margin) if bool(t > 0)], z)


def soft_margin_triplet(*, z: Tensor, label: Tensor) -> Tensor:
    """mean over anchors with a positive and a negative of softplus(farthest positive - nearest negative)."""
    terms = []
    for a in range(len(z)):
        near, far = unlike(label, a), alike(label, a)
        if near and far:
            terms.append(softplus(norm(z[a] - z[far]).amax() - norm(z[a] - z[near]).amin()))
    return mean_or_zero(terms, z)


# Samples


def cosface_samples(generator: torch.Generator) -> list[Sample]:
    """Also one feature that is zero, whose cosines are all 0."""
    zero: Sample = {
        "feature": torch.cat([torch.zeros(1, 3).double(), normal(generator, 2, 3)]),
        "weight": normal(generator, 4, 3),
        "target": integer([1, 2, 0]),
    }
    settings: list[Sample] = [{}, {"m": 0.0, "s": 1.0}, {"m": 0.6, "s": 10.0}]
    return deal([*face_batches(generator), zero], *settings)


def arcface_samples(generator: torch.Generator) -> list[Sample]:
    """Also a target nearly opposite to its centre, so that the angle with its margin exceeds pi."""
    weight = normal(generator, 3, 4)
    opposite: Sample = {
        "feature": -weight + 0.1 * normal(generator, 3, 4),
        "weight": weight,
        "target": integer([0, 1, 2]),
    }
    settings: list[Sample] = [{}, {"m": 0.0, "s": 1.0}, {"m": 1.2, "s": 10.0}]
    return deal([*face_batches(generator), opposite], *settings)


def adaface_samples(generator: torch.Generator) -> list[Sample]:
    """Fresh and grown statistics, lengths beyond every clip, margins of both signs."""
    feature, weight, target = normal(generator, 6, 4), normal(generator, 5, 4), labels(generator, 5, 6)
    batch: Sample = {"feature": feature, "weight": weight, "target": target}
    lengths = real([1e-5, 0.3, 2.0, 40.0, 90.0, 500.0]).unsqueeze(-1)
    varied: Sample = {"feature": lengths * unit(feature), "weight": weight, "target": target}
    fresh: Sample = {"norm_mean": real(20.0), "norm_std": real(100.0)}
    grown: Sample = {"norm_mean": real(12.0), "norm_std": real(3.0)}
    return [
        batch | fresh,
        varied | fresh,
        varied | grown,
        varied | grown | {"h": 1.0, "momentum": 0.5},
        batch | grown | {"momentum": 1.0, "s": 8.0, "m": 0.25},
        varied | grown | {"h": 0.0, "m": 0.35},
        {"feature": 10 * feature[:2], "weight": weight[:2], "target": integer([1, 0])} | grown,
    ]


def triplet_samples(generator: torch.Generator) -> list[Sample]:
    """Also classes far apart, all of whose triplets are satisfied."""
    z = normal(generator, 4, 2)
    apart: Sample = {"z": torch.cat([z[:2], z[2:] + 100]), "label": integer([0, 0, 1, 1])}
    return deal([*labelled(generator), apart], {"margin": 0.2}, {"margin": 0.0}, {"margin": 5.0})


def soft_triplet_samples(generator: torch.Generator) -> list[Sample]:
    z = normal(generator, 4, 2)
    apart: Sample = {"z": torch.cat([z[:2], z[2:] + 100]), "label": integer([0, 0, 1, 1])}
    return [*labelled(generator), apart]


MARGINS: list[Oracle] = [
    Oracle(
        "cosface",
        cosface,
        cosface_samples,
        ("feature", "weight"),
        "Wang et al. 2018; equal to torch.nn.functional.cross_entropy on the shifted, scaled cosines.",
    ),
    Oracle(
        "arcface",
        arcface,
        arcface_samples,
        ("feature", "weight"),
        "Deng et al. 2019, the plain formula; equal to torch.nn.functional.cross_entropy on cosines written"
        " with the addition theorem.",
    ),
    Oracle(
        "adaface",
        adaface,
        adaface_samples,
        ("feature", "weight"),
        "Kim, Jain and Liu 2022, as read in the authors' code; equal to cosface at h = 0.",
    ),
    Oracle(
        "triplet_batch_all",
        triplet_batch_all,
        triplet_samples,
        ("z",),
        "Hermans et al. 2017; equal to the mean of torch.nn.functional.triplet_margin_loss over the triplets.",
    ),
    Oracle(
        "triplet_batch_all_nonzero",
        triplet_batch_all_nonzero,
        triplet_samples,
        ("z",),
        "Hermans et al. 2017, divided by the number of positive terms.",
    ),
    Oracle(
        "soft_margin_triplet",
        soft_margin_triplet,
        soft_triplet_samples,
        ("z",),
        "Hermans et al. 2017, batch hard with softplus; bounded by the hinge and the hinge plus log 2.",
    ),
]
