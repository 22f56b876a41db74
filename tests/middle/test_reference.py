"""The meaning of texts: what the reference says against numbers worked out by hand or in plain loops."""

import math
from collections.abc import Mapping
from typing import Any

import mpmath
import numpy as np
import pytest

from lossdsl.check import check_text
from lossdsl.program import Program
from lossdsl.reference import reference

NAN, INF = math.nan, math.inf


def program(text: str) -> Program:
    checked = check_text(text if text.lstrip().startswith("loss") else f"loss t {{ {text} }}")
    assert checked.ok, [(d.code, d.message) for d in checked.diagnostics]
    return next(iter(checked.programs.values()))


def value(text: str, inputs: Mapping[str, Any], **rest: Any) -> Any:
    return reference(program(text), inputs, **rest).value


X = [[1.0, 2.0, 4.0], [0.5, -1.0, 3.0]]
"""A small real[B, C]."""

# An expression in `input x: real[B, C]`, and its value for X.
MEANINGS = {
    # reductions and filters
    "sum[B, C](x)": 9.5,
    "sum[B](sum[C](x)^2)": 49 + 6.25,
    "sum[C](prod[B](x))": 0.5 - 2 + 12,
    "sum[B](max[C](x)) - sum[C](min[B](x))": 7 - 2.5,
    "sum[B, C where x > 1](x)": 9,
    "mean[B, C where x > 1 else 0](x)": 3,
    "mean[B, C where x > 100 else 7](x)": 7,
    "sum[B](mean[C where x < 0 else -1](x))": -2,
    "sum[B](max[C where x < 0 else -5](x))": -6,
    "sum[B, C where x > 100](x)": 0,
    "prod[B, C where x > 100](x)": 1,
    "sum[B](if any[C](x < 0) then 1 else 10)": 11,
    "sum[B](if all[C](x > 0) then 1 else 10)": 11,
    "sum[B](count[C](x >= 1))": 4,
    "sum[B](argmax[C](x)) + 10 * sum[B](argmin[C](x))": 4 + 10 * 1,
    "sum[B](argmax[C where C < 2 else 0](x))": 1,
    "argmax[B, C](-x)": 4,
    "sum[B](logsumexp[C](x))": sum(math.log(sum(map(math.exp, row))) for row in X),
    "sum[B, C](1)": 6,
    "sum[B](1) * 10 + sum[C](1)": 23,
    "sum[B, C](x > 1)": 3,
    "mean[B](mean[C](x > 1))": 0.5,
    # moments
    "sum[B](var[C](x))": np.var(X, axis=1).sum(),
    "sum[B](var[C](x, ddof = 1))": np.var(X, axis=1, ddof=1).sum(),
    "sum[B](std[C](x))": np.std(X, axis=1).sum(),
    "sum[B](quantile[C](x, 0.3))": np.quantile(X, 0.3, axis=1).sum(),
    "sum[B](median[C](x))": 2.5,
    "sum[B](quantile[C where x > 0 else 0](x, 0.5))": 2 + 1.75,
    # axes
    "|B| * 10 + |C|": 23,
    "sum[B, C](x * (C + 10 * B))": 2 + 8 + 5 - 11 + 36,
    "sum[B, C where C - B == 1](x)": 5,
    "sum[B](x[C = 1])": 1,
    "sum[C where C < |C| - 1](sum[B](x[C = C + 1]))": 8,
    "sum[C where C > 0](sum[B](x * x[C = C - 1]))": 2 + 8 - 0.5 - 3,
    "sum[B](x[C = floor(B)])": 0,
    "sum[B](x[C = floor(B)][B = 1 - B] * (B + 1))": -1 + 2,
    # order
    "sum[B, C](sort[C](x) * 10^C)": 421 + 300 + 5 - 1,
    "sum[B, C](sort[C](x, descending = true) * 10^C)": 124 - 100 + 5 + 3,
    "sum[B, C](rank[C](x) * 10^C)": 210 + 201,
    "sum[B, C](argsort[C](x) * 10^C)": 210 + 201,
    "sum[B, C](cumsum[C](x) * 10^C)": 731 + 250 - 5 + 0.5,
    "sum[B, C](cumsum[C](x, reverse = true) * 10^C)": 467 + 300 + 20 + 2.5,
    "sum[B, C where topk[C](x, 2)](x)": 9.5,
    "sum[B, C where topk[C where x < 3](x, 1)](x)": 2.5,
    "sum[C](rank[B, C](x)[B = 1] * 10^C)": 401,
    # selection
    "sum[B, C](if x > 0 then log(x) else 0)": math.log(12),
    "sum[B, C](if x > 0 and C > 0 or B == 1 then x else 100)": 108.5,
    "sum[B, C](relu(x) + sign(x) * floor(x / 3))": 10.5 + 2 + 1,
    # numbers
    "sum[B, C](0 * x + pi)": 6 * math.pi,
    "max[B, C](mod(x, 3))": 2,
    "step + linear_ramp(10)": 5.5,
}


@pytest.mark.parametrize("precision", [None, 40])
@pytest.mark.parametrize("text", MEANINGS)
def test_meaning(text: str, precision: int | None) -> None:
    loss = program(f"input x: real[B, C] metric m = {text} minimize sum[B, C](x)")
    found = reference(loss, {"x": X}, step=5, precision=precision).metrics["m"]
    assert math.isclose(found, MEANINGS[text], rel_tol=1e-14)


def test_a_pick_outside_of_its_axis_has_no_value_and_hurts_only_where_it_counts() -> None:
    text = "input x: real[B, C] input t: index(C)[B] or -100 minimize "
    inputs = {"x": X, "t": [2, -100]}
    assert value(text + "sum[B where t != -100](x[C = t])", inputs) == 4
    assert value(text + "sum[B](if t != -100 then x[C = t] else 0)", inputs) == 4
    assert value(text + "mean[B where t != -100 else 5](x[C = t])", inputs | {"t": [-100, -100]}) == 5
    seen = value("input x: real[B, C] input t: index(C)[B] minimize sum[B](x[C = t])", {"x": X, "t": [0, 3]})
    assert math.isnan(seen)


def test_excluded_nan_and_infinity_never_count() -> None:
    text = "input x: real[B, C] minimize "
    inputs = {"x": [[1.0, NAN, 4.0], [INF, -INF, 3.0]]}
    mask = "C == 2 or B + C == 0"
    assert value(text + f"sum[B, C where {mask}](x)", inputs) == 8
    assert value(text + f"mean[B, C where {mask} else 0](exp(x))", inputs) == pytest.approx(
        (math.e + math.e**4 + math.e**3) / 3
    )
    assert value(text + f"sum[B, C](if {mask} then x * x else 0)", inputs) == 26
    assert value(text + f"sum[B](max[C where {mask} else 0](x))", inputs) == 7
    assert value(text + f"sum[B](sort[C where {mask}](x)[C = 0])", inputs) == 1 + 3
    assert math.isnan(value(text + "sum[B, C](x)", inputs))
    assert value(text + "max[B, C where C != 1 else 0](x)", inputs) == INF


def test_empty_axes() -> None:
    empty = {"x": np.zeros((0, 3))}
    text = "input x: real[B, C] minimize "
    assert value(text + "sum[B, C](x)", empty) == 0
    assert value(text + "sum[C](prod[B](x))", empty) == 3
    assert value(text + "sum[B](max[C](x))", empty) == 0
    assert math.isnan(value(text + "mean[B, C](x)", empty))
    assert math.isnan(value(text + "max[B, C](x)", empty))
    assert value(text + "mean[B, C where x > 0 else 3](x)", empty) == 3
    no_classes = {"x": np.zeros((2, 0)), "t": [0, 0]}
    pick = "input x: real[B, C] input t: index(C)[B] minimize sum[B where B > 5](x[C = t])"
    assert value(pick, no_classes) == 0


def test_segments() -> None:
    text = """input x: real[B] input bag: index(G)[B] input share: real[G]
      m = mean[B where bag == G else 0](x)
      minimize sum[G](share * m) + 100 * sum[G](sum[B where bag == G](x))"""
    inputs = {"x": [1.0, 2.0, 5.0], "bag": [2, 0, 2], "share": [1.0, 10.0, 100.0]}
    assert value(text, inputs) == 2 + 300 + 800


def test_ranges_count_from_their_first_number() -> None:
    text = "hyper N: int = 3 where N >= 1 axis J in 2..N hyper w: real[J] = 1 / J input x: real[B] minimize "
    given = {"x": [2.0, 10.0]}
    assert value(text + "sum[B](sum[J](w * x^J))", given) == pytest.approx(2 + 8 / 3 + 50 + 1000 / 3)
    assert value(text + "sum[J](w * J) + |J| + sum[B](x)", given, hypers={"N": 5}) == pytest.approx(4 + 4 + 12)
    assert value(text + "w[J = 3] + sum[B](x)", given, hypers={"w": [7.0, 9.0]}) == 21
    assert value(text + "argmax[J](w) + sum[B](x)", given, hypers={"w": [7.0, 9.0]}) == 15
    assert value(text + "sum[J](sort[J](w) * J) + sum[B](x)", given, hypers={"w": [9.0, 7.0]}) == 14 + 27 + 12
    with pytest.raises(ValueError, match="`w` has 3 along `J`, but its range has 2"):
        value(text + "sum[J](w) + sum[B](x)", given, hypers={"w": [1, 2, 3]})


def test_copies_of_an_axis() -> None:
    text = "input z: real[B, D] axis P like B minimize "
    z = [[0.0, 1.0], [3.0, 5.0], [1.0, 1.0]]
    pairs = [(math.dist(a, b), i, j) for i, a in enumerate(z) for j, b in enumerate(z)]
    everything = value(text + "sum[B, P](euclid[D](z, z[B -> P]))", {"z": z})
    assert everything == pytest.approx(sum(d for d, _, _ in pairs))
    causal = value(text + "sum[B, P where P <= B - 1](euclid[D](z, z[B -> P]) * (10 * B + P))", {"z": z})
    assert causal == pytest.approx(sum(d * (10 * i + j) for d, i, j in pairs if j < i))
    self_products = value(
        "input z: real[B, D] axis P like B s = dot[D](z, z[B -> P]) minimize sum[B](s[P = B])", {"z": z}
    )
    assert self_products == 1 + 34 + 2


def test_packs_are_one_axis() -> None:
    text = "input x: real[*B, C] input t: index(C)[*B] minimize sum[B](x[C = t] * (B + 1))"
    x, t = np.arange(24.0).reshape(2, 4, 3), np.array([[0, 1, 2, 0], [2, 1, 0, 0]])
    expected = sum((b + 1) * x.reshape(8, 3)[b, k] for b, k in enumerate(t.reshape(8)))
    assert value(text, {"x": x, "t": t}) == expected
    assert value(text, {"x": x.reshape(8, 3), "t": t.reshape(8)}) == expected
    with pytest.raises(ValueError, match="`t` has 4 x 2 along `B`, but `x` has 2 x 4"):
        value(text, {"x": x, "t": t.T})


def test_sizes_must_agree() -> None:
    text = "input x: real[B, C] input y: real[B] minimize sum[B](y * sum[C](x))"
    with pytest.raises(ValueError, match="`y` has 3 along `B`, but `x` has 2"):
        value(text, {"x": X, "y": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"`x` is `real\[B, C\]`, but its value has the shape \(3,\)"):
        value(text, {"x": X[0], "y": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"`y` is missing: it is `real\[B\]`"):
        value(text, {"x": X})
    with pytest.raises(ValueError, match="`t` has no `z` among its inputs; there are: `x`, `y`"):
        value(text, {"x": X, "y": [1, 2], "z": 1})
    with pytest.raises(ValueError, match="`k` is one `int`, but its value holds numbers that are not whole"):
        value("input x: real[B] hyper k: int = 1 minimize k * sum[B](x)", {"x": [1.0]}, hypers={"k": 1.5})


def test_hypers() -> None:
    text = """input x: real[B] hyper a: real = 2 hyper b: real = a + 1 hyper q: real[K] = [0.1, 0.5]
      minimize sum[B](a * x) + 10 * b + 100 * sum[K](q * (K + 1))"""
    given = {"x": [1.0, 2.0]}
    assert value(text, given) == pytest.approx(6 + 30 + 110)
    assert value(text, given, hypers={"a": 3}) == pytest.approx(9 + 40 + 110)
    assert value(text, given, hypers={"b": 0}) == pytest.approx(6 + 110)
    assert value(text, given, hypers={"q": [1, 1, 1]}) == pytest.approx(6 + 30 + 600)


def test_state_is_read_before_and_updated_after() -> None:
    loss = program("""input x: real[B, E] state load: real[E] = 1 / |E|
      now = load / 2 + mean[B](x) update load = now minimize sum[E](load * now) metric first = now[E = 0]""")
    first = reference(loss, {"x": [[2.0, 4.0]]})
    assert first.value == 0.5 * (2.25 + 4.25)
    assert first.metrics == {"first": 2.25}
    assert first.updates["load"].tolist() == [2.25, 4.25]
    second = reference(loss, {"x": [[0.0, 0.0]]}, state=first.updates)
    assert second.updates["load"].tolist() == [1.125, 2.125]
    scalar = program("input x: real[B] state m: real[B] = 0 update m = mean[B](x) minimize sum[B](m * x)")
    assert reference(scalar, {"x": [1.0, 3.0]}).updates["m"].tolist() == [2, 2]


def test_draws_are_data() -> None:
    text = "input x: real[B] random u: real[B] ~ uniform(0, 1) minimize sum[B where u < 0.5](x)"
    assert value(text, {"x": [1.0, 2.0]}, draws={"u": [0.2, 0.7]}) == 1
    with pytest.raises(ValueError, match="`u` is random: give its draws"):
        value(text, {"x": [1.0, 2.0]})


def test_learned_values_have_defaults() -> None:
    text = "input x: real[B] learn t: real = log(10) minimize exp(t) * sum[B](x)"
    assert value(text, {"x": [1.0, 2.0]}) == pytest.approx(30)
    assert value(text, {"x": [1.0, 2.0], "t": 0}) == 3
    assert mpmath.almosteq(value(text, {"x": [3.0]}, precision=50), 30, rel_eps=mpmath.mpf("1e-45"))


def test_terms_and_metrics() -> None:
    loss = program("input x: real[B] term a = sum[B](x) term b = a^2 metric c = mean[B](x > 1) minimize a + 3 * b")
    result = reference(loss, {"x": [1.0, 2.0]})
    assert (result.value, result.terms, result.metrics) == (30, {"a": 3, "b": 9}, {"c": 0.5})


def test_what_overflows_is_worked_out_exactly() -> None:
    text = "input x: real[B, C] minimize sum[B](log_softmax[C](x)[C = 0] + log(sum[C](exp(x))))"
    assert value(text, {"x": [[-1e4, 1e4], [1e4, 0.0]]}) == 0
    assert value("input x: real[B] minimize sum[B](log(1 + exp(x)))", {"x": [1e4, -1e4]}) == 1e4
    assert value("input x: real[B] minimize sum[B](log(exp(exp(x) / exp(x))))", {"x": [1e300]}) != 0
    masked = {"x": [[-INF, 1.0, 2.0]]}
    assert value("input x: real[B, C] minimize sum[B](logsumexp[C](x))", masked) == pytest.approx(
        2 + math.log1p(math.exp(-1))
    )


def test_exact_precision_finds_digits_enough() -> None:
    text = "input x: real[B] minimize sum[B](log(1 - sigmoid(x)) + x)"
    found = value(text, {"x": [600.0]}, precision="exact")
    with mpmath.workdps(300):
        assert mpmath.almosteq(found, -mpmath.exp(-600), rel_eps=1e-20)


def test_tensors_of_any_kind() -> None:
    import torch

    text = "input x: real[B, C] input t: index(C)[B] minimize sum[B](x[C = t])"
    x = torch.tensor(X, dtype=torch.bfloat16, requires_grad=True)
    assert value(text, {"x": x, "t": torch.tensor([2, 0], dtype=torch.int32)}) == 4.5
    assert value(text, {"x": torch.zeros(0, 3), "t": torch.zeros(0, dtype=torch.long)}) == 0
    labels = "input x: real[B] input y: int[B] axis P like B minimize sum[B](x * sum[P where y == y[B -> P]](1))"
    assert value(labels, {"x": [1.0, 2.0], "y": [2**60, 2**60 + 1]}) == 3
