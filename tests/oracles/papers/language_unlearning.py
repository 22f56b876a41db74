"""Unlearning, towards nothing and towards a template."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ..elementary import mean_or_zero, softplus, surprisal, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, labels, normal
from .language_distillation import ANSWERS
from .language_shared import (
    BETAS,
    IGNORED,
    answer_samples,
    answers,
    average,
    divergence,
    forget_samples,
    margins,
    preference_samples,
    token_entropy,
)

# Unlearning


def npo(*, logp: Tensor, ref_logp: Tensor, beta: float = 0.1) -> Tensor:
    """(2 / beta) log(1 + (pi / pi_ref)^beta), averaged over the answers to forget."""
    return average([2 / beta * softplus(beta * (ours - old)) for ours, old in zip(logp, ref_logp, strict=True)])


def npo_rt(
    *,
    logp: Tensor,
    ref_logp: Tensor,
    retain_logits: Tensor,
    retain_target: Tensor,
    beta: float = 0.1,
    forget_weight: float = 1.0,
    retain_weight: float = 1.0,
) -> Tensor:
    forget = npo(logp=logp, ref_logp=ref_logp, beta=beta)
    return forget_weight * forget + retain_weight * token_entropy(retain_logits, retain_target)


def npo_kl(
    *,
    logp: Tensor,
    ref_logp: Tensor,
    retain_logits: Tensor,
    ref_retain_logits: Tensor,
    kept: Tensor,
    beta: float = 0.1,
    forget_weight: float = 1.0,
    kl_weight: float = 1.0,
) -> Tensor:
    """The divergence is that of the reference from the model, over the positions kept."""
    ours, theirs = (x.reshape(-1, x.shape[-1]) for x in (retain_logits, ref_retain_logits))
    places = [t for t, counts in enumerate(kept.reshape(-1).tolist()) if counts]
    drift = mean_or_zero([divergence(ours[t], theirs[t]) for t in places], retain_logits)
    return forget_weight * npo(logp=logp, ref_logp=ref_logp, beta=beta) + kl_weight * drift


def gradient_ascent_unlearn(*, logits: Tensor, target: Tensor) -> Tensor:
    """The mean log-probability of whole answers, to be lowered."""
    return mean_or_zero(answers(logits, target), logits)


def dpo_unlearn(
    *, alternative: Tensor, logp: Tensor, ref_alternative: Tensor, ref_logp: Tensor, beta: float = 0.1
) -> Tensor:
    every = margins(alternative, logp, ref_alternative, ref_logp)
    return average([2 / beta * softplus(-beta * d) for d in every])


def npo_samples(generator: Generator) -> list[Sample]:
    return deal(forget_samples(generator), *BETAS)


def npo_rt_samples(generator: Generator) -> list[Sample]:
    retained: list[Sample] = [
        {"retain_logits": normal(generator, 4, 5), "retain_target": integer([0, 4, IGNORED, 2])},
        {"retain_logits": normal(generator, 2, 3, 4), "retain_target": labels(generator, 4, 2, 3)},
        {"retain_logits": normal(generator, 2, 3), "retain_target": integer([IGNORED, IGNORED])},
        {"retain_logits": normal(generator, 3, 4, scale=1e4), "retain_target": integer([0, IGNORED, 3])},
    ]
    samples = [a | b for a, b in zip(forget_samples(generator), retained, strict=True)]
    return deal(samples, {}, {"beta": 0.5, "forget_weight": 0.2, "retain_weight": 3.0}, {"forget_weight": 0.0})


def npo_kl_samples(generator: Generator) -> list[Sample]:
    def retained(kept: list[bool] | list[list[bool]], words: int, scale: float) -> Sample:
        where = torch.tensor(kept)
        ours, theirs = (normal(generator, *where.shape, words, scale=scale) for _ in range(2))
        return {"retain_logits": ours, "ref_retain_logits": theirs, "kept": where}

    kept = [
        retained([True, True, False, True], 5, 1),
        retained([[True, False, True], [False, True, True]], 4, 2),
        retained([False, False], 3, 1),
        retained([True, True, True], 4, 300),
    ]
    samples = [a | b for a, b in zip(forget_samples(generator), kept, strict=True)]
    return deal(samples, {}, {"beta": 0.5, "forget_weight": 0.2, "kl_weight": 3.0}, {"forget_weight": 0.0})


def dpo_unlearn_samples(generator: Generator) -> list[Sample]:
    names = {"chosen": "alternative", "rejected": "logp", "ref_chosen": "ref_alternative", "ref_rejected": "ref_logp"}
    renamed = [{names[n]: v for n, v in sample.items()} for sample in preference_samples(generator)]
    return deal(renamed, *BETAS)


# Unlearning towards a template


def token_probability(scores: Tensor, words: list[int]) -> Tensor | None:
    """The mean probability of the tokens that are not ignored, if there is one."""
    found = [torch.exp(-surprisal(row, word)) for row, word in zip(scores, words, strict=True) if word != IGNORED]
    return average(found) if found else None


def flat(
    divergence_of: Callable[[Tensor, Tensor], Tensor],
    template_logits: Tensor,
    template: Tensor,
    forget_logits: Tensor,
    forget: Tensor,
) -> Tensor:
    """The mean over pairs of -g(e) + f(g(f)), given as a function of the two mean probabilities."""
    terms = []
    every = zip(template_logits, template.tolist(), forget_logits, forget.tolist(), strict=True)
    for good_scores, good_words, bad_scores, bad_words in every:
        good, bad = token_probability(good_scores, good_words), token_probability(bad_scores, bad_words)
        if good is not None and bad is not None:
            terms.append(divergence_of(good, bad))
    return mean_or_zero(terms, template_logits) + zero_of(forget_logits)


def flat_tv(*, template_logits: Tensor, template: Tensor, forget_logits: Tensor, forget: Tensor) -> Tensor:
    def pair(good: Tensor, bad: Tensor) -> Tensor:
        return torch.tanh(bad) / 2 - torch.tanh(good) / 2

    return flat(pair, template_logits, template, forget_logits, forget)


def flat_kl(*, template_logits: Tensor, template: Tensor, forget_logits: Tensor, forget: Tensor) -> Tensor:
    def pair(good: Tensor, bad: Tensor) -> Tensor:
        return torch.exp(bad - 1) - good

    return flat(pair, template_logits, template, forget_logits, forget)


def flat_js(*, template_logits: Tensor, template: Tensor, forget_logits: Tensor, forget: Tensor) -> Tensor:
    def half_softplus(x: Tensor) -> Tensor:
        """log((1 + e^-x) / 2), accurate near 0."""
        return torch.log1p(torch.expm1(-x) / 2)

    def pair(good: Tensor, bad: Tensor) -> Tensor:
        return half_softplus(good) + bad + half_softplus(bad)

    return flat(pair, template_logits, template, forget_logits, forget)


def flat_pearson(*, template_logits: Tensor, template: Tensor, forget_logits: Tensor, forget: Tensor) -> Tensor:
    def pair(good: Tensor, bad: Tensor) -> Tensor:
        return bad**2 / 4 + bad - good

    return flat(pair, template_logits, template, forget_logits, forget)


def flat_samples(generator: Generator) -> list[Sample]:
    def answer(name: str, scale: float, target: Tensor, words: int) -> Sample:
        return {f"{name}_logits": normal(generator, *target.shape, words, scale=scale), name: target}

    none, some = [IGNORED, IGNORED], [1, IGNORED]
    cases = [
        (1.0, labels(generator, 5, 3, 4), labels(generator, 5, 3, 2), 5),
        (2.0, integer([[0, IGNORED, 2], [1, 1, IGNORED]]), integer([some, [0, 2]]), 4),
        (1.0, integer([none, some, [0, 2]]), integer([some, none, [2, 2]]), 3),
        (1.0, integer([none]), integer([some]), 3),
        (60.0, labels(generator, 3, 4, 3), labels(generator, 3, 4, 3), 3),
        (1e4, labels(generator, 3, 4, 1), labels(generator, 3, 4, 1), 3),
    ]
    return [
        answer("template", scale, good, words) | answer("forget", scale, bad, words)
        for scale, good, bad, words in cases
    ]


UNLEARNING: list[Oracle] = [
    Oracle("npo", npo, npo_samples, ("logp",), "arXiv:2404.05868, equation 3"),
    Oracle("npo_rt", npo_rt, npo_rt_samples, ("logp", "retain_logits"), "arXiv:2404.05868"),
    Oracle("npo_kl", npo_kl, npo_kl_samples, ("logp", "retain_logits"), "arXiv:2404.05868, K_RT as the paper has it"),
    Oracle(
        "gradient_ascent_unlearn", gradient_ascent_unlearn, answer_samples, ("logits",), "arXiv:2404.05868, equation 1"
    ),
    Oracle("dpo_unlearn", dpo_unlearn, dpo_unlearn_samples, ("alternative", "logp"), "arXiv:2404.05868, and its code"),
    Oracle("flat_tv", flat_tv, flat_samples, ANSWERS, "arXiv:2410.11143 and its code"),
    Oracle("flat_kl", flat_kl, flat_samples, ANSWERS, "arXiv:2410.11143 and its code"),
    Oracle("flat_js", flat_js, flat_samples, ANSWERS, "arXiv:2410.11143 and its code"),
    Oracle("flat_pearson", flat_pearson, flat_samples, ANSWERS, "arXiv:2410.11143 and its code"),
]
