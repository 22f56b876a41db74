"""Naive formulas give the right value and gradient wherever these are finite, also inside larger ones."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

import lossdsl

from .exactness import PLACES, Difference, Exact, Scaled, compiled, differences, exact, run
from .rows import ROWS, Row
from .variations import VARIATIONS

HALF = (
    "log one plus exp",
    "log sigmoid",
    "log of one minus sigmoid",
    "log softmax",
    "binary cross-entropy",
    "focal",
    "focal, exponent below one",
    "unit vector",
    "log mean exp",
    "Poly-1",
)
"""The rows that are tried in half precision too."""

KNOWN_LIMITS = {
    "cross-entropy of a soft target": "torch's log_softmax near 0 is exact to one rounding of 1 only",
}
"""Variations that are not computed to full accuracy yet, and why."""

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)


@every_row
def test_as_it_is_written(row: Row) -> None:
    known = exact(row)
    assert_right(known, differences(known, *run_text(row.text, known)))


@every_row
def test_inside_a_larger_formula(row: Row) -> None:
    known = exact(row)
    # The term that is added has the sign of the rest: what the sum itself cancels is nobody's fault.
    signs = np.array([-1.0 if x > 0 else 1.0 for x in known.value])
    added = signs * (1 + np.arange(len(signs))) / 8
    declared = row.text.replace("loss row {", "loss row {\n  input added: real[B]")
    text = declared.replace(f"sum[B]({row.formula})", f"sum[B](added - 3 * ({row.formula}))")
    loss = compiled(text)
    tensors = {"added": torch.tensor(added, dtype=torch.float32), **known.tensors()}
    value, gradients = run(lambda leaves: loss(**leaves), tensors)
    assert_right(known, differences(known, value, gradients, Scaled(-3.0, added)))


@every_row
def test_under_a_mean(row: Row) -> None:
    """Value and gradients come from one function then, in which the gradients are simplified for the mean."""
    known = exact(row)
    loss = lossdsl.compile(row.text.replace("minimize sum", "minimize mean"), name="row", backend="eager")
    _, gradients = run(lambda leaves: loss(**leaves), known.tensors())
    scaled = {name: g * PLACES for name, g in gradients.items()}
    assert_right(known, differences(known, None, scaled))


@every_row
def test_through_a_definition(row: Row) -> None:
    known = exact(row)
    assert_right(known, differences(known, *run_text(through_definition(row), known)))


@every_row
def test_with_axes_of_other_names(row: Row) -> None:
    known = exact(row)
    renamed = {"B": "Item", "C": "Kind", "D": "Feature"}
    text = re.sub(r"\b[BCD]\b", lambda m: renamed[m.group()], row.text)
    assert_right(known, differences(known, *run_text(text, known)))


@pytest.mark.parametrize("row", VARIATIONS, ids=lambda r: r.name)
def test_in_other_words(row: Row, request: pytest.FixtureRequest) -> None:
    if row.name in KNOWN_LIMITS:
        request.applymarker(pytest.mark.xfail(reason=KNOWN_LIMITS[row.name]))
    known = exact(row)
    assert_right(known, differences(known, *run_text(row.text, known)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("row", [r for r in ROWS if r.name in HALF], ids=lambda r: r.name)
def test_in_half_precision(row: Row, dtype: torch.dtype) -> None:
    known = exact(row, dtype)
    assert_right(known, differences(known, *run_text(row.text, known)))


def run_text(text: str, known: Exact) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    loss = compiled(text)
    return run(lambda leaves: loss(**leaves), known.tensors())


def assert_right(known: Exact, found: list[Difference]) -> None:
    shown = "\n".join(f"  {d}" for d in found[:6])
    assert not found, f"{known.row.name}: {known.row.formula}: {len(found)} places\n{shown}"


def through_definition(row: Row) -> str:
    """The row with its formula in a definition, under other names."""
    hypers = re.findall(r"hyper (\w+)", row.before)
    names = [*row.inputs, *hypers]
    inner = {name: f"given_{name}" for name in names}
    axes = [a for a in ("C", "D") if f"[{a}" in row.formula]
    body = re.sub(r"\b\w+\b", lambda m: {**inner, "C": "K", "D": "L"}.get(m.group(), m.group()), row.formula)
    inside = f"[{', '.join({'C': 'K', 'D': 'L'}[a] for a in axes)}]" if axes else ""
    outside = f"[{', '.join(axes)}]" if axes else ""
    call = f"mine{outside}({', '.join(names)})"
    definition = f"def mine{inside}({', '.join(inner.values())}) = {body}\n"
    return definition + row.text.replace(f"sum[B]({row.formula})", f"sum[B]({call})")


def test_every_row_that_is_named_exists() -> None:
    assert set(HALF) <= {row.name for row in ROWS}
    assert set(KNOWN_LIMITS) <= {row.name for row in VARIATIONS}


def test_a_log_softmax_under_a_filter_never_adds_the_largest_score() -> None:
    """Scores of 1000 that are alike: a sum with their logsumexp would keep the digits of 1000 alone."""
    text = """
loss row {
  input s: real[B, P]
  input kept: bool[B, P]
  minimize mean[B, P where kept else 0](logsumexp[P where kept else 0](s) - s)
}
"""
    scores = torch.full((1, 8), 1000.0)
    kept = torch.tensor([[True, True, True, False, False, False, False, False]])
    for leaf in (scores, scores.clone().requires_grad_()):
        value = lossdsl.compile(text, name="row", backend="eager")(leaf, kept)
        assert abs(value.item() - math.log(3)) < 1e-6
