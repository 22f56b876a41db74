"""What the oracles of this group share."""

from __future__ import annotations

import torch
from torch import Tensor

from ..elementary import softplus, surprisal, unit
from ..oracle import Sample
from ..sampling import integer, labels, normal

IGNORED = -100


def cosines(x: Tensor, y: Tensor) -> Tensor:
    """The cosine of every row of x with every row of y."""
    return unit(x) @ unit(y).T


def kept(target: Tensor) -> list[tuple[int, int]]:
    """(row, label) for the targets that are not ignored."""
    return [(i, int(y)) for i, y in enumerate(target.tolist()) if y != IGNORED]


def others(count: int, anchor: int) -> list[int]:
    return [i for i in range(count) if i != anchor]


def alike(label: Tensor, anchor: int) -> list[int]:
    """The other rows with the anchor's label."""
    return [i for i in others(len(label), anchor) if bool(label[i] == label[anchor])]


def unlike(label: Tensor, anchor: int) -> list[int]:
    """The rows with another label than the anchor's."""
    return [i for i in range(len(label)) if bool(label[i] != label[anchor])]


# Contrast within a batch


def against(chosen: Tensor, rest: Tensor) -> Tensor:
    """-log( sum exp(chosen) / sum exp(chosen and rest) ), exact where either sum dominates."""
    return softplus(torch.logsumexp(rest, dim=0) - torch.logsumexp(chosen, dim=0))


# Domains


def log_softmax(row: Tensor) -> Tensor:
    return -torch.stack([surprisal(row, c) for c in range(len(row))])


# Samples


def face_batches(generator: torch.Generator) -> list[Sample]:
    """Random, ignored in part, one row, two classes, long and short features, one class, all ignored."""
    feature, weight = normal(generator, 6, 4), normal(generator, 5, 4)
    target = labels(generator, 5, 6)
    return [
        {"feature": feature, "weight": weight, "target": target},
        {"feature": feature, "weight": 0.1 * weight, "target": torch.where(target == target[0], IGNORED, target)},
        {"feature": feature[:1], "weight": weight, "target": target[:1]},
        {"feature": 1e3 * feature, "weight": weight[:2], "target": labels(generator, 2, 6)},
        {"feature": 1e-3 * feature, "weight": weight, "target": target},
        {"feature": feature[:3], "weight": weight[:1], "target": integer([0, IGNORED, 0])},
        {"feature": feature[:2], "weight": weight, "target": integer([IGNORED, IGNORED])},
    ]


def labelled(generator: torch.Generator) -> list[Sample]:
    """Mixed labels, two classes, no negatives, no positives, one row, far and near points."""
    z = normal(generator, 6, 3)
    return [
        {"z": z, "label": integer([0, 1, 0, 2, 1, 0])},
        {"z": z, "label": integer([-7, -7, 9, 9, 9, -7])},
        {"z": z, "label": integer([1] * 6)},
        {"z": z, "label": torch.arange(6)},
        {"z": z[:1], "label": integer([0])},
        {"z": 1e3 * z, "label": integer([0, 0, 0, 1, 1, 1])},
        {"z": 1e-4 * z, "label": integer([0, 0, 0, 1, 1, 1])},
    ]
