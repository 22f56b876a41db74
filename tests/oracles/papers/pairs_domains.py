"""Domains."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..elementary import log_odds_against, log_sigmoid, mean_or_zero, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, normal, real
from .pairs_shared import against, alike, log_softmax, others

# Domains


def cad(*, z: Tensor, domain: Tensor, temperature: float = 0.1, base_temperature: float = 0.07) -> Tensor:
    """mean over anchors of -log of the probability of rows of other domains."""
    label = torch.zeros_like(domain)
    return cond_cad(z=z, label=label, domain=domain, temperature=temperature, base_temperature=base_temperature)


def cond_cad(
    *, z: Tensor, label: Tensor, domain: Tensor, temperature: float = 0.1, base_temperature: float = 0.07
) -> Tensor:
    """The same among the rows of the anchor's label."""
    terms = []
    for i, row in enumerate(z @ z.T / temperature):
        elsewhere = [j for j in alike(label, i) if bool(domain[j] != domain[i])]
        here = [j for j in alike(label, i) if bool(domain[j] == domain[i])]
        if elsewhere:
            terms.append(temperature / base_temperature * against(row[elsewhere], row[here]))
    return mean_or_zero(terms, z)


def d_bat(*, logits: Tensor, first: Tensor) -> Tensor:
    """mean of -log of the probability that just one of two predictors takes the first's best class."""
    terms = []
    for row, fixed in zip(logits, first, strict=True):
        y = int(fixed.argmax())
        p, q = -log_odds_against(fixed, y), -log_odds_against(row, y)
        terms.append(-torch.logaddexp(log_sigmoid(p) + log_sigmoid(-q), log_sigmoid(-p) + log_sigmoid(q)))
    return torch.stack(terms).mean()


def div_dis_mi(*, logits: Tensor, prior: Tensor, regularization: float = 10.0) -> Tensor:
    """Mutual information of every ordered pair of heads, and each head's divergence from the prior."""
    heads = logits.shape[1]
    logp = torch.stack([torch.stack([log_softmax(row) for row in item]) for item in logits])
    total = zero_of(logits)
    for h in range(heads):
        marginal = log_mean_exp(logp[:, h])
        total = total + regularization * (marginal.exp() * (marginal - prior.log())).sum()
        for g in others(heads, h):
            total = total + mutual_information(logp[:, h], logp[:, g])
    return total


def log_mean_exp(x: Tensor) -> Tensor:
    return torch.logsumexp(x, dim=0) - math.log(len(x))


def mutual_information(x: Tensor, y: Tensor) -> Tensor:
    """Between two predictions over a batch, given as log probabilities.

    J log(J / q) is summed as J log(J / q) - J + q, which is the same over two distributions and has no
    negative terms; near J = q it is q times a series in (J - q) / q, taken from deviations.
    """
    total = zero_of(x)
    p, q = x.exp(), y.exp()
    for c in range(x.shape[1]):
        for e in range(y.shape[1]):
            product = log_mean_exp(x[:, c]) + log_mean_exp(y[:, e])
            joint = log_mean_exp(x[:, c] + y[:, e])
            term = joint.exp() * (joint - product) - joint.exp() + product.exp()
            if bool((joint - product).abs() < 1e-2) and bool(product > -600):
                both = ((p[:, c] - p[:, c].mean()) * (q[:, e] - q[:, e].mean())).mean()
                d = both / product.exp()
                term = product.exp() * sum(((-d) ** n / (n * (n - 1)) for n in range(3, 10)), d**2 / 2)
            total = total + term
    return total


# Samples


def cad_samples(generator: torch.Generator) -> list[Sample]:
    """Two and three domains, one domain, all different, one row, long features."""
    z = normal(generator, 6, 3)
    batches: list[Sample] = [
        {"z": z, "domain": integer([0, 0, 1, 1, 1, 0])},
        {"z": z, "domain": integer([4, 4, -1, 7, 7, 4])},
        {"z": z, "domain": integer([2] * 6)},
        {"z": z, "domain": torch.arange(6)},
        {"z": z[:1], "domain": integer([0])},
        {"z": 10 * z, "domain": integer([0, 1, 0, 1, 0, 1])},
    ]
    settings: list[Sample] = [{}, {"temperature": 1.0, "base_temperature": 1.0}, {"temperature": 0.5}]
    return deal(batches, *settings)


def cond_cad_samples(generator: torch.Generator) -> list[Sample]:
    """Also labels that hold one domain only, or one row only."""
    label = [integer([0, 0, 0, 1, 1, 1]), integer([0, 0, 1, 1, 1, 2]), integer([3] * 6), torch.arange(6)]
    samples: list[Sample] = []
    for i, sample in enumerate(cad_samples(generator)):
        z = sample["z"]
        assert isinstance(z, Tensor)
        samples.append(sample | {"label": label[i % 4][: len(z)]})
    return samples


def d_bat_samples(generator: torch.Generator) -> list[Sample]:
    """Two and more classes, one row, agreement and disagreement that are nearly sure."""
    logits, first = normal(generator, 5, 3, scale=2), normal(generator, 5, 3, scale=2)
    return [
        {"logits": logits, "first": first},
        {"logits": logits[:, :2], "first": first[:, :2]},
        {"logits": logits[:1], "first": first[:1]},
        {"logits": 20 * first, "first": 20 * first},
        {"logits": -20 * first, "first": 20 * first},
        {"logits": 300 * logits, "first": first},
        {"logits": logits, "first": 1e-3 * first},
    ]


def div_dis_samples(generator: torch.Generator) -> list[Sample]:
    """Random heads, nearly independent ones, equal ones, one head, one item, sure predictions."""
    logits = normal(generator, 6, 3, 4, scale=2)
    prior = torch.softmax(normal(generator, 4), dim=0)
    twin = torch.cat([logits[:, :1], logits[:, :1]], dim=1)
    batches: list[Sample] = [
        {"logits": logits, "prior": prior},
        {"logits": 0.05 * logits, "prior": prior},
        {"logits": twin, "prior": prior},
        {"logits": logits[:, :1], "prior": prior},
        {"logits": logits[:1], "prior": prior},
        {"logits": 20 * logits[:, :2], "prior": prior},
    ]
    alone: Sample = {"logits": logits[:, :2, :2], "prior": real([0.25, 0.75]), "regularization": 0.0}
    return [*batches, alone, batches[0] | {"regularization": 0.3}]


DOMAINS: list[Oracle] = [
    Oracle(
        "cad",
        cad,
        cad_samples,
        ("z",),
        "Ruan, Dubois and Maddison 2022, flipped form; equal to a masked sum of a softmax.",
    ),
    Oracle(
        "cond_cad",
        cond_cad,
        cond_cad_samples,
        ("z",),
        "Ruan, Dubois and Maddison 2022, flipped form; equal to cad where there is one label.",
    ),
    Oracle(
        "d_bat",
        d_bat,
        d_bat_samples,
        ("logits",),
        "Pagliardini et al. 2023; equal to the paper's formula for two classes.",
    ),
    Oracle(
        "div_dis_mi",
        div_dis_mi,
        div_dis_samples,
        ("logits",),
        "Lee, Yao and Finn 2023; mutual information as read in the authors' code, equal to the plain sum.",
    ),
]
