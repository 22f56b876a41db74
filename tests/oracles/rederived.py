"""Losses drawn at random and derived once more, from their formulas and declarations alone.

Whoever wrote this had seen neither the definitions nor the oracles. Each function is the formula as directly as
tensors can say it. Where the oracles look for the corners of a loss in small samples of loops, these samples
are of the size of a batch, inside the domain and without ties.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from .oracle import Sample, Value
from .sampling import bits, labels, normal, uniform

B, C, D = 16, 10, 8


@dataclass(frozen=True)
class Rederived:
    name: str
    function: Callable[..., Tensor]
    inputs: Callable[[Generator], Sample]
    """A random choice of the loss's inputs and learned parameters."""
    hypers: tuple[dict[str, Value], dict[str, Value]] = ({}, {})
    """Two choices of hyperparameters, beside the defaults."""


def kept_labels(g: Generator, *shape: int) -> Tensor:
    """Classes, of which about a fifth is ignored."""
    return torch.where(uniform(g, *shape) < 0.2, -100, labels(g, C, *shape))


def lengths(g: Generator, rows: int, columns: int) -> Tensor:
    """Which columns are no padding: in each row the first few, at least one in the first row."""
    count = labels(g, columns + 1, rows, 1)
    count[0] = columns
    return torch.arange(columns) < count


def unit(x: Tensor) -> Tensor:
    return x / (x * x).sum(-1, keepdim=True).sqrt()


def cosine(x: Tensor, y: Tensor) -> Tensor:
    return (unit(x) * unit(y)).sum(-1)


def pick(x: Tensor, index: Tensor) -> Tensor:
    return x.gather(-1, index.unsqueeze(-1)).squeeze(-1)


# Classification


def cross_entropy(logits: Tensor, target: Tensor, weight: Value = 1.0, smoothing: float = 0.0) -> Tensor:
    w = torch.as_tensor(weight, dtype=torch.float64).expand(C)
    logp, y = logits[target != -100].log_softmax(-1), target[target != -100]
    hard = -(w[y] * pick(logp, y)).sum()
    even = -(w * logp).sum() / C
    return ((1 - smoothing) * hard + smoothing * even) / w[y].sum()


def poly_drop(logits: Tensor, target: Tensor, N: int = 2) -> Tensor:
    p = pick(logits[target != -100].softmax(-1), target[target != -100])
    j = torch.arange(1, N + 1)
    return ((1 - p)[:, None] ** j / j).sum(1).mean()


def ldr_kl(logits: Tensor, target: Tensor, lam: float = 1.0, margin: float = 0.1) -> Tensor:
    s, y = logits[target != -100], target[target != -100]
    c = margin * (torch.arange(C) != y[:, None]).double()
    return (lam * ((s - pick(s, y)[:, None] + c) / lam).exp().mean(1).log()).mean()


# Distillation


def kd(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    p, q = (teacher / temperature).softmax(1), (student / temperature).softmax(1)
    return temperature**2 * (p * (p / q).log()).sum(1).mean()


def sel_logit_loss(student: Tensor, teacher: Tensor) -> Tensor:
    return ((student - teacher) ** 2).sum(-1).mean() / 2


# Contrastive


def info_nce(query: Tensor, key: Tensor, temperature: float = 0.07) -> Tensor:
    s = unit(query) @ unit(key).T / temperature
    return -(s.diag().exp() / s.exp().sum(1)).log().mean()


def infonce_model_aware(
    positive: Tensor, negative: Tensor, tau: float = 0.1, alpha: float = 0.5, alignment: float = 0.0
) -> Tensor:
    t = (tau * (1 + alpha * (positive.mean() - alignment))).detach()
    e, others = (positive / t).exp(), (negative / t).exp().sum(1)
    p = e / (e + others)
    return (((e + others) / others).detach() * -p.log()).mean()


def siglip(image: Tensor, text: Tensor, log_t: Tensor, bias: Tensor) -> Tensor:
    s = log_t.exp() * unit(image) @ unit(text).T + bias
    z = 2 * torch.eye(len(image), dtype=torch.float64) - 1
    return (1 + (-z * s).exp()).log().sum() / len(image)


def cosine_contrastive_loss(
    user: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.9, weight: float = 150.0
) -> Tensor:
    close = (cosine(user[:, None], negative) - margin).clamp(min=0)
    return (1 - cosine(user, positive) + weight * close.mean(1)).mean()


# Segmentation


def jaccard(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    p = logits.sigmoid()
    both, either = (p * target).sum(1), (p + target - p * target).sum(1)
    return (1 - (both + smooth) / (either + smooth)).mean()


def sed_dice(logits: Tensor, target: Tensor, smooth: float = 1.0, power: float = 1.0) -> Tensor:
    p, y = logits.sigmoid().flatten(1), target.flatten(1)
    return (1 - (2 * (p * y).sum(1) + smooth) / ((p**power + y**power).sum(1) + smooth)).mean()


# Generative


def gan_generator(fake_score: Tensor) -> Tensor:
    return -fake_score.sigmoid().log().mean()


def bfn_continuous_time(prediction: Tensor, x: Tensor, t: Tensor, sigma1: float = 0.001) -> Tensor:
    s = torch.tensor(sigma1, dtype=torch.float64)
    return (-s.log() * s ** (-2 * t)[:, None] * (x - prediction) ** 2).mean()


def bfn_discrete_time(prediction: Tensor, x: Tensor, i: Tensor, steps: int = 20, sigma1: float = 0.001) -> Tensor:
    s = torch.tensor(sigma1, dtype=torch.float64)
    alpha = s ** (-2 * i.double() / steps) * (1 - s ** (2 / steps))
    return (steps * alpha[:, None] / 2 * (x - prediction) ** 2).mean()


# Language, unlearning, weak labels, domains


def advantage_weighted_nll(logp: Tensor, advantage: Tensor, kept: Tensor, beta: float = 1.0) -> Tensor:
    return -((advantage / beta).exp() * logp * kept).sum(1).mean()


def dco_step(logp: Tensor, kept: Tensor, N: int = 4) -> Tensor:
    return -(1 - (1 - logp[kept].exp()) ** N).log().mean()


def datamodel_matching(logits: Tensor, original: Tensor, influence: Tensor, multiplier: float = 1.0) -> Tensor:
    return ((logits - (original - multiplier * influence.sum(0))) ** 2).mean()


def instance_level_loss(logits: Tensor, bag: Tensor, proportion: Tensor) -> Tensor:
    size = bag.bincount()
    return ((proportion[bag] - logits.sigmoid()) ** 2 / size[bag]).sum() / size.count_nonzero()


def d_bat(logits: Tensor, first: Tensor) -> Tensor:
    p1, y = first.softmax(1).max(1)
    p2 = pick(logits.softmax(1), y)
    return -(p1 * (1 - p2) + (1 - p1) * p2).log().mean()


REDERIVED = [
    Rederived(
        "poly_drop",
        poly_drop,
        lambda g: {"logits": normal(g, B, C, scale=2), "target": kept_labels(g, B)},
        ({"N": 1}, {"N": 7}),
    ),
    Rederived(
        "datamodel_matching",
        datamodel_matching,
        lambda g: {"logits": normal(g, B, C), "original": normal(g, B, C), "influence": normal(g, 5, B, C)},
        ({"multiplier": 0.3}, {"multiplier": -2.0}),
    ),
    Rederived("gan_generator", gan_generator, lambda g: {"fake_score": normal(g, B, scale=3)}),
    Rederived(
        "instance_level_loss",
        instance_level_loss,
        lambda g: {"logits": normal(g, B, scale=2), "bag": labels(g, 6, B), "proportion": uniform(g, 8)},
    ),
    Rederived(
        "siglip",
        siglip,
        lambda g: {
            "image": normal(g, B, D),
            "text": normal(g, B, D),
            "log_t": 1 + uniform(g, 1)[0],
            "bias": -3 * uniform(g, 1)[0],
        },
    ),
    Rederived(
        "bfn_discrete_time",
        bfn_discrete_time,
        lambda g: {"prediction": normal(g, B, D), "x": normal(g, B, D), "i": 1 + labels(g, 20, B)},
        ({"sigma1": 0.2}, {"steps": 31, "sigma1": 0.03}),
    ),
    Rederived(
        "info_nce",
        info_nce,
        lambda g: {"query": normal(g, B, D), "key": normal(g, B, D)},
        ({"temperature": 0.5}, {"temperature": 2.0}),
    ),
    Rederived(
        "bfn_continuous_time",
        bfn_continuous_time,
        lambda g: {"prediction": normal(g, B, D), "x": normal(g, B, D), "t": uniform(g, B)},
        ({"sigma1": 0.2}, {"sigma1": 0.03}),
    ),
    Rederived(
        "advantage_weighted_nll",
        advantage_weighted_nll,
        lambda g: {"logp": -5 * uniform(g, B, 7), "advantage": normal(g, B, 7), "kept": lengths(g, B, 7)},
        ({"beta": 0.25}, {"beta": 3.0}),
    ),
    Rederived(
        "dco_step",
        dco_step,
        lambda g: {"logp": -5 * uniform(g, B, 7), "kept": lengths(g, B, 7)},
        ({"N": 1}, {"N": 9}),
    ),
    Rederived(
        "cosine_contrastive_loss",
        cosine_contrastive_loss,
        lambda g: {"user": normal(g, B, 3), "positive": normal(g, B, 3), "negative": normal(g, B, 20, 3)},
        ({"margin": 0.0, "weight": 20.0}, {"margin": 0.4, "weight": 2.0}),
    ),
    Rederived(
        "jaccard",
        jaccard,
        lambda g: {"logits": normal(g, B, 30, scale=2), "target": uniform(g, B, 30)},
        ({"smooth": 0.01}, {"smooth": 5.0}),
    ),
    Rederived("d_bat", d_bat, lambda g: {"logits": normal(g, B, C), "first": normal(g, B, C, scale=2)}),
    Rederived(
        "cross_entropy",
        cross_entropy,
        lambda g: {"logits": normal(g, 4, 5, C, scale=2), "target": kept_labels(g, 4, 5)},
        ({"smoothing": 0.1}, {"smoothing": 0.3, "weight": [0.5 + 0.25 * c for c in range(C)]}),
    ),
    Rederived(
        "sed_dice",
        sed_dice,
        lambda g: {"logits": normal(g, B, 12, 5), "target": bits(g, B, 12, 5)},
        ({"power": 2.0}, {"smooth": 0.1, "power": 1.5}),
    ),
    Rederived(
        "kd",
        kd,
        lambda g: {"student": normal(g, B, C, scale=3), "teacher": normal(g, B, C, scale=3)},
        ({"temperature": 1.0}, {"temperature": 2.5}),
    ),
    Rederived(
        "ldr_kl",
        ldr_kl,
        lambda g: {"logits": normal(g, 4, 5, C), "target": kept_labels(g, 4, 5)},
        ({"lam": 0.3, "margin": 2.0}, {"lam": 10.0, "margin": 0.0}),
    ),
    Rederived(
        "infonce_model_aware",
        infonce_model_aware,
        lambda g: {"positive": 2 * uniform(g, B) - 1, "negative": 2 * uniform(g, B, 20) - 1},
        ({"tau": 0.5, "alignment": 0.2}, {"tau": 0.2, "alpha": 0.9, "alignment": -0.1}),
    ),
    Rederived(
        "sel_logit_loss",
        sel_logit_loss,
        lambda g: {"student": normal(g, 4, 5, C), "teacher": normal(g, 4, 5, C)},
    ),
]
