"""Bayesian flow networks."""

import math

import torch
from torch import Generator, Tensor

from ..elementary import sigmoid, surprisal
from ..oracle import Oracle, Sample
from ..sampling import deal, integer, labels, normal, real, uniform
from .density_shared import batch_of, error_samples, per_place, without


def bfn_continuous_time(*, prediction: Tensor, x: Tensor, t: Tensor, sigma1: float = 0.001) -> Tensor:
    weights = -math.log(sigma1) * torch.exp(-2 * t * math.log(sigma1))
    return per_place(weights, (x - prediction) ** 2)


def step_accuracy(i: Tensor, steps: int, sigma1: float) -> Tensor:
    """alpha of a step on continuous data."""
    return -torch.exp(-2 * i.double() / steps * math.log(sigma1)) * math.expm1(2 / steps * math.log(sigma1))


def bfn_discrete_time(*, prediction: Tensor, x: Tensor, i: Tensor, steps: int = 20, sigma1: float = 0.001) -> Tensor:
    return per_place(steps * step_accuracy(i, steps, sigma1) / 2, (x - prediction) ** 2)


def bfn_discrete_data(*, logits: Tensor, target: Tensor, t: Tensor, beta1: float = 3.0) -> Tensor:
    classes = logits.shape[-1]
    terms = []
    for rows, truths, time in zip(logits, target.tolist(), t, strict=True):
        for row, label in zip(rows, truths, strict=True):
            missing = sigmoid(torch.logsumexp(without(row, label) - row[label], dim=0))
            others = [torch.exp(-surprisal(row, c)) ** 2 for c in range(classes) if c != label]
            terms.append(classes * beta1 * time * (missing**2 + torch.stack(others).sum()))
    return torch.stack(terms).mean()


def bfn_discrete_data_steps(
    *,
    logits: Tensor,
    target: Tensor,
    i: Tensor,
    noise: Tensor,
    steps: int = 20,
    samples: int = 10,
    beta1: float = 3.0,
) -> Tensor:
    """The densities' common factors cancel, which leaves -log sum of p_k exp(y_k - y_target)."""
    assert len(noise) == samples
    classes = logits.shape[-1]
    terms = []
    for draw in noise:
        for b, rows in enumerate(logits):
            alpha = beta1 * (2 * int(i[b]) - 1) / steps**2
            for d, row in enumerate(rows):
                label = int(target[b, d])
                mean = [alpha * (classes * (k == label) - 1) for k in range(classes)]
                message = real(mean) + math.sqrt(alpha * classes) * draw[b, d]
                log_p = torch.stack([-surprisal(row, k) for k in range(classes)])
                terms.append(-torch.logsumexp(log_p + message - message[label], dim=0))
    return steps * torch.stack(terms).mean()


def below(z: Tensor) -> Tensor:
    """The standard normal's probability below z, accurate in both tails."""
    return torch.erfc(-z / math.sqrt(2)) / 2


def scaled_above(z: Tensor) -> Tensor:
    """The standard normal's probability above z, times exp(z^2 / 2)."""
    scaled: Tensor = torch.special.erfcx(z / math.sqrt(2))
    return scaled / 2


def log_below(z: Tensor) -> Tensor:
    if bool(z > -1):
        return torch.log1p(-below(-z))
    return scaled_above(-z).log() - z**2 / 2


def log_between(low: Tensor, high: Tensor) -> Tensor:
    """log of the standard normal's probability between low and high, also where it underflows."""
    if bool(high <= 0):
        return log_between(-high, -low)
    if bool(low >= 0):
        fall = torch.exp(-(high - low) * (high + low) / 2)
        return (scaled_above(low) - fall * scaled_above(high)).log() - low**2 / 2
    outside = below(low) + below(-high)
    if bool(outside < 0.5):
        return torch.log1p(-outside)
    return ((torch.erf(high / math.sqrt(2)) - torch.erf(low / math.sqrt(2))) / 2).log()


def log_bin(mean: Tensor, log_std: Tensor, k: int, bins: int) -> Tensor:
    """log of the probability of bin k of [-1, 1] under a normal whose tails go to the outer bins."""
    low = (2 * k / bins - 1 - mean) * torch.exp(-log_std)
    high = (2 * (k + 1) / bins - 1 - mean) * torch.exp(-log_std)
    if k == 0:
        return log_below(high)
    return log_below(-low) if k == bins - 1 else log_between(low, high)


def miss(mean: Tensor, log_std: Tensor, k: int, bins: int) -> Tensor:
    """The centre of bin k less the expected centre, summed over the edges between the two."""
    edges = [(2 * j / bins - 1 - mean) * torch.exp(-log_std) for j in range(1, bins)]
    return 2 / bins * torch.stack([below(z) if j < k else -below(-z) for j, z in enumerate(edges)]).sum()


def bfn_discretised(
    *, mean: Tensor, log_std: Tensor, bin: Tensor, t: Tensor, bins: int = 256, sigma1: float = 0.001
) -> Tensor:
    misses = [
        torch.stack([miss(mean[b, d], log_std[b, d], k, bins) for d, k in enumerate(row)])
        for b, row in enumerate(bin.tolist())
    ]
    weights = -math.log(sigma1) * torch.exp(-2 * t * math.log(sigma1))
    return per_place(weights, torch.stack(misses) ** 2)


def bfn_discretised_steps(
    *,
    mean: Tensor,
    log_std: Tensor,
    bin: Tensor,
    i: Tensor,
    noise: Tensor,
    bins: int = 256,
    steps: int = 20,
    samples: int = 10,
    sigma1: float = 0.001,
) -> Tensor:
    assert len(noise) == samples
    terms = []
    for b, row in enumerate(bin.tolist()):
        alpha = float(step_accuracy(i[b], steps, sigma1))
        for d, truth in enumerate(row):
            log_p = torch.stack([log_bin(mean[b, d], log_std[b, d], k, bins) for k in range(bins)])
            gap = real([2 * (truth - k) / bins for k in range(bins)])
            for draw in noise[:, b, d]:
                log_ratio = -alpha * gap**2 / 2 - math.sqrt(alpha) * gap * draw
                terms.append(-torch.logsumexp(log_p + log_ratio, dim=0))
    return steps * torch.stack(terms).mean()


def bfn_reconstruction(*, mean: Tensor, log_std: Tensor, bin: Tensor, bins: int = 256) -> Tensor:
    places = zip(mean.reshape(-1), log_std.reshape(-1), bin.reshape(-1).tolist(), strict=True)
    return torch.stack([-log_bin(m, s, k, bins) for m, s, k in places]).mean()


def bfn_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample in error_samples(generator):
        samples.append(
            {
                "prediction": sample["prediction"],
                "x": sample["target"],
                "t": uniform(generator, batch_of(sample)),
            }
        )
    ends: Sample = samples[2] | {"t": real([0.0, 1.0])}
    return deal([*samples, ends], {"sigma1": 0.001}, {"sigma1": 0.9}, {"sigma1": 0.02})


def bfn_step_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample, steps in zip(error_samples(generator), (20, 1, 7, 20, 1000), strict=True):
        i = 1 + labels(generator, steps, batch_of(sample))
        samples.append({"prediction": sample["prediction"], "x": sample["target"], "i": i, "steps": steps})
    return deal(samples, {"sigma1": 0.001}, {"sigma1": 0.9})


def class_samples(generator: Generator) -> list[Sample]:
    """Ordinary, one place, two classes, and sure logits, right and wrong."""
    return [
        {"logits": normal(generator, 3, 2, 4, scale=2), "target": labels(generator, 4, 3, 2)},
        {"logits": normal(generator, 1, 1, 3), "target": labels(generator, 3, 1, 1)},
        {"logits": normal(generator, 2, 3, 2), "target": labels(generator, 2, 2, 3)},
        {"logits": real([[[30.0, 0.0, 2.0], [0.0, 50.0, 1.0]]]), "target": integer([[0, 2]])},
    ]


def bfn_class_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = [
        sample | {"t": uniform(generator, batch_of(sample))} for sample in class_samples(generator)
    ]
    return deal(samples, {"beta1": 3.0}, {"beta1": 0.75})


def bfn_class_step_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample, steps, drawn in zip(class_samples(generator), (20, 1, 5, 10), (3, 2, 1, 4), strict=True):
        logits = sample["logits"]
        assert isinstance(logits, Tensor)
        samples.append(
            sample
            | {
                "i": 1 + labels(generator, steps, len(logits)),
                "noise": normal(generator, drawn, *logits.shape),
                "steps": steps,
                "samples": drawn,
            }
        )
    return deal(samples, {"beta1": 3.0}, {"beta1": 0.75})


def bin_samples(generator: Generator) -> list[Sample]:
    """Broad and narrow normals, means beyond the range, outer bins, two bins, and hopeless guesses."""
    return [
        {
            "mean": normal(generator, 3, 2),
            "log_std": normal(generator, 3, 2) - 1,
            "bin": labels(generator, 8, 3, 2),
            "bins": 8,
        },
        {"mean": normal(generator, 1, 1), "log_std": normal(generator, 1, 1), "bin": integer([[1]]), "bins": 2},
        {
            "mean": normal(generator, 2, 3),
            "log_std": normal(generator, 2, 3),
            "bin": integer([[0, 15, 7], [8, 0, 15]]),
            "bins": 16,
        },
        {
            "mean": real([[0.9, -1.5, 3.0]]),
            "log_std": real([[-3.0, -2.0, 0.5]]),
            "bin": integer([[1, 5, 0]]),
            "bins": 6,
        },
    ]


def likelihood_samples(generator: Generator) -> list[Sample]:
    """Also the default number of bins, several axes, and probabilities that underflow."""
    samples = bin_samples(generator)
    return [
        *samples,
        {"mean": normal(generator, 4) / 2, "log_std": normal(generator, 4) - 2, "bin": labels(generator, 256, 4)},
        {
            "mean": normal(generator, 2, 2, 2),
            "log_std": normal(generator, 2, 2, 2),
            "bin": labels(generator, 4, 2, 2, 2),
            "bins": 4,
        },
        {
            "mean": real([-0.8, 0.9, -0.9, 1.0]),
            "log_std": real([-4.0, -4.5, -4.0, -4.0]),
            "bin": integer([5, 3, 7, 0]),
            "bins": 8,
        },
    ]


def binned_time_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = [sample | {"t": uniform(generator, batch_of(sample))} for sample in bin_samples(generator)]
    return deal(samples, {"sigma1": 0.001}, {"sigma1": 0.3})


def binned_step_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample, steps, drawn in zip(bin_samples(generator), (20, 1, 5, 10), (3, 2, 1, 2), strict=True):
        mean = sample["mean"]
        assert isinstance(mean, Tensor)
        samples.append(
            sample
            | {
                "i": 1 + labels(generator, steps, len(mean)),
                "noise": normal(generator, drawn, *mean.shape),
                "steps": steps,
                "samples": drawn,
            }
        )
    return deal(samples, {"sigma1": 0.001}, {"sigma1": 0.3})


FLOW: list[Oracle] = [
    Oracle(
        "bfn_continuous_time",
        bfn_continuous_time,
        bfn_samples,
        ("prediction",),
        "Graves et al. 2023; read in the authors' code; the limit of many steps of bfn_discrete_time.",
    ),
    Oracle(
        "bfn_discrete_time",
        bfn_discrete_time,
        bfn_step_samples,
        ("prediction",),
        "Graves et al. 2023; read in the authors' code; equal to a divergence of two normals.",
    ),
    Oracle(
        "bfn_discrete_data",
        bfn_discrete_data,
        bfn_class_samples,
        ("logits",),
        "Graves et al. 2023; read in the authors' code, with beta1 the square of its max_sqrt_beta.",
    ),
    Oracle(
        "bfn_discrete_data_steps",
        bfn_discrete_data_steps,
        bfn_class_step_samples,
        ("logits",),
        "Graves et al. 2023; the paper's mixture of whole messages, equal to that of torch.distributions.",
    ),
    Oracle(
        "bfn_discretised",
        bfn_discretised,
        binned_time_samples,
        ("mean", "log_std"),
        "Graves et al. 2023; read in the authors' code; equal to the sum over bins at moderate means.",
    ),
    Oracle(
        "bfn_discretised_steps",
        bfn_discretised_steps,
        binned_step_samples,
        ("mean", "log_std"),
        "Graves et al. 2023; read in the authors' code; equal to the mixture of torch.distributions.",
    ),
    Oracle(
        "bfn_reconstruction",
        bfn_reconstruction,
        likelihood_samples,
        ("mean", "log_std"),
        "Graves et al. 2023; read in the authors' code, without its floor; equal to mpmath in the tails.",
    ),
]
