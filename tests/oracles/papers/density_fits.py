"""Fits, robust errors and predicted scales."""

import math

import torch
from torch import Generator, Tensor

from ..elementary import mean_or_zero, softplus, zero_of
from ..oracle import Oracle, Sample
from ..sampling import combine, deal, integer, labels, normal, real, uniform
from .density_shared import batch_of, error_samples

# Fits and regression


def huber_term(error: Tensor, delta: float) -> Tensor:
    distance = error.abs()
    return error**2 / 2 if bool(distance <= delta) else delta * (distance - delta / 2)


def chinchilla_huber(
    *,
    parameters: Tensor,
    tokens: Tensor,
    final_loss: Tensor,
    a: Tensor,
    b: Tensor,
    e: Tensor,
    alpha: Tensor,
    beta: Tensor,
    delta: float = 1e-3,
) -> Tensor:
    """Sum over runs of Huber's function of log(A / N^alpha + B / D^beta + E) - log(loss)."""
    total = zero_of(a)
    for size, data, reached in zip(parameters, tokens, final_loss, strict=True):
        parts = torch.stack([a - alpha * size.log(), b - beta * data.log(), e])
        total = total + huber_term(torch.logsumexp(parts, dim=0) - reached.log(), delta)
    return total


def chinchilla_samples(generator: Generator) -> list[Sample]:
    """Runs near the law, far from it, one run, and laws where one of the three parts is all there is."""
    paper: Sample = {
        "a": real(math.log(482.01)),
        "b": real(math.log(2085.43)),
        "e": real(math.log(1.8172)),
        "alpha": real(0.3478),
        "beta": real(0.3658),
    }
    parameters = 10 ** (7 + 3 * uniform(generator, 5))
    tokens = 10 ** (9 + 3 * uniform(generator, 5))
    law = 1.8172 + 482.01 / parameters**0.3478 + 2085.43 / tokens**0.3658
    near: Sample = {"parameters": parameters, "tokens": tokens, "final_loss": law * (1 + normal(generator, 5) / 500)}
    far: Sample = {"parameters": parameters, "tokens": tokens, "final_loss": 3 + uniform(generator, 5)}
    one: Sample = {"parameters": real([1e9]), "tokens": real([2e10]), "final_loss": real([2.5])}
    lopsided = paper | {"a": real(60.0), "b": real(-50.0), "e": real(-40.0)}
    random: Sample = {name: normal(generator, 1)[0] for name in ("a", "b", "e", "alpha", "beta")}
    return [
        near | paper,
        far | paper,
        one | paper,
        near | paper | {"delta": 10.0},
        far | lopsided,
        far | random | {"delta": 0.5},
    ]


def pseudo_huber_term(error: Tensor, width: Tensor) -> Tensor:
    """width^2 (sqrt(1 + (error / width)^2) - 1), without its cancellation at small errors."""
    return width * error**2 / (torch.hypot(error, width) + width)


def diffusion_pseudo_huber(
    *, prediction: Tensor, target: Tensor, t: Tensor, c: float = 0.1, steps: int = 1000
) -> Tensor:
    terms: list[Tensor] = []
    for row, wanted, step in zip(prediction, target, t, strict=True):
        width = torch.exp(math.log(c) * step.double() / steps)
        terms.extend(pseudo_huber_term(x - y, width) for x, y in zip(row, wanted, strict=True))
    return torch.stack(terms).mean()


def snr_pseudo_huber(*, prediction: Tensor, target: Tensor, alpha_bar: Tensor, c: float = 0.1) -> Tensor:
    terms: list[Tensor] = []
    for row, wanted, signal in zip(prediction, target, alpha_bar, strict=True):
        noise_to_signal = ((1 - signal) / signal).sqrt()
        width = (1 - c) / (1 + noise_to_signal) ** 2 + c
        terms.extend(pseudo_huber_term(x - y, width) for x, y in zip(row, wanted, strict=True))
    return torch.stack(terms).mean()


def pseudo_huber_smooth_l1(*, prediction: Tensor, target: Tensor, c: float = 0.1) -> Tensor:
    errors = (prediction - target).reshape(-1)
    return torch.stack([2 * error**2 / (torch.hypot(error, real(c)) + c) for error in errors]).mean()


def diffusion_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = [
        sample | {"t": labels(generator, 1000, batch_of(sample))} for sample in error_samples(generator)
    ]
    ends: Sample = samples[2] | {"t": integer([0, 999])}
    return [
        *deal([*samples, ends], {"c": 0.1}, {"c": 1e-3}, {"c": 2.0}),
        samples[0] | {"t": integer([0, 3, 5, 9]), "steps": 10},
    ]


def snr_samples(generator: Generator) -> list[Sample]:
    samples: list[Sample] = [
        sample | {"alpha_bar": 0.001 + 0.998 * uniform(generator, batch_of(sample))}
        for sample in error_samples(generator)
    ]
    ends: Sample = samples[2] | {"alpha_bar": real([1.0, 1e-6])}
    return deal([*samples, ends], {"c": 0.1}, {"c": 1e-3}, {"c": 1.0})


def smooth_l1_samples(generator: Generator) -> list[Sample]:
    cube: Sample = {"prediction": normal(generator, 2, 2, 3), "target": normal(generator, 2, 2, 3)}
    return combine([*error_samples(generator), cube], {"c": 0.1}, {"c": 5.0})


def apre(*, mean: Tensor, raw: Tensor, x: Tensor, alpha: float = 1.0, beta: float = 1.0, eps: float = 1e-5) -> Tensor:
    rows = []
    for centre, before, data in zip(mean, raw, x, strict=True):
        variance = softplus(before) + eps
        rows.append((alpha * (centre - data) ** 2 / variance + beta * variance.log()).sum())
    return torch.stack(rows).mean()


def apre_samples(generator: Generator) -> list[Sample]:
    x = normal(generator, 4, 3)
    samples: list[Sample] = [
        {"mean": normal(generator, 4, 3), "raw": normal(generator, 4, 3, scale=2), "x": x},
        {"mean": x.clone(), "raw": normal(generator, 4, 3), "x": x},
        {"mean": normal(generator, 1, 1), "raw": normal(generator, 1, 1), "x": normal(generator, 1, 1)},
        {"mean": normal(generator, 2, 2), "raw": real([[-40.0, 60.0], [-8.0, 1e4]]), "x": normal(generator, 2, 2)},
        {"mean": 100 * normal(generator, 2, 3), "raw": normal(generator, 2, 3), "x": normal(generator, 2, 3)},
    ]
    return deal(samples, {"alpha": 1.0, "beta": 1.0}, {"alpha": 0.5, "beta": 2.0}, {"alpha": 1.0, "beta": 0.0})


# Predicted scales


def laplace_terms(prediction: Tensor, log_scale: Tensor, target: Tensor, places: list[int]) -> list[Tensor]:
    """|error| / scale + log scale at the places."""
    return [(prediction[i] - target[i]).abs() * torch.exp(-log_scale[i]) + log_scale[i] for i in places]


def laplace_log_scale_nll(*, prediction: Tensor, log_scale: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    places = [i for i, kept in enumerate(valid.tolist()) if kept]
    return mean_or_zero(laplace_terms(prediction, log_scale, target, places), prediction)


def sednet_kl_uncertainty(
    *, prediction: Tensor, log_scale: Tensor, target: Tensor, valid: Tensor, bins: int = 11, k: float = 3.0
) -> Tensor:
    places = [i for i, kept in enumerate(valid.tolist()) if kept]
    if not places:
        return zero_of(prediction) + zero_of(log_scale)
    errors = torch.stack([(prediction[i] - target[i]).abs() for i in places])
    scales = torch.stack([log_scale[i].exp() for i in places])
    centre = errors.mean()
    spread = zero_of(errors)
    if len(places) > 1:
        spread = (((errors - centre) ** 2).sum() / (len(places) - 1)).sqrt()
    inliers = [i for i, e in zip(places, errors, strict=True) if k == 0 or bool((e - centre).abs() < k * spread)]
    if not inliers:
        return torch.stack(laplace_terms(prediction, log_scale, target, places)).mean()
    centres = torch.stack([centre + spread * math.expm1(j * math.log(6) / (bins - 1)) for j in range(bins)])
    of_errors, of_scales = log_histogram(errors, centres), log_histogram(scales, centres)
    divergence = (of_errors.exp() * (of_errors - of_scales)).sum()
    return torch.stack(laplace_terms(prediction, log_scale, target, inliers)).mean() + divergence


def log_histogram(values: Tensor, centres: Tensor) -> Tensor:
    """The logarithm of each bin's share, where a value belongs to bins by a softmax of their nearness."""
    rows = []
    for value in values:
        nearness = 10 * torch.exp(-((centres - value) ** 2) / 5)
        rows.append(nearness - torch.logsumexp(nearness, dim=0))
    return torch.logsumexp(torch.stack(rows), dim=0) - math.log(len(rows))


def scale_samples(generator: Generator) -> list[Sample]:
    """Some pixels invalid (with NaN for a target), one valid, none valid, large errors and tiny scales."""

    def pixels(count: int, valid: list[bool], scale: float = 1.0) -> Sample:
        target = normal(generator, count, scale=5)
        target[~torch.tensor(valid)] = math.nan
        return {
            "prediction": normal(generator, count, scale=5 * scale),
            "log_scale": normal(generator, count),
            "target": target,
            "valid": torch.tensor(valid),
        }

    return [
        pixels(6, [True] * 6),
        pixels(6, [True, False, True, True, False, True]),
        pixels(3, [False, True, False]),
        pixels(2, [False, False]),
        pixels(5, [True] * 5, scale=100),
        pixels(3, [True] * 3) | {"log_scale": real([-20.0, 5.0, 0.0])},
    ]


def sednet_samples(generator: Generator) -> list[Sample]:
    """Also an outlier, which k leaves out, and a k so small that no pixel is an inlier."""
    samples = scale_samples(generator)
    outlying: Sample = {
        "prediction": real([0.1, -0.3, 0.2, 0.25, 40.0, 0.15]),
        "log_scale": normal(generator, 6),
        "target": torch.zeros(6, dtype=torch.float64),
        "valid": torch.ones(6, dtype=torch.bool),
    }
    settings: list[Sample] = [{"bins": 11, "k": 3.0}, {"bins": 5, "k": 0.0}, {"bins": 3, "k": 1.0}]
    return [*deal(samples, *settings), outlying | settings[2], outlying | {"k": 1e-6}]


FITS: list[Oracle] = [
    Oracle(
        "chinchilla_huber",
        chinchilla_huber,
        chinchilla_samples,
        ("a", "b", "e", "alpha", "beta"),
        "Besiroglu et al. 2024; equal to torch.nn.functional.huber_loss with a sum, on log(A/N^alpha + B/D^beta + E).",
    ),
    Oracle(
        "diffusion_pseudo_huber",
        diffusion_pseudo_huber,
        diffusion_samples,
        ("prediction", "target"),
        "Khrapov et al. 2024, exponential schedule over diffusion steps; schedule read in public trainers.",
    ),
    Oracle(
        "snr_pseudo_huber",
        snr_pseudo_huber,
        snr_samples,
        ("prediction", "target"),
        "Khrapov et al. 2024, schedule by signal-to-noise ratio; read in public trainers.",
    ),
    Oracle(
        "pseudo_huber_smooth_l1",
        pseudo_huber_smooth_l1,
        smooth_l1_samples,
        ("prediction", "target"),
        "Khrapov et al. 2024, the trainers' smooth_l1: 2 / c times scipy.special.pseudo_huber.",
    ),
    Oracle(
        "apre",
        apre,
        apre_samples,
        ("mean", "raw"),
        "Tan et al. 2023; twice torch.nn.functional.gaussian_nll_loss summed over features at alpha = beta = 1.",
    ),
    Oracle(
        "laplace_log_scale_nll",
        laplace_log_scale_nll,
        scale_samples,
        ("prediction", "log_scale"),
        "Chen et al. 2023 after Kendall and Gal 2017; equal to scipy.stats.laplace less log 2.",
    ),
    Oracle(
        "sednet_kl_uncertainty",
        sednet_kl_uncertainty,
        sednet_samples,
        ("prediction", "log_scale"),
        "Chen et al. 2023; read in the authors' code: logarithmic bins, inliers by standard deviations, one scale.",
    ),
]
