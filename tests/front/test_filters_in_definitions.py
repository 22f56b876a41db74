"""What a filter on a definition means where it brings an axis, or has those of one argument only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossdsl.check import check_file
from lossdsl.reference import reference

PROGRAMS = check_file(Path(__file__).parent.parent / "good" / "language" / "filters_in_definitions.loss").programs
X = np.array([1.0, 4.0, -2.0, 0.5, 3.0, 7.0])
Y = np.array([0.0, 1.0, 5.0, -1.0, 2.0, 2.0])
BAG = np.array([0, 1, 0, 3, 1, 0])
WEIGHT = np.array([1.0, 2.0, 100.0, 0.5])
"""Bag 2 is empty, and bag 3 has one member."""


def within_bags(function: object) -> float:
    chosen = [np.equal(BAG, g) for g in range(4)]
    each = [function(X[c], Y[c]) if c.any() else 0.0 for c in chosen]  # type: ignore[operator]
    return float(np.mean(WEIGHT * each))


def test_variance_within_bags() -> None:
    found = reference(PROGRAMS["within_bags"], {"x": X, "bag": BAG, "weight": WEIGHT}).value
    assert found == pytest.approx(within_bags(lambda x, _: x.var()), rel=1e-12)


def test_covariance_within_bags() -> None:
    given = {"x": X, "y": Y, "bag": BAG, "weight": WEIGHT}
    right = within_bags(lambda x, y: ((x - x.mean()) * (y - y.mean())).mean())
    assert reference(PROGRAMS["correlated_within_bags"], given).value == pytest.approx(right, rel=1e-12)


def test_products_over_the_places_of_one_side() -> None:
    x, y = X.reshape(2, 3), Y.reshape(2, 3)[::-1]
    valid = np.array([[True, False, True], [False, False, True]])
    found = reference(PROGRAMS["allowed_pairs"], {"x": x, "y": y, "valid": valid}).value
    assert found == pytest.approx(((x * valid) @ y.T).mean(), rel=1e-12)
