"""What the oracles of this group share."""

import torch
from torch import Generator, Tensor

from ..elementary import mean_or_zero, surprisal
from ..oracle import Sample
from ..sampling import integer, labels, normal, real

IGNORED = -100


def average(terms: list[Tensor]) -> Tensor:
    """The mean of terms of which there is at least one."""
    return torch.stack(terms).mean()


def answers(logits: Tensor, target: Tensor) -> list[Tensor]:
    """The summed log-probability of each answer that has a token, from [B, T, V] scores."""
    found = []
    for scores, words in zip(logits, target.tolist(), strict=True):
        tokens = [-surprisal(row, word) for row, word in zip(scores, words, strict=True) if word != IGNORED]
        if tokens:
            found.append(torch.stack(tokens).sum())
    return found


def token_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of the tokens that are not ignored; 0 if all are."""
    rows = logits.reshape(-1, logits.shape[-1])
    words = enumerate(target.reshape(-1).tolist())
    return mean_or_zero([surprisal(rows[t], word) for t, word in words if word != IGNORED], logits)


def log_probabilities(row: Tensor) -> Tensor:
    return -torch.stack([surprisal(row, c) for c in range(len(row))])


def divergence(row: Tensor, other: Tensor) -> Tensor:
    """KL(softmax(row) || softmax(other))."""
    logp, logq = log_probabilities(row), log_probabilities(other)
    return (logp.exp() * (logp - logq)).sum()


# Preferences


def margins(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> list[Tensor]:
    pairs = zip(chosen, rejected, ref_chosen, ref_rejected, strict=True)
    return [(won - ref_won) - (lost - ref_lost) for won, lost, ref_won, ref_lost in pairs]


def preference_samples(generator: Generator) -> list[Sample]:
    def pairs(size: int, scale: float) -> Sample:
        names = ("chosen", "rejected", "ref_chosen", "ref_rejected")
        return {name: normal(generator, size, scale=scale) - 5 for name in names}

    same = normal(generator, 3)
    at_reference: Sample = {"chosen": same, "rejected": -same, "ref_chosen": same, "ref_rejected": -same}
    return [pairs(6, 3), pairs(1, 1), at_reference, pairs(4, 1e4), pairs(5, 80)]


# Unlearning


def forget_samples(generator: Generator) -> list[Sample]:
    def forget(size: int, scale: float) -> Sample:
        return {"logp": normal(generator, size, scale=scale) - 9, "ref_logp": normal(generator, size, scale=scale) - 9}

    same = normal(generator, 3)
    far: Sample = {"logp": real([-1e4, -3.0, -800.0]), "ref_logp": real([-3.0, -1e4, -5.0])}
    return [forget(6, 3), forget(1, 1), {"logp": same, "ref_logp": same}, far]


BETAS: list[Sample] = [{}, {"beta": 1.0}, {"beta": 0.01}, {"beta": 3.5}]


def answer_samples(generator: Generator) -> list[Sample]:
    return [
        {"logits": normal(generator, 3, 4, 5), "target": labels(generator, 5, 3, 4)},
        {"logits": normal(generator, 2, 3, 4), "target": integer([[0, IGNORED, 3], [IGNORED, 1, IGNORED]])},
        {"logits": normal(generator, 2, 2, 3), "target": integer([[IGNORED, IGNORED], [2, 0]])},
        {"logits": normal(generator, 2, 2, 3), "target": integer([[IGNORED, IGNORED], [IGNORED, IGNORED]])},
        {"logits": normal(generator, 2, 3, 4, scale=60), "target": labels(generator, 4, 2, 3)},
        {"logits": normal(generator, 1, 1, 2, scale=1e4), "target": integer([[1]])},
    ]
