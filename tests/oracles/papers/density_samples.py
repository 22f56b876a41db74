"""Distances between samples, models without a known partition function, and the distillation of diffusion models."""

import math

import torch
from torch import Generator, Tensor

from ..elementary import norm, surprisal, unit, zero_of
from ..oracle import Oracle, Sample
from ..sampling import deal, normal, real, uniform
from .density_shared import batch_of, error_samples, per_place

# Distances of samples


def projected(x: Tensor, direction: Tensor) -> Tensor:
    """The coordinates of the rows of x along a direction, whose length does not matter."""
    return torch.stack([(row * unit(direction)).sum() for row in x])


def sliced_wasserstein_discrepancy(
    *, first: Tensor, second: Tensor, direction: Tensor, projections: int = 128
) -> Tensor:
    assert direction.shape[1] == projections
    p, q = probabilities(first), probabilities(second)
    terms = []
    for column in direction.T:
        u, v = projected(p, column).sort().values, projected(q, column).sort().values
        terms.append(((u - v) ** 2).mean())
    return torch.stack(terms).mean()


def probabilities(logits: Tensor) -> Tensor:
    return torch.stack([torch.stack([torch.exp(-surprisal(row, c)) for c in range(len(row))]) for row in logits])


def swd_samples(generator: Generator) -> list[Sample]:
    """Several batches, one item, two equal classifiers, sure classifiers, and a single direction."""
    logits = normal(generator, 4, 3)
    shapes: list[Sample] = [
        {"first": normal(generator, 5, 3, scale=2), "second": normal(generator, 5, 3, scale=2)},
        {"first": normal(generator, 6, 4), "second": normal(generator, 6, 4, scale=3)},
        {"first": normal(generator, 1, 2), "second": normal(generator, 1, 2)},
        {"first": logits, "second": logits.clone()},
        {"first": real([[40.0, 0.0, -30.0], [0.0, 50.0, 9.0]]), "second": real([[0.0, 1.0, 60.0], [3.0, -70.0, 2.0]])},
    ]
    samples: list[Sample] = []
    for shape, projections in zip(shapes, (7, 4, 1, 3, 5), strict=True):
        first = shape["first"]
        assert isinstance(first, Tensor)
        samples.append(
            shape | {"direction": normal(generator, first.shape[1], projections), "projections": projections}
        )
    return samples


def mean_distance(x: Tensor, y: Tensor, r: float) -> Tensor:
    """The mean over all pairs of |a - b|^r, where equal points count 0 and have no gradient."""
    total = zero_of(x) + zero_of(y)
    for a in x:
        for b in y:
            if bool((a != b).any()):
                total = total + norm(a - b) ** r
    return total / (len(x) * len(y))


def energy_distance(*, x: Tensor, y: Tensor, r: float = 1.0) -> Tensor:
    return mean_distance(x, y, r) - mean_distance(x, x, r) / 2 - mean_distance(y, y, r) / 2


def slicing_constant(dimension: int, r: float) -> float:
    log_ratio = math.lgamma((dimension + r) / 2) - math.lgamma(dimension / 2) - math.lgamma((r + 1) / 2)
    return math.sqrt(math.pi) * math.exp(log_ratio)


def sliced_energy_distance(
    *, x: Tensor, y: Tensor, direction: Tensor, projections: int = 1000, r: float = 1.0
) -> Tensor:
    assert len(direction) == projections
    slices = [
        energy_distance(x=projected(x, xi).unsqueeze(1), y=projected(y, xi).unsqueeze(1), r=r) for xi in direction
    ]
    return slicing_constant(x.shape[1], r) * torch.stack(slices).mean()


def mmd_flow_step(
    *, output: Tensor, x: Tensor, y: Tensor, direction: Tensor, projections: int = 1000, step_size: float = 1.0
) -> Tensor:
    """The particles' step is the gradient of the sliced energy distance by x, here written by counting."""
    assert len(direction) == projections
    gradient = torch.zeros_like(x)
    for xi in direction:
        u, v = projected(x, xi), projected(y, xi)
        for n in range(len(x)):
            slope = torch.sign(u[n] - v).mean() / len(x) - torch.sign(u[n] - u).mean() / len(x)
            gradient[n] += slicing_constant(x.shape[1], 1.0) * slope * unit(xi) / projections
    moved = x - step_size * len(x) * gradient
    return torch.stack([((row - goal) ** 2).sum() for row, goal in zip(output, moved, strict=True)]).mean()


def point_samples(generator: Generator) -> list[Sample]:
    """Sets of unequal size, single points, far and near sets, and a line."""
    return [
        {"x": normal(generator, 5, 3), "y": normal(generator, 4, 3)},
        {"x": normal(generator, 1, 2), "y": normal(generator, 1, 2)},
        {"x": normal(generator, 3, 2), "y": 1000 + normal(generator, 4, 2)},
        {"x": normal(generator, 4, 1), "y": normal(generator, 6, 1)},
        {"x": normal(generator, 3, 2, scale=1e-3), "y": normal(generator, 2, 2, scale=1e-3)},
    ]


def energy_samples(generator: Generator) -> list[Sample]:
    twins: Sample = {"x": real([[1.0, 2.0], [1.0, 2.0], [0.0, 0.5]]), "y": real([[3.0, 1.0], [3.0, 1.0]])}
    return [*deal(point_samples(generator), {"r": 1.0}, {"r": 0.5}, {"r": 1.7}), twins]


def with_directions(samples: list[Sample], generator: Generator) -> list[Sample]:
    drawn: list[Sample] = []
    for sample, projections in zip(samples, (6, 3, 1, 4, 5), strict=True):
        x = sample["x"]
        assert isinstance(x, Tensor)
        drawn.append(sample | {"direction": normal(generator, projections, x.shape[1]), "projections": projections})
    return drawn


def sliced_samples(generator: Generator) -> list[Sample]:
    return deal(with_directions(point_samples(generator), generator), {"r": 1.0}, {"r": 0.5}, {"r": 1.7})


def flow_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample in with_directions(point_samples(generator), generator):
        x = sample["x"]
        assert isinstance(x, Tensor)
        samples.append({"output": normal(generator, *x.shape)} | sample)
    return deal(samples, {"step_size": 1.0}, {"step_size": 0.05})


# Unnormalised models


def log_mean_weight(noise_log_density: Tensor, noise_log_prob: Tensor) -> Tensor:
    """The logarithm of the estimate of the partition function."""
    return torch.logsumexp(noise_log_density - noise_log_prob, dim=0) - math.log(len(noise_log_prob))


def importance_nll(*, log_density: Tensor, noise_log_density: Tensor, noise_log_prob: Tensor) -> Tensor:
    return log_mean_weight(noise_log_density, noise_log_prob) - log_density.mean()


def meco(
    *,
    log_density: Tensor,
    noise_log_density: Tensor,
    noise_log_prob: Tensor,
    log_u: Tensor,
    gamma: float = 0.1,
) -> Tensor:
    now = log_mean_weight(noise_log_density, noise_log_prob)
    average = now.detach()
    if gamma < 1:
        average = torch.logaddexp(math.log1p(-gamma) + log_u, math.log(gamma) + average)
    return torch.exp(now - average) - log_density.mean()


def unnormalised_samples(generator: Generator) -> list[Sample]:
    """Ordinary, one item each, weights of very different size, and densities far from 0."""
    return [
        {
            "log_density": normal(generator, 5, scale=2),
            "noise_log_density": normal(generator, 6, scale=2),
            "noise_log_prob": normal(generator, 6) - 1,
        },
        {
            "log_density": normal(generator, 1),
            "noise_log_density": normal(generator, 1),
            "noise_log_prob": normal(generator, 1),
        },
        {
            "log_density": normal(generator, 3, scale=50),
            "noise_log_density": normal(generator, 4, scale=50),
            "noise_log_prob": normal(generator, 4),
        },
        {
            "log_density": 1e4 + normal(generator, 3),
            "noise_log_density": 1e4 + normal(generator, 4),
            "noise_log_prob": normal(generator, 4),
        },
    ]


def meco_samples(generator: Generator) -> list[Sample]:
    """States below, near and above the present estimate."""
    states = [real(0.0), real(-2.5), real(40.0), real(1e4)]
    samples: list[Sample] = [
        sample | {"log_u": state} for sample, state in zip(unnormalised_samples(generator), states, strict=True)
    ]
    return deal(samples, {"gamma": 0.1}, {"gamma": 1.0}, {"gamma": 0.7})


# Distillation of diffusion models


def consistency_training(
    *, student: Tensor, teacher: Tensor, sigma: Tensor, next_sigma: Tensor, scale: float = 0.00054
) -> Tensor:
    c = scale * math.sqrt(student.shape[1])
    terms = []
    for row, goal, low, high in zip(student, teacher, sigma, next_sigma, strict=True):
        square = ((row - goal) ** 2).sum()
        terms.append(square / ((square + c**2).sqrt() + c) / (high - low))
    return torch.stack(terms).mean()


def consistency_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample in error_samples(generator):
        sigma = 0.002 + 5 * uniform(generator, batch_of(sample))
        samples.append(
            {
                "student": sample["prediction"],
                "teacher": sample["target"],
                "sigma": sigma,
                "next_sigma": sigma * (1.01 + uniform(generator, len(sigma))),
            }
        )
    return deal(samples, {"scale": 0.00054}, {"scale": 1.0}, {"scale": 100.0})


def distribution_matching(*, x: Tensor, real_prediction: Tensor, fake_prediction: Tensor) -> Tensor:
    """Half the mean square of a residual whose value is the wanted gradient and whose slope by x is 1."""
    terms = []
    for row, actual, fake in zip(x, real_prediction, fake_prediction, strict=True):
        size = (row.detach() - actual).abs().mean()
        wanted = (fake - actual) / size if bool(size > 0) else torch.zeros_like(row)
        terms.append(((wanted + (row - row.detach())) ** 2).mean() / 2)
    return torch.stack(terms).mean()


def matching_samples(generator: Generator) -> list[Sample]:
    """Ordinary, one place, equal denoisers, a sample that its denoiser leaves as it is, and large values."""
    x, y = normal(generator, 3, 2), normal(generator, 3, 2)
    kept = x.clone()
    kept[1:] += 1
    return [
        {
            "x": normal(generator, 4, 3),
            "real_prediction": normal(generator, 4, 3),
            "fake_prediction": normal(generator, 4, 3),
        },
        {
            "x": normal(generator, 1, 1),
            "real_prediction": normal(generator, 1, 1),
            "fake_prediction": normal(generator, 1, 1),
        },
        {"x": x, "real_prediction": y, "fake_prediction": y.clone()},
        {"x": x, "real_prediction": kept, "fake_prediction": y},
        {"x": 100 * x, "real_prediction": 0.01 * y, "fake_prediction": 1000 * kept},
    ]


def dmd_fake_denoise(*, prediction: Tensor, x: Tensor, sigma: Tensor, sigma_data: float = 0.5) -> Tensor:
    return per_place(1 / sigma**2 + 1 / sigma_data**2, (prediction - x) ** 2)


def denoising_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = []
    for sample in error_samples(generator):
        sigma = 10 ** (4 * uniform(generator, batch_of(sample)) - 2)
        samples.append({"prediction": sample["prediction"], "x": sample["target"], "sigma": sigma})
    return deal(samples, {"sigma_data": 0.5}, {"sigma_data": 2.0})


SAMPLES: list[Oracle] = [
    Oracle(
        "sliced_wasserstein_discrepancy",
        sliced_wasserstein_discrepancy,
        swd_samples,
        ("first", "second"),
        "Lee et al. 2019; read in the authors' code; along each direction equal to an optimal assignment.",
    ),
    Oracle(
        "energy_distance",
        energy_distance,
        energy_samples,
        ("x", "y"),
        "Hertrich et al. 2023, with the paper's half; on a line twice it is scipy.stats.energy_distance squared.",
    ),
    Oracle(
        "sliced_energy_distance",
        sliced_energy_distance,
        sliced_samples,
        ("x", "y"),
        "Hertrich et al. 2023; the mean over directions of the plane agrees with the unsliced distance.",
    ),
    Oracle(
        "mmd_flow_step",
        mmd_flow_step,
        flow_samples,
        ("output",),
        "Hertrich et al. 2023; its step equals the gradient of the sliced energy distance by autograd.",
    ),
    Oracle(
        "importance_nll",
        importance_nll,
        unnormalised_samples,
        ("log_density", "noise_log_density"),
        "Jiang et al. 2023, plug-in form of the objective.",
    ),
    Oracle(
        "meco",
        meco,
        meco_samples,
        ("log_density", "noise_log_density"),
        "Jiang et al. 2023; at gamma = 1 its gradient is that of the plug-in form. Its value is a surrogate.",
    ),
    Oracle(
        "consistency_training",
        consistency_training,
        consistency_samples,
        ("student",),
        "Song and Dhariwal 2023; a norm as scale goes to 0, a square over 2 c as it grows.",
    ),
    Oracle(
        "distribution_matching",
        distribution_matching,
        matching_samples,
        ("x",),
        "Yin et al. 2024; read in the authors' code; its gradient is the normalised difference of the denoisers.",
    ),
    Oracle(
        "dmd_fake_denoise",
        dmd_fake_denoise,
        denoising_samples,
        ("prediction",),
        "Yin et al. 2024; read in the authors' code; the weight of Karras et al. 2022.",
    ),
]
