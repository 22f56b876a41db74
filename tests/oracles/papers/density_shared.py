"""What the oracles of this group share."""

import torch
from torch import Generator, Tensor

from ..oracle import Sample
from ..sampling import normal, real

# Fits and regression


def error_samples(generator: Generator) -> list[Sample]:
    """Pairs of [B, D]: ordinary, equal, tiny and huge errors, and a single place."""
    target = normal(generator, 4, 3)
    sizes = real([[1e-8, -1e-4, 1e-2], [0.5, -2.0, 1e4]])
    return [
        {"prediction": normal(generator, 4, 3, scale=2), "target": target},
        {"prediction": target.clone(), "target": target},
        {"prediction": sizes, "target": torch.zeros_like(sizes)},
        {"prediction": normal(generator, 1, 1), "target": normal(generator, 1, 1)},
        {"prediction": normal(generator, 3, 2, scale=50), "target": normal(generator, 3, 2)},
    ]


def batch_of(sample: Sample) -> int:
    leading = next(value for value in sample.values() if isinstance(value, Tensor))
    return leading.shape[0]


# Dirichlet distributions


def without(row: Tensor, label: int) -> Tensor:
    return torch.cat([row[:label], row[label + 1 :]])


# Bayesian flow networks


def per_place(weights: Tensor, squares: Tensor) -> Tensor:
    """The mean of the rows of squares, each row with its weight."""
    return torch.stack([(weight * row).mean() for weight, row in zip(weights, squares, strict=True)]).mean()
