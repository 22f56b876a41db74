"""Language modelling, and codes and tokens with distances."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ..elementary import mean_or_zero, norm, sigmoid, softplus, surprisal, zero_of
from ..oracle import Oracle, Sample
from ..sampling import bits, deal, integer, labels, normal, real, uniform
from .language_distillation import CODED
from .language_shared import BETAS, IGNORED, answer_samples, answers, average, forget_samples

# Language modelling


def minor_sft(*, logp: Tensor, ref_logp: Tensor, length: Tensor, beta: float = 0.04) -> Tensor:
    """The potential of the paper's gradient, -(2 / length) sigmoid(-beta (logp - ref_logp)) grad logp."""
    every = zip(logp, ref_logp, length.tolist(), strict=True)
    return average([2 / (beta * m) * softplus(-beta * (ours - old)) for ours, old, m in every])


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - e^x) for x < 0."""
    return torch.log(-torch.expm1(x)) if x > -0.5 else torch.log1p(-torch.exp(x))


def miss_all(logp: Tensor, tries: int) -> Tensor:
    """-log of the probability that one of so many samples is the answer, from its log-probability."""
    if tries == 1:
        return -logp
    if logp == 0:  # certain to double precision: the slope is a positive power of 1 - p = 0
        return 0 * logp
    if logp < -60:  # 1 - (1 - p)^N = N p (1 - (N - 1) p / 2 + ...), and p may not be a double any more
        return -(logp + math.log(tries) + torch.log1p(-(tries - 1) / 2 * logp.exp()))
    return -log1mexp(tries * log1mexp(logp))


def dco(*, logits: Tensor, target: Tensor, N: int = 256) -> Tensor:
    return mean_or_zero([miss_all(answer, N) for answer in answers(logits, target)], logits)


def dco_step(*, logp: Tensor, kept: Tensor, N: int = 4) -> Tensor:
    steps = zip(logp.reshape(-1), kept.reshape(-1).tolist(), strict=True)
    return mean_or_zero([miss_all(step, N) for step, exists in steps if exists], logp)


def best_of_2_sft(*, logits: Tensor, target: Tensor) -> Tensor:
    return mean_or_zero([-answer for answer in answers(logits, target)], logits)


def squared_miss(logit: Tensor, target: float) -> tuple[Tensor, Tensor]:
    """(p - y)^2 and p^2 + y^2, the first without cancellation."""
    miss = (1 - target) * sigmoid(logit) - target * sigmoid(-logit)
    return miss**2, sigmoid(logit) ** 2 + target**2


def dice_sample_level(*, logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - (2 p y + g) / (p^2 + y^2 + g) is (p - y)^2 / (p^2 + y^2 + g), averaged over the items."""
    terms = []
    for logit, y in zip(logits.reshape(-1), target.reshape(-1).tolist(), strict=True):
        miss, size = squared_miss(logit, y)
        terms.append(miss / (size + smooth))
    return average(terms)


def dice_batch_level(*, logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """The same ratio of the sums over all items."""
    pairs = zip(logits.reshape(-1), target.reshape(-1).tolist(), strict=True)
    misses, sizes = zip(*(squared_miss(logit, y) for logit, y in pairs), strict=True)
    return torch.stack(misses).sum() / (torch.stack(sizes).sum() + smooth)


def minor_sft_samples(generator: Generator) -> list[Sample]:
    lengths = [real([4.0, 1.0, 7.0, 2.0, 30.0, 5.0]), real([3.0]), real([1.0, 2.0, 3.0]), real([2.0, 100.0, 9.0])]
    samples: list[Sample] = [a | {"length": m} for a, m in zip(forget_samples(generator), lengths, strict=True)]
    return deal(samples, *BETAS)


TRIES: list[Sample] = [{}, {"N": 1}, {"N": 2}, {"N": 5}]


def dco_samples(generator: Generator) -> list[Sample]:
    sure = real([[[9.0, 0.0, -1.0], [12.0, 1.0, 0.0]], [[30.0, 0.0, 1.0], [2.0, 0.0, 0.0]]])
    likely: Sample = {"logits": sure, "target": integer([[0, 0], [0, IGNORED]])}
    return deal([*answer_samples(generator), likely], *TRIES)


def dco_step_samples(generator: Generator) -> list[Sample]:
    def steps(*shape: int) -> Tensor:
        return -normal(generator, *shape).abs() - 0.1

    missing = torch.tensor([[True, False, True], [False, True, True]])
    wide = real([[-1e-9, -1e-3, -0.7], [-50.0, -1000.0, -1e4]])
    return deal(
        [
            {"logp": steps(2, 4), "kept": torch.ones(2, 4, dtype=torch.bool)},
            {"logp": steps(2, 3), "kept": missing},
            {"logp": steps(1, 1), "kept": torch.ones(1, 1, dtype=torch.bool)},
            {"logp": steps(2, 2), "kept": torch.zeros(2, 2, dtype=torch.bool)},
            {"logp": wide, "kept": torch.ones(2, 3, dtype=torch.bool)},
        ],
        *TRIES,
    )


def dice_samples(generator: Generator) -> list[Sample]:
    return deal(
        [
            {"logits": normal(generator, 6, scale=2), "target": bits(generator, 6)},
            {"logits": normal(generator, 2, 3), "target": uniform(generator, 2, 3)},
            {"logits": normal(generator, 1), "target": real([1.0])},
            {"logits": normal(generator, 4) - 3, "target": real([0.0] * 4)},
            {"logits": real([30.0, -30.0, 1e4, -1e4, 2.0]), "target": real([0.0, 1.0, 1.0, 0.0, 1.0])},
        ],
        {},
        {"smooth": 1e-3},
        {"smooth": 20.0},
    )


# Codes and tokens with distances


def expected_cost(logits: Tensor, target: Tensor, cost: Callable[[int, int], Tensor]) -> Tensor:
    """The mean over the targets that are not ignored of the expected cost of a word drawn from the softmax."""
    rows = logits.reshape(-1, logits.shape[-1])
    terms = []
    for row, label in zip(rows, target.reshape(-1).tolist(), strict=True):
        if label != IGNORED:
            costs = [cost(label, v) * torch.exp(-surprisal(row, v)) for v in range(len(row)) if v != label]
            terms.append(torch.stack(costs).sum() if costs else zero_of(row))
    return mean_or_zero(terms, logits)


def token_discrepancy(*, logits: Tensor, target: Tensor, codebook: Tensor) -> Tensor:
    """The cost of a token is the mean squared difference of the codes."""
    return expected_cost(logits, target, lambda v, w: ((codebook[v] - codebook[w]) ** 2).mean())


def token_discrepancy_euclid(*, logits: Tensor, target: Tensor, codebook: Tensor) -> Tensor:
    return expected_cost(logits, target, lambda v, w: norm(codebook[v] - codebook[w]))


def codes(z: Tensor, codebook: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each vector with its nearest code."""
    found = []
    for vector in z.reshape(-1, z.shape[-1]):
        distances = ((vector - codebook) ** 2).sum(1).tolist()
        found.append((vector, codebook[distances.index(min(distances))]))
    return found


def vq_commitment(*, z: Tensor, codebook: Tensor, beta: float = 0.95) -> Tensor:
    terms = []
    for vector, code in codes(z.detach(), codebook):
        terms.append(beta * (vector - code) ** 2)
    for vector, code in codes(z, codebook.detach()):
        terms.append((1 - beta) * (vector - code) ** 2)
    return torch.stack(terms).sum() / z.numel()


def synchronized_vq_loss(*, z: Tensor, codebook: Tensor, target: Tensor, beta: float = 0.95, nu: float = 0.2) -> Tensor:
    """The error of the code moves the vector as if it were the code, and the code by nu of that."""
    terms = []
    for (vector, code), wanted in zip(codes(z, codebook), target.reshape(-1, target.shape[-1]), strict=True):
        error = (code - wanted).detach()
        slope = 2 * error * (vector + nu * code)
        terms.append(error**2 + slope - slope.detach())
    return torch.stack(terms).sum() / z.numel() + vq_commitment(z=z, codebook=codebook, beta=beta)


def discrepancy_samples(generator: Generator) -> list[Sample]:
    same = torch.ones(3, 2, dtype=torch.float64)
    return [
        {"logits": normal(generator, 4, 5), "target": integer([0, 4, IGNORED, 2]), "codebook": normal(generator, 5, 3)},
        {
            "logits": normal(generator, 2, 3, 4),
            "target": labels(generator, 4, 2, 3),
            "codebook": normal(generator, 4, 2),
        },
        {"logits": normal(generator, 2, 3), "target": integer([IGNORED] * 2), "codebook": normal(generator, 3, 2)},
        {"logits": normal(generator, 3, 3), "target": integer([0, 1, 2]), "codebook": same},
        {
            "logits": normal(generator, 4, 4, scale=60),
            "target": labels(generator, 4, 4),
            "codebook": normal(generator, 4, 1),
        },
        {
            "logits": normal(generator, 1, 2, scale=1e4),
            "target": integer([1]),
            "codebook": normal(generator, 2, 4, scale=50),
        },
    ]


def vq_samples(generator: Generator) -> list[Sample]:
    return deal(
        [
            {"z": normal(generator, 6, 3), "codebook": normal(generator, 4, 3)},
            {"z": normal(generator, 2, 3, 2), "codebook": normal(generator, 5, 2)},
            {"z": normal(generator, 4, 2), "codebook": normal(generator, 1, 2)},
            {"z": normal(generator, 1, 1), "codebook": normal(generator, 2, 1)},
            {"z": normal(generator, 3, 4, scale=1e4), "codebook": normal(generator, 3, 4, scale=1e4)},
        ],
        {},
        {"beta": 0.2},
        {"beta": 1.0},
        {"beta": 0.0},
    )


def synchronized_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample, nu in zip(vq_samples(generator), (0.2, 1.0, 0.0, 0.5, 2.0, 0.2, 0.0, 1.0), strict=True):
        z = sample["z"]
        assert isinstance(z, Tensor)
        samples.append(sample | {"target": normal(generator, *z.shape), "nu": nu})
    return samples


TOKENS: list[Oracle] = [
    Oracle("minor_sft", minor_sft, minor_sft_samples, ("logp",), "arXiv:2408.10642, the potential of its gradient"),
    Oracle("dco", dco, dco_samples, ("logits",), "arXiv:2502.07154, in the form with a value"),
    Oracle("dco_step", dco_step, dco_step_samples, ("logp",), "arXiv:2502.07154"),
    Oracle("best_of_2_sft", best_of_2_sft, answer_samples, ("logits",), "arXiv:2405.08448"),
    Oracle("dice_sample_level", dice_sample_level, dice_samples, ("logits",), "arXiv:1911.02855"),
    Oracle("dice_batch_level", dice_batch_level, dice_samples, ("logits",), "arXiv:1606.04797 over a batch"),
    Oracle("token_discrepancy", token_discrepancy, discrepancy_samples, ("logits",), "arXiv:2501.07542"),
    Oracle(
        "token_discrepancy_euclid",
        token_discrepancy_euclid,
        discrepancy_samples,
        ("logits",),
        "arXiv:2501.07542, as its code has it",
    ),
    Oracle("vq_commitment", vq_commitment, vq_samples, CODED, "arXiv:2305.08842 and its code"),
    Oracle("synchronized_vq_loss", synchronized_vq_loss, synchronized_samples, CODED, "arXiv:2305.08842 and its code"),
]
