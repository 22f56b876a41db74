"""Bags, Dirichlet distributions, and losses of gates, events and guidance."""

import math

import torch
from torch import Generator, Tensor

from ..elementary import log_sigmoid, mean_or_zero, sigmoid, softplus, zero_of
from ..oracle import Oracle, Sample
from ..sampling import bits, deal, integer, labels, normal, real, uniform
from .density_shared import without

IGNORED = -100


# Bags


def bags(logits: Tensor, bag: Tensor, groups: int) -> list[tuple[int, list[Tensor]]]:
    """Each bag that has an item, with the probabilities of its items."""
    found = [(g, [sigmoid(x) for x, b in zip(logits, bag.tolist(), strict=True) if b == g]) for g in range(groups)]
    return [(g, items) for g, items in found if items]


def instance_level_loss(*, logits: Tensor, bag: Tensor, proportion: Tensor) -> Tensor:
    terms = []
    for g, items in bags(logits, bag, len(proportion)):
        terms.append(torch.stack([(p - proportion[g]) ** 2 for p in items]).mean())
    return mean_or_zero(terms, logits)


def interpolated_bag_loss(*, logits: Tensor, bag: Tensor, proportion: Tensor, rho: float = 0.5) -> Tensor:
    """The squared error of the mean, plus rho times the variance within the bag, which is the same."""
    terms = []
    for g, items in bags(logits, bag, len(proportion)):
        centre = torch.stack(items).mean()
        variance = torch.stack([(p - centre) ** 2 for p in items]).mean()
        terms.append((centre - proportion[g]) ** 2 + rho * variance)
    return mean_or_zero(terms, logits)


def bag_samples(generator: Generator) -> list[Sample]:
    """Bags of several sizes, an empty bag, items alone, one bag for all, one item, and sure items."""
    return [
        {
            "logits": normal(generator, 6, scale=2),
            "bag": integer([0, 2, 0, 2, 2, 1]),
            "proportion": uniform(generator, 3),
        },
        {"logits": normal(generator, 5), "bag": integer([3, 1, 1, 3, 3]), "proportion": uniform(generator, 4)},
        {"logits": normal(generator, 4), "bag": integer([3, 0, 1, 2]), "proportion": uniform(generator, 4)},
        {"logits": normal(generator, 4, scale=5), "bag": integer([0, 0, 0, 0]), "proportion": real([0.25])},
        {"logits": normal(generator, 1), "bag": integer([1]), "proportion": real([1.0, 0.0])},
        {"logits": real([50.0, -60.0, 1e4, -1e4]), "bag": integer([0, 0, 1, 1]), "proportion": real([0.3, 0.9])},
    ]


def interpolated_samples(generator: Generator) -> list[Sample]:
    return deal(bag_samples(generator), {"rho": 0.5}, {"rho": 0.1}, {"rho": 0.9}, {"rho": 0.0}, {"rho": 1.0})


# Dirichlet distributions


def dirichlet_rows(concentration: Tensor, target: Tensor) -> list[tuple[Tensor, int]]:
    flat = concentration.reshape(-1, concentration.shape[-1])
    return [(flat[i], y) for i, y in enumerate(target.reshape(-1).tolist()) if y != IGNORED]


def second_order_inner(*, concentration: Tensor, target: Tensor) -> Tensor:
    terms = []
    for row, label in dirichlet_rows(concentration, target):
        terms.append(torch.log1p(without(row, label).sum() / row[label]))
    return mean_or_zero(terms, concentration)


def expected_surprisal(row: Tensor, label: int) -> Tensor:
    return torch.digamma(row.sum()) - torch.digamma(row[label])


def second_order_outer(*, concentration: Tensor, target: Tensor) -> Tensor:
    terms = [expected_surprisal(row, label) for row, label in dirichlet_rows(concentration, target)]
    return mean_or_zero(terms, concentration)


def dirichlet_expected_brier(*, concentration: Tensor, target: Tensor) -> Tensor:
    terms = []
    for row, label in dirichlet_rows(concentration, target):
        total = row.sum()
        for c in range(len(row)):
            others = without(row, c).sum() / total
            error = others if c == label else row[c] / total
            terms.append(error**2 + row[c] / total * others / (total + 1))
    return mean_or_zero(terms, concentration) * concentration.shape[-1]


def divergence_from_uniform(row: Tensor) -> Tensor:
    total = row.sum()
    value = torch.lgamma(total) - math.lgamma(len(row))
    for a in row:
        value = value - torch.lgamma(a) + (a - 1) * (torch.digamma(a) - torch.digamma(total))
    return value


def evidential_kl(*, concentration: Tensor) -> Tensor:
    flat = concentration.reshape(-1, concentration.shape[-1])
    return torch.stack([divergence_from_uniform(row) for row in flat]).mean()


def second_order_regularised(*, concentration: Tensor, target: Tensor, strength: float = 1.0) -> Tensor:
    terms = []
    for row, label in dirichlet_rows(concentration, target):
        terms.append(expected_surprisal(row, label) + strength * divergence_from_uniform(row))
    return mean_or_zero(terms, concentration)


def concentration_samples(generator: Generator) -> list[Sample]:
    """Ordinary, spread over magnitudes, large, ignored, all ignored, and with two batch axes."""

    def positive(*shape: int, scale: float = 1.0) -> Tensor:
        return normal(generator, *shape, scale=scale).exp()

    return [
        {"concentration": positive(6, 4), "target": labels(generator, 4, 6)},
        {"concentration": positive(4, 3, scale=3), "target": integer([0, IGNORED, 2, 1])},
        {"concentration": positive(2, 3), "target": integer([IGNORED, IGNORED])},
        {"concentration": positive(2, 2, 3), "target": labels(generator, 3, 2, 2)},
        {"concentration": real([[1e3, 2.0, 0.5], [0.02, 1e3, 300.0]]), "target": integer([0, 1])},
        {"concentration": real([[1e3, 2.0], [1e-3, 1e-2]]), "target": integer([1, 0])},
        {"concentration": positive(1, 5), "target": labels(generator, 5, 1)},
    ]


def regularised_samples(generator: Generator) -> list[Sample]:
    return deal(concentration_samples(generator), {"strength": 1.0}, {"strength": 0.0}, {"strength": 0.01})


def untargeted_samples(generator: Generator) -> list[Sample]:
    return [{"concentration": sample["concentration"]} for sample in concentration_samples(generator)]


# Gates, events and guidance


def mask_prediction(*, logits: Tensor, response: Tensor, threshold: float = 1.0) -> Tensor:
    rows = []
    for row, places in zip(logits, response, strict=True):
        strength = places.detach().abs().amax(1).tolist()
        total = sum(strength)
        mass = [r / total if total > 0 else 0.0 for r in strength]
        reached, loss = 0.0, zero_of(row)
        for f in sorted(range(len(mass)), key=lambda f: -mass[f]):
            reached += mass[f]
            kept = reached <= threshold + 1e-5 and mass[f] > 1e-5
            loss = loss + softplus(-row[f] if kept else row[f])
        rows.append(loss)
    return torch.stack(rows).mean()


def mask_samples(generator: Generator) -> list[Sample]:
    """Ordinary, one filter, dead filters and a dead layer, one filter that is nearly all, and sure gates."""
    dead = normal(generator, 3, 4, 2)
    dead[0, 1:3] = 0
    dead[1] = 0
    lone = normal(generator, 2, 3, 2)
    lone[:, 1] *= 100
    thresholds: list[Sample] = [{"threshold": 0.7}, {"threshold": 1.0}, {"threshold": 0.4}]
    return deal(
        [
            {"logits": normal(generator, 4, 5), "response": normal(generator, 4, 5, 3)},
            {"logits": normal(generator, 1, 1), "response": normal(generator, 1, 1, 1)},
            {"logits": normal(generator, 3, 4), "response": dead},
            {"logits": normal(generator, 2, 3), "response": lone},
            {"logits": real([[60.0, -60.0, 1e4], [-1e4, 9.0, -40.0]]), "response": normal(generator, 2, 3, 4)},
        ],
        *thresholds,
    )


def sed_dice(*, logits: Tensor, target: Tensor, smooth: float = 1.0, power: float = 1.0) -> Tensor:
    rows = []
    for scores, truths in zip(logits, target, strict=True):
        overlap, total = zero_of(scores), zero_of(scores)
        for score, truth in zip(scores.reshape(-1), truths.reshape(-1), strict=True):
            overlap = overlap + 2 * sigmoid(score) * truth
            total = total + torch.exp(power * log_sigmoid(score)) + truth**power
        rows.append((total - overlap) / (total + smooth))
    return torch.stack(rows).mean()


def sed_samples(generator: Generator) -> list[Sample]:
    """Sparse events, none, events everywhere, one place, soft targets, and sure and wrong."""
    settings: list[Sample] = [{}, {"power": 2.0}, {"smooth": 1e-3}, {"smooth": 1e-3, "power": 1.5}]
    return deal(
        [
            {"logits": normal(generator, 3, 4, 2, scale=2), "target": bits(generator, 3, 4, 2)},
            {"logits": normal(generator, 2, 3, 2), "target": torch.zeros(2, 3, 2).double()},
            {"logits": normal(generator, 2, 2, 3), "target": torch.ones(2, 2, 3).double()},
            {"logits": normal(generator, 1, 1, 1), "target": real([[[1.0]]])},
            {"logits": normal(generator, 2, 3, 3), "target": uniform(generator, 2, 3, 3)},
            {"logits": real([[[60.0, -50.0], [-1e4, 3.0]]]), "target": real([[[0.0, 1.0], [1.0, 0.0]]])},
        ],
        *settings,
    )


def cfg_aligned_diffusion(*, conditional: Tensor, unconditional: Tensor, noise: Tensor, w: float = 1.0) -> Tensor:
    terms = []
    for with_condition, without_it, drawn in zip(
        conditional.reshape(-1), unconditional.reshape(-1), noise.reshape(-1), strict=True
    ):
        terms.append((with_condition - drawn + w * (with_condition - without_it)) ** 2)
    return torch.stack(terms).mean()


def guidance_samples(generator: Generator) -> list[Sample]:
    """One to three axes, no effect of the condition, and large values."""
    samples: list[Sample] = [
        {
            "conditional": normal(generator, *shape, scale=scale),
            "unconditional": normal(generator, *shape, scale=scale),
            "noise": normal(generator, *shape),
        }
        for shape, scale in (((4, 3), 1.0), ((1,), 1.0), ((2, 2, 3), 1.0), ((5,), 1e3))
    ]
    equal = normal(generator, 3, 2)
    samples.append({"conditional": equal, "unconditional": equal.clone(), "noise": normal(generator, 3, 2)})
    return deal(samples, {"w": 1.0}, {"w": 0.0}, {"w": 7.5})


LABELS: list[Oracle] = [
    Oracle(
        "instance_level_loss",
        instance_level_loss,
        bag_samples,
        ("logits",),
        "Javanmard et al. 2024; equal to the bag-level loss plus the variance within bags.",
    ),
    Oracle(
        "interpolated_bag_loss",
        interpolated_bag_loss,
        interpolated_samples,
        ("logits",),
        "Javanmard et al. 2024; stated as bag-level loss plus rho times the variance within bags, which is equal.",
    ),
    Oracle(
        "second_order_inner",
        second_order_inner,
        concentration_samples,
        ("concentration",),
        "Bengs et al. 2022; cross entropy of log(concentration).",
    ),
    Oracle(
        "second_order_outer",
        second_order_outer,
        concentration_samples,
        ("concentration",),
        "Bengs et al. 2022, as Charpentier et al. 2020; closed form checked by quadrature of a Beta distribution.",
    ),
    Oracle(
        "dirichlet_expected_brier",
        dirichlet_expected_brier,
        concentration_samples,
        ("concentration",),
        "Bengs et al. 2022, as Sensoy et al. 2018; equal to mean and variance of torch.distributions.Dirichlet.",
    ),
    Oracle(
        "evidential_kl",
        evidential_kl,
        untargeted_samples,
        ("concentration",),
        "Bengs et al. 2022, as Sensoy et al. 2018; equal to torch.distributions.kl_divergence.",
    ),
    Oracle(
        "second_order_regularised",
        second_order_regularised,
        regularised_samples,
        ("concentration",),
        "Bengs et al. 2022; the sum of second_order_outer and evidential_kl over the same rows.",
    ),
    Oracle(
        "mask_prediction",
        mask_prediction,
        mask_samples,
        ("logits",),
        "Elkerdawy et al. 2022; read in the authors' code; equal to torch's binary cross entropy with a sorted mask.",
    ),
    Oracle(
        "sed_dice",
        sed_dice,
        sed_samples,
        ("logits",),
        "Watcharasupat et al. 2021; axes, smoothing and denominator are assumed, not verified.",
    ),
    Oracle(
        "cfg_aligned_diffusion",
        cfg_aligned_diffusion,
        guidance_samples,
        ("conditional", "unconditional"),
        "Patel, Salamanca and Barba 2023; the squared error of the guided prediction is assumed from the abstract.",
    ),
]
