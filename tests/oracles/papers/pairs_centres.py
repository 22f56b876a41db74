"""Centres and prototypes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..elementary import mean_or_zero, norm, softplus, unit, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, normal
from .pairs_shared import IGNORED, against, alike, cosines, face_batches, kept, labelled, log_softmax, others

# Centres and prototypes


def circle_loss_classification(
    *, feature: Tensor, weight: Tensor, target: Tensor, m: float = 0.25, gamma: float = 256.0
) -> Tensor:
    """Circle loss of the cosine with the target's centre against those with all other centres."""
    cosine = cosines(feature, weight)
    terms = []
    for b, y in kept(target):
        own, rest = cosine[b, y], cosine[b][others(len(weight), y)]
        pull = -gamma * torch.relu(1 + m - own).detach() * (own - (1 - m))
        push = gamma * torch.relu(rest + m).detach() * (rest - m)
        terms.append(softplus(pull + torch.logsumexp(push, dim=0)))
    return mean_or_zero(terms, feature)


def cosine_contrastive_loss(
    *, user: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.9, weight: float = 150.0
) -> Tensor:
    terms = []
    for b in range(len(user)):
        excess = torch.relu(unit(negative[b]) @ unit(user[b]) - margin)
        terms.append(1 - unit(user[b]) @ unit(positive[b]) + weight * excess.mean())
    return torch.stack(terms).mean()


def sup_con_relu(*, z: Tensor, label: Tensor, temperature: float = 0.1) -> Tensor:
    """L_out on normalised non-negative features, summed over anchors."""
    h = torch.relu(z)
    similarity = cosines(h, h) / temperature
    total = zero_of(z)
    for i, row in enumerate(similarity):
        positives = alike(label, i)
        for j in positives:
            rest = [k for k in others(len(row), i) if k != j]
            total = total + against(row[[j]], row[rest]) / len(positives)
    return total


def prototype_attraction(*, feature: Tensor, prototype: Tensor, target: Tensor) -> Tensor:
    cosine = cosines(feature, prototype)
    return mean_or_zero([1 - cosine[b, y] for b, y in kept(target)], prototype)


def divergence(old: Tensor, new: Tensor) -> Tensor:
    """KL of the softmax of old scores from that of new ones."""
    p, q = log_softmax(old), log_softmax(new)
    return (p.exp() * (p - q)).sum()


def prototype_sample_relation_distillation(
    *, feature: Tensor, prototype: Tensor, old_feature: Tensor, old_prototype: Tensor, temperature: float = 2.0
) -> Tensor:
    """For each prototype, the divergence of its similarities to the samples of the batch."""
    new, old = feature @ unit(prototype).T / temperature, old_feature @ unit(old_prototype).T / temperature
    return torch.stack([divergence(o, n) for o, n in zip(old.T, new.T, strict=True)]).mean()


def prototype_class_relation_distillation(
    *, feature: Tensor, prototype: Tensor, old_feature: Tensor, old_prototype: Tensor, temperature: float = 2.0
) -> Tensor:
    """For each sample, the divergence of its similarities to the prototypes."""
    new, old = feature @ unit(prototype).T / temperature, old_feature @ unit(old_prototype).T / temperature
    return torch.stack([divergence(o, n) for o, n in zip(old, new, strict=True)]).mean()


def proto_triplet(*, query: Tensor, prototype: Tensor, target: Tensor, margin: float = 0.5) -> Tensor:
    terms = []
    for i, y in kept(target):
        distance = norm(query[i] - prototype)
        terms.append(torch.relu(distance[y] - distance[others(len(prototype), y)].amin() + margin))
    return mean_or_zero(terms, query)


def icnn_loss(*, z: Tensor, label: Tensor, k: int = 4) -> Tensor:
    """-log of a score of nearest neighbours: of the own class, near for their class, far if of another."""
    count = len(z)
    distance = torch.stack([norm(z[i] - z) for i in range(count)])
    near = [sorted(others(count, i), key=distance[i].tolist().__getitem__) for i in range(count)]
    same = [[p for p in near[i][:k] if label[p] == label[i]] for i in range(count)]
    other = [[p for p in near[i][:k] if label[p] != label[i]] for i in range(count)]
    own = []
    for i in range(count):
        rivals = [p for p in near[i][: k + 1] if label[p] != label[i]]
        ratio = distance[i] / distance[i][rivals].amin() if rivals else distance[i] * 0
        if same[i]:
            own.append((ratio[same[i]] / ratio[near[i][:k]].amax().clamp(min=1.0)).mean())
    apart = [distance[i][p] for i, p in enumerate(other) if p]
    spread = torch.stack([d.mean() for d in apart]).mean() / torch.cat(apart).amax() if apart else zero_of(z) + 1
    agreement = sum(len(p) for p in same) / k / count
    return -torch.log(((1 - mean_or_zero(own, z) + spread) / 2 + agreement) / 2)


# Samples


def circle_class_samples(generator: torch.Generator) -> list[Sample]:
    return deal(face_batches(generator), {}, {"m": 0.4, "gamma": 80.0}, {"m": 0.1, "gamma": 1.0})


def cosine_contrastive_samples(generator: torch.Generator) -> list[Sample]:
    """Margins under which some, all and no negatives count; one negative; aligned positives."""
    user, positive = normal(generator, 4, 3), normal(generator, 4, 3)
    negative = normal(generator, 4, 5, 3)
    close = user.unsqueeze(1) + 0.2 * negative
    return [
        {"user": user, "positive": positive, "negative": close},
        {"user": user, "positive": positive, "negative": negative, "margin": 0.3, "weight": 5.0},
        {"user": user[:1], "positive": positive[:1], "negative": negative[:1, :1], "margin": 0.0, "weight": 1.0},
        {"user": 1e3 * user, "positive": 1e-3 * user + 1e-6 * positive, "negative": close, "margin": 0.5},
        {"user": user, "positive": -user, "negative": -close, "margin": 0.1},
        {"user": user, "positive": positive, "negative": negative, "weight": 0.0},
    ]


def relu_samples(generator: torch.Generator) -> list[Sample]:
    """Also a feature without a positive entry."""
    z = normal(generator, 4, 3)
    dead: Sample = {"z": torch.cat([z, -(z[:2].abs())]), "label": integer([0, 1, 0, 1, 0, 0])}
    return deal([*labelled(generator), dead], {"temperature": 0.1}, {"temperature": 1.0}, {"temperature": 0.02})


def prototype_samples(generator: torch.Generator) -> list[Sample]:
    feature, prototype = normal(generator, 5, 3), normal(generator, 4, 3)
    return [
        {"feature": feature, "prototype": prototype, "target": integer([0, 3, IGNORED, 1, 0])},
        {"feature": 1e3 * feature, "prototype": 1e-2 * prototype, "target": integer([2, 2, 2, 2, 2])},
        {"feature": feature[:1], "prototype": prototype[:1], "target": integer([0])},
        {"feature": feature[:2], "prototype": prototype, "target": integer([IGNORED, IGNORED])},
    ]


def relation_samples(generator: torch.Generator) -> list[Sample]:
    """Random, one step apart, long features, two samples, two prototypes."""
    new, old = normal(generator, 5, 3), normal(generator, 5, 3)
    own, past = normal(generator, 4, 3), normal(generator, 4, 3)

    def sample(f: Tensor, p: Tensor, of: Tensor, op: Tensor) -> Sample:
        return {"feature": f, "prototype": p, "old_feature": of, "old_prototype": op}

    batches = [
        sample(new, own, old, past),
        sample(old + 0.1 * new, past + 0.1 * own, old, past),
        sample(100 * new, own, 3 * old, past),
        sample(new[:2], own, old[:2], past),
        sample(new, own[:2], old, past[:2]),
    ]
    return deal(batches, {"temperature": 2.0}, {"temperature": 0.1}, {"temperature": 10.0})


def proto_triplet_samples(generator: torch.Generator) -> list[Sample]:
    """Near and far prototypes, all satisfied, two prototypes, all ignored."""
    query, prototype = normal(generator, 5, 3), normal(generator, 4, 3)
    target = integer([0, 3, IGNORED, 1, 0])
    batches: list[Sample] = [
        {"query": query, "prototype": prototype, "target": target},
        {"query": 100 * query, "prototype": 100 * prototype, "target": target},
        {"query": prototype + 0.01 * query[:4], "prototype": prototype, "target": torch.arange(4)},
        {"query": query[:1], "prototype": prototype[:2], "target": integer([1])},
        {"query": query[:2], "prototype": prototype, "target": integer([IGNORED, IGNORED])},
    ]
    return deal(batches, {"margin": 0.5}, {"margin": 0.0}, {"margin": 3.0})


def icnn_samples(generator: torch.Generator) -> list[Sample]:
    """Mixed and separate classes, one class, every row its own class, far and near points."""
    z = normal(generator, 6, 3)
    apart = torch.cat([z[:3], z[3:] + 20])
    two = integer([0, 0, 0, 1, 1, 1])
    return [
        {"z": z, "label": integer([0, 1, 0, 2, 1, 0])},
        {"z": z, "label": two, "k": 2},
        {"z": apart, "label": two, "k": 2},
        {"z": apart, "label": two, "k": 3},
        {"z": z, "label": integer([5] * 6), "k": 2},
        {"z": z, "label": torch.arange(6), "k": 1},
        {"z": 1e3 * z, "label": two, "k": 4},
        {"z": 1e-3 * z, "label": integer([-1, 4, 4, -1, -1, 4]), "k": 1},
    ]


CENTRES: list[Oracle] = [
    Oracle(
        "circle_loss_classification",
        circle_loss_classification,
        circle_class_samples,
        ("feature", "weight"),
        "Sun et al. 2020, with class centres; equal to the closed form for two classes.",
    ),
    Oracle(
        "cosine_contrastive_loss",
        cosine_contrastive_loss,
        cosine_contrastive_samples,
        ("user", "positive", "negative"),
        "Mao et al. 2021; equal to torch.nn.functional.cosine_embedding_loss, summed.",
    ),
    Oracle(
        "sup_con_relu",
        sup_con_relu,
        relu_samples,
        ("z",),
        "Kini et al. 2024; equal to supcon on the rectified features, times the number of its anchors.",
    ),
    Oracle(
        "prototype_attraction",
        prototype_attraction,
        prototype_samples,
        ("prototype",),
        "Asadi et al. 2023; equal to torch.nn.functional.cosine_similarity, as read in the authors' code.",
    ),
    Oracle(
        "prototype_sample_relation_distillation",
        prototype_sample_relation_distillation,
        relation_samples,
        ("feature", "prototype"),
        "Asadi et al. 2023, similarities normalised over samples; equal to torch.nn.functional.kl_div.",
    ),
    Oracle(
        "prototype_class_relation_distillation",
        prototype_class_relation_distillation,
        relation_samples,
        ("feature", "prototype"),
        "Asadi et al. 2023, as read in the authors' code; equal to torch.nn.functional.kl_div.",
    ),
    Oracle(
        "proto_triplet",
        proto_triplet,
        proto_triplet_samples,
        ("query", "prototype"),
        "Mendez-Ruiz et al. 2023; equal to torch.nn.functional.triplet_margin_loss with the nearest other prototype.",
    ),
    Oracle(
        "icnn_loss",
        icnn_loss,
        icnn_samples,
        ("z",),
        "Mendez-Ruiz et al. 2023, as read in the authors' code, without its epsilons; worked by hand on a line.",
    ),
]
