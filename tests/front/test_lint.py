"""Warnings that are not given: of differences that are in order, and of axes that are long."""

from __future__ import annotations

import pytest

from lossdsl.check import check_text

SOUND = {
    "a range puts two inputs in order": """
      input x: real[B]
      frozen low: real[B]
      frozen high: real[B] where high > low
      minimize mean[B](x / (high - low))
    """,
    "a condition puts a count above one": """
      input x: real[B]
      frozen valid: bool[B]
      n = count[B](valid)
      mu = mean[B where valid else 0](x)
      minimize if n > 1 then sum[B where valid]((x - mu)^2) / (n - 1) else 0
    """,
    "an axis from a hyper with a range is long": """
      input x: real[B]
      hyper bins: int = 5 where bins >= 2
      axis J in 0..bins - 1
      minimize mean[B](sum[J](softmax[J](-(x - J)^2)^2))
    """,
    "the largest is subtracted before one is picked": """
      input x: real[B, C]
      input y: index(C)[B]
      hyper tau: real = 1 where tau > 0
      u = exp((x - max[C](x)) / tau)
      minimize mean[B](u[C = y])
    """,
    "the logarithm of a mixture is subtracted, with a share of what is left": """
      input x: real[B]
      frozen other: real[B]
      hyper share: real = 0.1 where 0 < share <= 1
      minimize mean[B](exp(x - stop(log(share * exp(x) + (1 - share) * exp(other)))))
    """,
    "a filter asks for a neighbour before the count of them divides": """
      input z: real[B]
      frozen label: int[B]
      axis P like B
      alike = label == label[B -> P] and P != B
      near = sum[P where alike](z * z[B -> P])
      minimize mean[B where any[P](alike) else 0](near / count[P](alike))
    """,
    "a share is at most one": """
      input a: real[B] where a >= 0
      input b: real[B] where b >= 1
      minimize mean[B]((1.5 - a / (a + b))^0.5)
    """,
    "a cosine is at most one": """
      input x: real[B, D]
      input y: real[B, D]
      minimize mean[B](sqrt(1.001 - cosine[D](x, y)))
    """,
    "a filter leaves out the places where a softmax is rounded to 0": """
      input x: real[B, C] where |C| >= 2
      p = softmax[C](x)
      minimize mean[B](sum[C where p > 0](p * log(p)))
    """,
}
DOUBTFUL = {
    "W0505": """
      input x: real[B, C]
      input y: index(C)[B]
      minimize mean[B](exp(max[C](x) - x[C = y]))
    """,
    "W0502": """
      input x: real[B]
      frozen low: real[B]
      frozen high: real[B] where high >= low
      minimize mean[B](x / (high - low))
    """,
    "W0507": """
      input x: real[B, D]
      input y: real[B, D]
      minimize mean[B](acos(cosine[D](x, y)))
    """,
    "W0510": """
      input x: real[B]
      hyper bins: int = 5 where bins >= 1
      axis J in 0..bins - 1
      minimize mean[B](sum[J](softmax[J](-(x - J)^2)^2))
    """,
}


@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_nothing_is_said_of(body: str) -> None:
    assert check_text(f"loss sound {{ {body} }}").diagnostics == []


@pytest.mark.parametrize("code", DOUBTFUL)
def test_something_is_said_where_the_ends_may_meet(code: str) -> None:
    assert [d.code for d in check_text(f"loss doubtful {{ {DOUBTFUL[code]} }}").diagnostics] == [code]
