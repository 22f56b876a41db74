"""A loss means the same called by another as by itself, whatever axes its caller has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossdsl.check import check_file
from lossdsl.reference import reference

PROGRAMS = check_file(Path(__file__).parent.parent / "good" / "language" / "called_with_copies.loss").programs
Z = np.array([[1.0, 2.0, 0.5], [-1.0, 0.0, 3.0], [0.25, 1.0, -2.0], [4.0, -0.5, 1.0]])
KEY = Z[::-1] * [1.0, 2.0, -1.0]
X, NEAR = Z[:, 0], Z[:, 1]

CALLS = {
    "of_itself": ({"z": Z}, "distances", {"x": Z, "y": Z}, 1),
    "along_a_copy": ({"z": Z}, "pairs", {"z": Z, "key": Z}, 2),
    "along_the_axis": ({"z": Z, "key": KEY}, "pairs", {"z": Z, "key": KEY}, 2),
    "weighted_along_a_copy": ({"x": X, "w": Z @ KEY.T}, "weighted_pairs", {"x": X, "y": X, "w": Z @ KEY.T}, 1),
    "weighted_along_one_axis": ({"x": X, "near": NEAR}, "weighted", {"x": X, "y": X, "near": NEAR}, 1),
}


@pytest.mark.parametrize("name", CALLS)
def test_called_loss_is_the_loss_itself(name: str) -> None:
    inputs, own, own_inputs, times = CALLS[name]
    called = reference(PROGRAMS[name], inputs).value
    assert called == pytest.approx(times * float(reference(PROGRAMS[own], own_inputs).value), rel=1e-12)


def test_declared_copies_agree_wherever_they_stand() -> None:
    early, late = (reference(PROGRAMS[n], {"z": Z, "key": KEY}).value for n in ("pairs", "pairs_declared_late"))
    assert early == late == pytest.approx((Z @ KEY.T)[~np.eye(4, dtype=bool)].sum() / 16, rel=1e-12)


def test_distances_are_those_of_all_pairs() -> None:
    right = np.sqrt(((Z[:, None] - Z[None]) ** 2).sum(-1)).mean()
    assert reference(PROGRAMS["of_itself"], {"z": Z}).value == pytest.approx(right, rel=1e-12)
