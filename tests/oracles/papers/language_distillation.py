"""Distillation, and matching what another model would say."""

import math

import torch
from torch import Generator, Tensor

from ..elementary import mean_or_zero, norm, sigmoid, softplus, unit, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, normal, real, uniform
from .language_shared import IGNORED, average, divergence, log_probabilities, token_entropy

# Distillation


def labelled(target: Tensor) -> list[tuple[int, int]]:
    return [(b, y) for b, y in enumerate(target.tolist()) if y != IGNORED]


def away(vector: Tensor, other: Tensor) -> Tensor:
    """1 - cosine, as half the squared distance of the directions; 1 where either is the zero vector."""
    if not bool(vector.any()) or not bool(other.any()):
        return 1 + zero_of(vector)
    return ((unit(vector) - unit(other)) ** 2).sum() / 2


def cosine_class_mean_kd(*, student: Tensor, target: Tensor, centre: Tensor) -> Tensor:
    return mean_or_zero([away(student[b], centre[y]) for b, y in labelled(target)], student)


def nd_loss(*, student: Tensor, teacher: Tensor, target: Tensor, centre: Tensor) -> Tensor:
    """Where the student's feature is the longer, its angle alone counts; else its part along the class mean."""
    terms = []
    for b, y in labelled(target):
        if norm(student[b]) > norm(teacher[b]):
            terms.append(away(student[b], centre[y]))
        else:
            terms.append(1 - (student[b] * unit(centre[y])).sum() / norm(teacher[b]))
    return mean_or_zero(terms, student)


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    rows = zip(student, teacher, strict=True)
    return temperature**2 * average([divergence(theirs / temperature, ours / temperature) for ours, theirs in rows])


def kd_plus_plus(
    *,
    logits: Tensor,
    teacher_logits: Tensor,
    feature: Tensor,
    teacher_feature: Tensor,
    target: Tensor,
    centre: Tensor,
    temperature: float = 4.0,
    kl_weight: float = 1.0,
    nd_weight: float = 1.0,
) -> Tensor:
    direction = nd_loss(student=feature, teacher=teacher_feature, target=target, centre=centre)
    soft = softened_divergence(logits, teacher_logits, temperature)
    return token_entropy(logits, target) + kl_weight * soft + nd_weight * direction


def binary_kl(*, student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """Each class a Bernoulli of its own; sum over classes, mean over rows."""
    ours, theirs = student / temperature, teacher / temperature
    terms = [
        sigmoid(t) * (softplus(-s) - softplus(-t)) + sigmoid(-t) * (softplus(s) - softplus(t))
        for s, t in zip(ours.reshape(-1), theirs.reshape(-1), strict=True)
    ]
    return temperature**2 * torch.stack(terms).sum() / len(student)


def log_cosh(x: Tensor) -> Tensor:
    if x.detach().abs() < 1:
        return torch.log1p(torch.sinh(x) ** 2) / 2
    return x.abs() + torch.log1p(torch.exp(-2 * x.abs())) - math.log(2)


def binary_kl_norm(*, student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """A Bernoulli of odds e^(difference / T) from a fair coin, which is a logarithm of a hyperbolic cosine."""
    halves = ((student - teacher) / (2 * temperature)).reshape(-1)
    return temperature**2 * torch.stack([log_cosh(x) for x in halves]).sum() / len(student)


def dual_head_kd(
    *,
    logits: Tensor,
    auxiliary: Tensor,
    teacher: Tensor,
    target: Tensor,
    temperature: float = 2.0,
    ce_weight: float = 1.0,
    kd_weight: float = 1.0,
) -> Tensor:
    soft = binary_kl_norm(student=auxiliary, teacher=teacher, temperature=temperature)
    return ce_weight * token_entropy(logits, target) + kd_weight * soft


def feature_samples(generator: Generator) -> list[Sample]:
    """Students shorter and longer than the teacher, one that is zero, nobody labelled, and long vectors."""

    def sample(target: list[int], classes: int, size: int, scale: float) -> Sample:
        ours, theirs = normal(generator, len(target), size), normal(generator, len(target), size)
        centre = normal(generator, classes, size)
        return {"student": scale * ours, "teacher": theirs, "target": integer(target), "centre": scale * centre}

    resting = sample([1, 0], 2, 3, 1.0)
    resting["student"] = real([[0.0, 0.0, 0.0], [3.0, 4.0, 1.0]])
    return [
        sample([0, 2, 1, IGNORED, 2], 3, 4, 1.0),
        sample([1, 0, 1], 2, 3, 0.01),
        sample([0, 1], 3, 2, 1e4),
        sample([0], 1, 1, 0.5),
        sample([IGNORED, IGNORED], 2, 3, 1.0),
        resting,
    ]


def direction_samples(generator: Generator) -> list[Sample]:
    return [{n: v for n, v in sample.items() if n != "teacher"} for sample in feature_samples(generator)[:5]]


def kd_plus_plus_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample, scale in zip(feature_samples(generator), (1.0, 3.0, 80.0, 1.0, 1.0, 1.0), strict=True):
        target, centre = sample["target"], sample["centre"]
        assert isinstance(target, Tensor)
        assert isinstance(centre, Tensor)
        ours, theirs = (normal(generator, len(target), len(centre), scale=scale) for _ in range(2))
        features: Sample = {"feature": sample["student"], "teacher_feature": sample["teacher"]}
        samples.append({"logits": ours, "teacher_logits": theirs, "target": target, "centre": centre} | features)
    del samples[3]  # one class: the divergence is 0, and every way of computing it rounds differently
    return deal(samples, {}, {"temperature": 1.0, "nd_weight": 3.0}, {"kl_weight": 0.25, "nd_weight": 0.0})


def score_samples(generator: Generator) -> list[Sample]:
    shapes = ((4, 3, 1.0), (1, 1, 2.0), (2, 5, 60.0), (3, 2, 1e4))
    return deal(
        [
            {"student": normal(generator, b, c, scale=scale), "teacher": normal(generator, b, c, scale=scale)}
            for b, c, scale in shapes
        ],
        {},
        {"temperature": 1.0},
        {"temperature": 5.0},
    )


def matched_samples(generator: Generator) -> list[Sample]:
    same = normal(generator, 2, 3)
    near: Sample = {"student": same + real([[1e-3, -2e-3, 0.5]]), "teacher": same}
    return [*score_samples(generator), near]


def dual_head_samples(generator: Generator) -> list[Sample]:
    def sample(target: list[int], classes: int, scale: float) -> Sample:
        names = ("logits", "auxiliary", "teacher")
        scores: Sample = {name: normal(generator, len(target), classes, scale=scale) for name in names}
        return scores | {"target": integer(target)}

    return deal(
        [
            sample([0, 2, IGNORED, 1], 3, 1.0),
            sample([1], 2, 1.0),
            sample([IGNORED] * 2, 3, 1.0),
            sample([3, 0], 4, 1e3),
        ],
        {},
        {"temperature": 1.0, "ce_weight": 0.5, "kd_weight": 3.0},
        {"temperature": 4.0, "kd_weight": 0.1},
    )


# Matching what another model would say


def datamodel_matching(*, logits: Tensor, original: Tensor, influence: Tensor, multiplier: float = 1.0) -> Tensor:
    wanted = original.clone()
    for effect in influence:
        wanted = wanted - multiplier * effect
    return average([(x - t) ** 2 for x, t in zip(logits.reshape(-1), wanted.reshape(-1), strict=True)])


def oracle_matching(*, logits: Tensor, oracle: Tensor) -> Tensor:
    """Against the average of the retrained models' scores."""
    terms = []
    for b, row in enumerate(logits):
        terms += [(x - oracle[:, b, c].sum() / len(oracle)) ** 2 for c, x in enumerate(row)]
    return average(terms)


def aux_k_loss(*, residual: Tensor, latent: Tensor, decoder: Tensor, dead: Tensor, k: int = 512) -> Tensor:
    """What the others leave, less what the k strongest dead features of each row make of it."""
    features = [f for f, gone in enumerate(dead.tolist()) if gone]
    if not features:
        return zero_of(latent) + zero_of(decoder)
    terms = []
    for left, row in zip(residual, latent, strict=True):
        strongest = sorted(features, key=lambda f: -float(row.detach()[f]))[:k]
        found = zero_of(row) + zero_of(decoder)
        made = torch.zeros_like(left) + found
        for f in strongest:
            if row[f] > 0:
                made = made + row[f] * decoder[f]
        terms.append(((left - made) ** 2).sum())
    return average(terms)


def entropy(row: Tensor) -> float:
    logp = log_probabilities(row.detach())
    return float(-(logp.exp() * logp).sum())


def bd_kd(*, student: Tensor, teacher: Tensor, target: Tensor, delta: float = 2.0, temperature: float = 4.0) -> Tensor:
    """The reverse divergence weighs more where the student is the less sure, else the forward one."""
    terms = []
    for ours, theirs in zip(student / temperature, teacher / temperature, strict=True):
        unsure = entropy(ours) > entropy(theirs)
        forward, reverse = divergence(theirs, ours), divergence(ours, theirs)
        terms.append(forward + delta * reverse if unsure else delta * forward + reverse)
    return token_entropy(student, target) + temperature**2 * average(terms)


def proximal_dr_loss(
    *,
    effect: Tensor,
    outcome: Tensor,
    treated: Tensor,
    treatment_bridge: Tensor,
    outcome_treated: Tensor,
    outcome_control: Tensor,
) -> Tensor:
    terms = []
    for b, got_it in enumerate(treated.tolist()):
        received, sign = (outcome_treated[b], 1) if got_it else (outcome_control[b], -1)
        correction = sign * treatment_bridge[b] * (outcome[b] - received)
        terms.append((outcome_treated[b] - outcome_control[b] + correction - effect[b]) ** 2)
    return average(terms)


def datamodel_samples(generator: Generator) -> list[Sample]:
    def sample(examples: int, rows: int, classes: int, scale: float) -> Sample:
        shape = (rows, classes)
        return {
            "logits": normal(generator, *shape, scale=scale),
            "original": normal(generator, *shape, scale=scale),
            "influence": normal(generator, examples, *shape),
        }

    samples = [sample(3, 4, 5, 1), sample(1, 1, 1, 1), sample(2, 3, 2, 60), sample(4, 2, 3, 1e4)]
    return deal(samples, {}, {"multiplier": 0.0}, {"multiplier": 2.5})


def oracle_samples(generator: Generator) -> list[Sample]:
    shapes = ((3, 4, 5, 1.0), (1, 2, 3, 1.0), (2, 1, 1, 60.0), (4, 3, 2, 1e4))
    return [
        {"logits": normal(generator, b, c, scale=scale), "oracle": normal(generator, m, b, c, scale=scale)}
        for m, b, c, scale in shapes
    ]


def aux_k_samples(generator: Generator) -> list[Sample]:
    def sample(dead: list[bool], rows: int, size: int, shift: float, scale: float, k: int) -> Sample:
        return {
            "residual": normal(generator, rows, size, scale=scale),
            "latent": normal(generator, rows, len(dead), scale=scale) + shift,
            "decoder": normal(generator, len(dead), size),
            "dead": torch.tensor(dead),
            "k": k,
        }

    yes, no = True, False
    return [
        sample([yes, no, yes, yes, no], 4, 3, 1.0, 1.0, 2),
        sample([yes, yes, yes], 3, 2, 0.0, 1.0, 3),
        sample([no, yes, no, yes], 3, 2, 1.0, 1.0, 3),
        sample([no, no, no], 2, 3, 1.0, 1.0, 1),
        sample([yes, yes], 2, 2, -30.0, 1.0, 1),
        sample([yes, no, yes, yes], 2, 4, 0.0, 1e4, 1),
    ]


def bd_kd_samples(generator: Generator) -> list[Sample]:
    def sample(target: list[int], classes: int, ours: float, theirs: float) -> Sample:
        student, teacher = (normal(generator, len(target), classes, scale=scale) for scale in (ours, theirs))
        return {"student": student, "teacher": teacher, "target": integer(target)}

    return deal(
        [
            sample([0, 2, 1, 1], 3, 1.0, 1.0),
            sample([0, IGNORED, 3], 4, 0.3, 4.0),
            sample([1, 0], 2, 5.0, 0.5),
            sample([IGNORED, IGNORED], 3, 1.0, 1.0),
            sample([4, 0], 5, 60.0, 60.0),
            sample([1], 3, 1e3, 1e3),
        ],
        {},
        {"delta": 1.0},
        {"delta": 3.5, "temperature": 1.0},
    )


def proximal_samples(generator: Generator) -> list[Sample]:
    def sample(treated: list[bool], scale: float) -> Sample:
        names = ("effect", "outcome", "outcome_treated", "outcome_control")
        drawn: Sample = {name: normal(generator, len(treated), scale=scale) for name in names}
        bridge = 1 + 4 * uniform(generator, len(treated))
        return drawn | {"treated": torch.tensor(treated), "treatment_bridge": bridge}

    yes, no = True, False
    nothing = sample([yes, no, no], 1.0) | {"treatment_bridge": real([0.0] * 3)}
    return [
        sample([yes, no, yes, no, no, yes], 1.0),
        sample([no], 1.0),
        sample([yes, yes], 60.0),
        nothing,
        sample([yes, no], 1e4),
    ]


PAIR = ("chosen", "rejected")

CODED = ("z", "codebook")

ANSWERS = ("template_logits", "forget_logits")


DISTILLATION: list[Oracle] = [
    Oracle("nd_loss", nd_loss, feature_samples, ("student",), "arXiv:2305.17007 and its code"),
    Oracle("cosine_class_mean_kd", cosine_class_mean_kd, direction_samples, ("student",), "arXiv:2305.17007"),
    Oracle("kd_plus_plus", kd_plus_plus, kd_plus_plus_samples, ("logits", "feature"), "arXiv:2305.17007 and its code"),
    Oracle("binary_kl", binary_kl, score_samples, ("student",), "arXiv:2411.08937, without its clamp"),
    Oracle("binary_kl_norm", binary_kl_norm, matched_samples, ("student",), "arXiv:2411.08937, without its clamp"),
    Oracle("dual_head_kd", dual_head_kd, dual_head_samples, ("logits", "auxiliary"), "arXiv:2411.08937"),
    Oracle("datamodel_matching", datamodel_matching, datamodel_samples, ("logits",), "Georgiev et al. 2024, its code"),
    Oracle("oracle_matching", oracle_matching, oracle_samples, ("logits",), "Georgiev et al. 2024, its code"),
    Oracle("aux_k_loss", aux_k_loss, aux_k_samples, ("latent", "decoder"), "arXiv:2406.04093, not normalised"),
    Oracle("bd_kd", bd_kd, bd_kd_samples, ("student",), "arXiv:2212.12965, weights assumed"),
    Oracle("proximal_dr_loss", proximal_dr_loss, proximal_samples, ("effect",), "arXiv:2301.10913, from its score"),
]
