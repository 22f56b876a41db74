"""Preferences, rewards and steps of a solution."""

import math

import torch
from torch import Generator, Tensor

from ..elementary import softplus, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, normal, real, uniform
from .language_distillation import PAIR
from .language_shared import BETAS, average, margins, preference_samples

# Preferences


def conservative_dpo(
    *, chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float = 0.1, flip: float = 0.1
) -> Tensor:
    """Binary cross-entropy of the margin with a label that is true with probability 1 - flip."""
    every = margins(chosen, rejected, ref_chosen, ref_rejected)
    return average([(1 - flip) * softplus(-beta * d) + flip * softplus(beta * d) for d in every])


def rdpo(
    *, chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float = 0.1, flip: float = 0.1
) -> Tensor:
    """The flipped loss taken away, so that the expectation over flips is the loss of clean pairs."""
    every = margins(chosen, rejected, ref_chosen, ref_rejected)
    return average([((1 - flip) * softplus(-beta * d) - flip * softplus(beta * d)) / (1 - 2 * flip) for d in every])


def ipo(*, chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float = 0.1) -> Tensor:
    every = margins(chosen, rejected, ref_chosen, ref_rejected)
    return average([(d - 1 / (2 * beta)) ** 2 for d in every])


def noisy_preference_samples(generator: Generator) -> list[Sample]:
    return deal(
        preference_samples(generator),
        {},
        {"beta": 0.5, "flip": 0.0},
        {"beta": 0.02, "flip": 0.3},
        {"beta": 1.0, "flip": 0.45},
    )


def ipo_samples(generator: Generator) -> list[Sample]:
    return deal(preference_samples(generator), {}, {"beta": 1.0}, {"beta": 0.01}, {"beta": 3.5})


# Rewards


def bradley_terry(*, chosen: Tensor, rejected: Tensor) -> Tensor:
    return average([softplus(lost - won) for won, lost in zip(chosen, rejected, strict=True)])


def reward_ensemble_mean(*, reward: Tensor) -> Tensor:
    return -average([reward[:, b].sum() / len(reward) for b in range(reward.shape[1])])


def worst_case_optimization(*, reward: Tensor) -> Tensor:
    """The smallest member's reward alone is raised."""
    smallest = reward.argmin(0).tolist()
    return -average([reward[m, b] for b, m in enumerate(smallest)])


def uncertainty_weighted_optimization(*, reward: Tensor, penalty: float = 0.1) -> Tensor:
    """Mean less penalty times the variance, which is half the mean square difference of two members."""
    terms = []
    for b in range(reward.shape[1]):
        column = reward[:, b]
        differences = [(x - y) ** 2 for x in column for y in column]
        terms.append(column.mean() - penalty * average(differences) / 2)
    return -average(terms)


def bradley_terry_samples(generator: Generator) -> list[Sample]:
    same = normal(generator, 3)
    return [
        {"chosen": normal(generator, 6), "rejected": normal(generator, 6)},
        {"chosen": normal(generator, 1), "rejected": normal(generator, 1)},
        {"chosen": same, "rejected": same},
        {"chosen": real([50.0, -50.0, 1e4, 3.0]), "rejected": real([-50.0, 50.0, 1.0, 1e4])},
    ]


def ensemble_samples(generator: Generator) -> list[Sample]:
    shapes = ((5, 6, 1.0), (3, 1, 1.0), (1, 4, 1.0), (2, 2, 1.0), (4, 3, 1e4))
    return [{"reward": normal(generator, members, size, scale=scale)} for members, size, scale in shapes]


def uncertainty_samples(generator: Generator) -> list[Sample]:
    return deal(ensemble_samples(generator), {}, {"penalty": 0.5}, {"penalty": 0.0}, {"penalty": 2.0})


# Steps of a solution


def per_step_dpo(
    *,
    chosen: Tensor,
    rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    chosen_step: Tensor,
    rejected_step: Tensor,
    beta: float = 0.1,
) -> Tensor:
    def gain(ours: Tensor, old: Tensor, step: Tensor) -> Tensor:
        tokens = [a - b for a, b, counts in zip(ours, old, step.tolist(), strict=True) if counts]
        return torch.stack(tokens).sum() if tokens else zero_of(ours)

    terms = []
    for b in range(len(chosen)):
        better = gain(chosen[b], ref_chosen[b], chosen_step[b])
        worse = gain(rejected[b], ref_rejected[b], rejected_step[b])
        terms.append(softplus(-beta * (better - worse)))
    return average(terms)


def advantage_weighted_nll(*, logp: Tensor, advantage: Tensor, kept: Tensor, beta: float = 1.0) -> Tensor:
    total = zero_of(logp)
    for place in kept.nonzero().tolist():
        b, s = place
        total = total - math.exp(float(advantage[b, s]) / beta) * logp[b, s]
    return total / len(logp)


def step_samples(generator: Generator) -> list[Sample]:
    def sample(scale: float, chosen: list[list[bool]], rejected: list[list[bool]]) -> Sample:
        better, worse = torch.tensor(chosen), torch.tensor(rejected)
        given: Sample = {"chosen_step": better, "rejected_step": worse}
        for prefix in ("", "ref_"):
            given |= {f"{prefix}chosen": normal(generator, *better.shape, scale=scale) - 1}
            given |= {f"{prefix}rejected": normal(generator, *worse.shape, scale=scale) - 1}
        return given

    yes, no = True, False
    return deal(
        [
            sample(1, [[no, yes, yes], [yes, no, no], [yes, yes, yes]], [[no, yes], [yes, yes], [yes, no]]),
            sample(1, [[yes]], [[yes, no, yes, yes]]),
            sample(1, [[no, no], [no, no]], [[no], [no]]),
            sample(60, [[yes, yes], [yes, no]], [[yes, yes], [no, no]]),
            sample(1e4, [[yes, yes], [yes, no]], [[yes, yes], [no, yes]]),
        ],
        *BETAS,
    )


def advantage_samples(generator: Generator) -> list[Sample]:
    def sample(kept: list[list[bool]], scale: float) -> Sample:
        where = torch.tensor(kept)
        advantage = scale * (2 * uniform(generator, *where.shape) - 1)
        return {"logp": normal(generator, *where.shape) - 5, "advantage": advantage, "kept": where}

    return deal(
        [
            sample([[True, True, False], [True, False, False]], 1.0),
            sample([[True]], 1.0),
            sample([[False, False]], 1.0),
            sample([[True, True], [False, False], [True, False]], 0.0),
            sample([[True, True], [True, True]], 20.0),
        ],
        {},
        {"beta": 0.3},
        {"beta": 5.0},
    )


PREFERENCE: list[Oracle] = [
    Oracle("conservative_dpo", conservative_dpo, noisy_preference_samples, PAIR, "arXiv:2403.00409"),
    Oracle("rdpo", rdpo, noisy_preference_samples, PAIR, "arXiv:2403.00409"),
    Oracle("ipo", ipo, ipo_samples, PAIR, "arXiv:2310.12036"),
    Oracle("bradley_terry", bradley_terry, bradley_terry_samples, PAIR, "arXiv:2310.02743"),
    Oracle("reward_ensemble_mean", reward_ensemble_mean, ensemble_samples, ("reward",), "arXiv:2310.02743"),
    Oracle("worst_case_optimization", worst_case_optimization, ensemble_samples, ("reward",), "arXiv:2310.02743"),
    Oracle(
        "uncertainty_weighted_optimization",
        uncertainty_weighted_optimization,
        uncertainty_samples,
        ("reward",),
        "arXiv:2310.02743, variance divided by the number of members",
    ),
    Oracle("per_step_dpo", per_step_dpo, step_samples, PAIR, "arXiv:2406.14532"),
    Oracle("advantage_weighted_nll", advantage_weighted_nll, advantage_samples, ("logp",), "arXiv:2406.14532"),
]
