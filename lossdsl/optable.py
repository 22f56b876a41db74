"""The op table: one row for each operation.

Partial derivatives are text of the language in x, y and z, the arguments by position. What can be written with
these operations (softmax, norm, sort, huber...) is a line of the prelude instead. Rows with `visible=False` are
stable forms that rewrites make out of naive ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from lossdsl import meanings, ranges
from lossdsl.graph import BOOL, INT, REAL, Axis, Node, union
from lossdsl.lengths import dot_range
from lossdsl.multilinear import multilinear_range
from lossdsl.ops import Leaf, Op, Over, Type, arithmetic, index_range, same
from lossdsl.quadratic import quadratic_range
from lossdsl.ranges import BOOLS, NATURALS, NONNEGATIVE, POSITIVE, REALS, UNIT, Interval, always, rising
from lossdsl.shares import share_range

OPEN_UNIT = Interval(0.0, 1.0, True, True)
SIGNED_UNIT = Interval(-1.0, 1.0)


# Leaves and structure


def _leaf(_arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    leaf: Leaf = attributes[0]
    return union((leaf.axes,)), leaf.kind, leaf.range


def _constant(_arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    value, kind = attributes
    return (), kind, REALS if value != value else ranges.point(_float(value))


def _float(value: Fraction | float | bool) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _index(_arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    axis: Axis = attributes[0]
    return (axis,), INT, index_range(axis)


def _size(_arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    del attributes
    return (), INT, Interval(1.0)


def _rename(arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    swap = dict(attributes)
    x = arguments[0]
    return union((tuple(swap.get(a, a) for a in x.axes),)), x.kind, x.range


def _expand(arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    x = arguments[0]
    return union((x.axes, attributes)), x.kind, x.range


def _pick(arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    x, index = arguments
    kept = tuple(a for a in x.axes if a is not attributes[0])
    return union((kept, index.axes)), x.kind, x.range


def _first_type(arguments: Sequence[Node], _attributes: Sequence[Any]) -> Type:
    x = arguments[0]
    return union(a.axes for a in arguments), x.kind, x.range


_STRUCTURE = (
    Op(name="leaf", family="leaf", arity=0, typed=_leaf, visible=False),
    Op(name="constant", family="leaf", arity=0, typed=_constant, visible=False),
    Op(name="index", family="leaf", arity=0, typed=_index, visible=False),
    Op(name="size", family="leaf", arity=0, typed=_size, visible=False),
    Op(name="rename", family="structure", typed=_rename, visible=False),
    Op(name="expand", family="structure", takes=("any",), typed=_expand, visible=False),
    Op(name="pick", family="structure", arity=2, typed=_pick, visible=False),
    Op(name="stop", family="structure", takes=("any",), typed=_first_type, step=True, latex=r"\operatorname{{sg}}({x})"),
    Op(name="outer", family="structure", takes=("any",), typed=_first_type, latex="{x}"),
    Op(name="scale_gradient", family="structure", arity=2, typed=_first_type, latex=r"\operatorname{{grl}}_{{{y}}}({x})"),
)


# Arithmetic


def _sum_range(*intervals: Interval) -> Interval:
    total = intervals[0]
    for interval in intervals[1:]:
        total = ranges.add(total, interval)
    return total


def _product_range(*intervals: Interval) -> Interval:
    total = intervals[0]
    for interval in intervals[1:]:
        total = ranges.multiply(total, interval)
    return total


def _add(arguments: Sequence[Node], _attributes: Sequence[Any]) -> Type:
    """A sum; where values recur in it, its range is narrower than that of its terms taken alone."""
    interval = _sum_range(*(a.range for a in arguments))
    narrow = multilinear_range(arguments) or quadratic_range(arguments)
    if narrow is not None and not narrow.meet(interval).empty:
        interval = narrow.meet(interval)
    return union(a.axes for a in arguments), arithmetic(arguments), interval


def _mul(arguments: Sequence[Node], _attributes: Sequence[Any]) -> Type:
    """A product; where it is a part divided by its whole, its range is narrower than that of its factors taken alone."""
    interval = _product_range(*(a.range for a in arguments))
    narrow = share_range(arguments)
    if narrow is not None and not narrow.meet(interval).empty:
        interval = narrow.meet(interval)
    return union(a.axes for a in arguments), arithmetic(arguments), interval


def _pow_kind(arguments: Sequence[Node]) -> str:
    base, exponent = arguments
    whole = exponent.kind == INT and exponent.range.nonnegative
    return INT if whole and base.kind != REAL else REAL


def _maximum_range(x: Interval, y: Interval) -> Interval:
    low, low_open = max((x.low, x.low_open), (y.low, y.low_open))
    return Interval(low, x.join(y).high, low_open, x.join(y).high_open)


def _minimum_range(x: Interval, y: Interval) -> Interval:
    return ranges.negate(_maximum_range(ranges.negate(x), ranges.negate(y)))


_ARITHMETIC = (
    Op(name="add", family="elementwise", arity=None, takes=("any",), gives=arithmetic, image=_sum_range, typed=_add, commutative=True,
       numpy=meanings.fold(lambda np, x, y: x + y), mpmath=lambda mp, *v: mp.fsum(v), sympy="Add", visible=False),
    Op(name="mul", family="elementwise", arity=None, takes=("any",), gives=arithmetic, image=_product_range, typed=_mul, commutative=True,
       numpy=meanings.fold(lambda np, x, y: x * y), mpmath=lambda mp, *v: mp.fprod(v), sympy="Mul", visible=False),
    Op(name="pow", family="elementwise", arity=2, takes=("number",), gives=_pow_kind, image=ranges.power,
       domain=(POSITIVE, REALS), numpy=lambda np, x, y: np.power(x * 1.0, y * 1.0), mpmath=meanings.power,
       partials=("if y != 0 then y * x^(y - 1) else 0", "if x != 0 then x^y * log(x) else 0"), sympy="Pow", visible=False),
    Op(name="maximum", family="elementwise", arity=2, takes=("number",), gives=same, image=_maximum_range, commutative=True,
       numpy=lambda np, x, y: np.maximum(x, y), mpmath=meanings.largest,
       partials=("if x >= y then (if x == y then 1/2 else 1) else 0", "if y >= x then (if x == y then 1/2 else 1) else 0"),
       latex=r"\max({x}, {y})", sympy="Max"),
    Op(name="minimum", family="elementwise", arity=2, takes=("number",), gives=same, image=_minimum_range, commutative=True,
       numpy=lambda np, x, y: np.minimum(x, y), mpmath=meanings.smallest,
       partials=("if x <= y then (if x == y then 1/2 else 1) else 0", "if y <= x then (if x == y then 1/2 else 1) else 0"),
       latex=r"\min({x}, {y})", sympy="Min"),
    Op(name="mod", family="elementwise", arity=2, takes=("number",), gives=same, domain=(REALS, POSITIVE),
       image=lambda x, y: Interval(0.0, y.high, False, True) if y.positive else REALS,
       numpy=lambda np, x, y: np.mod(x, y), mpmath=lambda mp, x, y: x - y * mp.floor(x / y),
       partials=("1", "-floor(x / y)"), latex=r"{x} \bmod {y}"),
)


# Conditions


def _comparison(name: str, numpy: Any, latex: str, *, commutative: bool = False) -> Op:
    return Op(name=name, family="elementwise", arity=2, takes=("any",), gives=BOOL, commutative=commutative, step=True,
              numpy=numpy, mpmath=lambda mp, x, y: numpy(mp, mp.difference(x, y), 0), latex=latex, visible=False)


def _select(arguments: Sequence[Node], _attributes: Sequence[Any]) -> Type:
    """A branch has the range that the condition leaves it: `if x > 0 then x else 0` is never negative."""
    condition, then, otherwise = arguments
    kind = same(arguments[1:])
    if kind == BOOL:
        return union(a.axes for a in arguments), kind, BOOLS
    x = then.range.meet(_known(condition, then, holds=True))
    y = otherwise.range.meet(_known(condition, otherwise, holds=False))
    interval = y if x.empty else x if y.empty else x.join(y)
    return union(a.axes for a in arguments), kind, interval


def _known(condition: Node, value: Node, *, holds: bool) -> Interval:
    """What a comparison says about a value that it compares."""
    if condition.op.name not in ("lt", "le") or value not in condition.arguments:
        return REALS
    low, high = condition.arguments
    is_open = (condition.op.name == "lt") == holds
    if (value is high) == holds:
        bound = low.range.low if holds else high.range.low
        return Interval(bound, math.inf, is_open)
    bound = high.range.high if holds else low.range.high
    return Interval(-math.inf, bound, False, is_open)


_CONDITIONS = (
    _comparison("eq", lambda np, x, y: x == y, "{x} = {y}", commutative=True),
    _comparison("lt", lambda np, x, y: x < y, "{x} < {y}"),
    _comparison("le", lambda np, x, y: x <= y, r"{x} \le {y}"),
    Op(name="not", family="elementwise", takes=(BOOL,), gives=BOOL, step=True, numpy=lambda np, x: np.logical_not(x),
       mpmath=lambda mp, x: not x, latex=r"\lnot {x}", visible=False),
    Op(name="and", family="elementwise", arity=None, takes=(BOOL,), gives=BOOL, step=True, commutative=True,
       numpy=meanings.fold(lambda np, x, y: np.logical_and(x, y)), mpmath=lambda mp, *v: all(v), visible=False),
    Op(name="or", family="elementwise", arity=None, takes=(BOOL,), gives=BOOL, step=True, commutative=True,
       numpy=meanings.fold(lambda np, x, y: np.logical_or(x, y)), mpmath=lambda mp, *v: any(v), visible=False),
    Op(name="select", family="elementwise", arity=3, takes=(BOOL, "any"), gives=lambda a: same(a[1:]), typed=_select,
       numpy=lambda np, c, x, y: np.where(c, x, y), mpmath=lambda mp, c, x, y: x if c else y, visible=False),
)


# Functions of one number


def _function(
    name: str,
    partial: str | None,
    image: Any = None,
    *,
    domain: Interval = REALS,
    numpy: str | None = None,
    mpmath: Any = None,
    reference: Any = None,
    latex: str = "",
    sympy: str = "",
    visible: bool = True,
    gives: Any = REAL,
) -> Op:
    """A row whose numpy and mpmath references are the functions of that name, unless said otherwise."""
    named = numpy if numpy is not None else name
    return Op(
        name=name,
        family="elementwise",
        takes=("number",),
        gives=gives,
        image=image or always(REALS),
        domain=(domain,),
        numpy=reference or (None if named == "" else lambda np, x: getattr(np, named)(x)),
        mpmath=mpmath or (lambda mp, x: getattr(mp, name)(x)),
        partials=(partial,),
        latex=latex or rf"\operatorname{{{{{name}}}}}({{x}})".replace("_", r"\_"),
        sympy=sympy,
        visible=visible,
        step=partial is None,
    )


def _steps(function: Any) -> Any:
    """The range rule of a rising step function, which attains its ends also where those of x are open."""
    rule = rising(function)
    return lambda x: Interval(rule(x).low, rule(x).high)


_FUNCTIONS = (
    _function("exp", "exp(x)", rising(math.exp, POSITIVE), latex="e^{{{x}}}", sympy="exp"),
    _function("log", "1 / x", rising(math.log), domain=POSITIVE, latex=r"\log {x}", sympy="log"),
    _function("log1p", "1 / (1 + x)", rising(math.log1p), domain=Interval(-1.0, math.inf, True)),
    _function("expm1", "exp(x)", rising(math.expm1, Interval(-1.0, math.inf, True))),
    _function("abs", "sign(x)", ranges.absolute, mpmath=lambda mp, x: abs(x), latex="|{x}|", sympy="Abs", gives=same),
    _function("sign", None, always(SIGNED_UNIT), mpmath=meanings.sign, sympy="sign", gives=same),
    _function("floor", None, _steps(math.floor), latex=r"\lfloor {x} \rfloor", gives=INT),
    _function("ceil", None, _steps(math.ceil), latex=r"\lceil {x} \rceil", gives=INT),
    _function("round", None, _steps(round), mpmath=meanings.round, gives=INT),
    _function("sin", "cos(x)", always(SIGNED_UNIT), latex=r"\sin({x})", sympy="sin"),
    _function("cos", "-sin(x)", always(SIGNED_UNIT), latex=r"\cos({x})", sympy="cos"),
    _function("tan", "1 + tan(x)^2", latex=r"\tan({x})", sympy="tan"),
    _function("asin", "(1 - x^2)^(-1/2)", rising(math.asin), domain=SIGNED_UNIT, numpy="arcsin", latex=r"\arcsin({x})"),
    _function("acos", "-(1 - x^2)^(-1/2)", always(Interval(0.0, math.pi)), domain=SIGNED_UNIT, numpy="arccos",
              latex=r"\arccos({x})"),
    _function("atan", "1 / (1 + x^2)", rising(math.atan, Interval(-math.pi / 2, math.pi / 2)), numpy="arctan",
              latex=r"\arctan({x})"),
    _function("sinh", "cosh(x)", rising(math.sinh), latex=r"\sinh({x})"),
    _function("cosh", "sinh(x)", always(Interval(1.0)), latex=r"\cosh({x})"),
    _function("tanh", "4 * sigmoid(2 * x) * sigmoid(-2 * x)", rising(math.tanh, SIGNED_UNIT), latex=r"\tanh({x})"),
    _function("asinh", "(1 + x^2)^(-1/2)", rising(math.asinh), numpy="arcsinh"),
    _function("acosh", "(x - 1)^(-1/2) * (x + 1)^(-1/2)", rising(math.acosh, NONNEGATIVE), domain=Interval(1.0), numpy="arccosh"),
    _function("atanh", "1 / (1 - x^2)", rising(math.atanh), domain=Interval(-1.0, 1.0, True, True), numpy="arctanh"),
    _function("erf", "2 / pi^(1/2) * exp(-x^2)", rising(math.erf, SIGNED_UNIT), numpy=""),
    _function("erfc", "-2 / pi^(1/2) * exp(-x^2)", always(Interval(0.0, 2.0)), numpy=""),
    _function("lgamma", "digamma(x)", domain=POSITIVE, numpy="", mpmath=lambda mp, x: mp.loggamma(x),
              latex=r"\log\Gamma({x})"),
    _function("digamma", "polygamma(1, x)", domain=POSITIVE, numpy="", latex=r"\psi({x})"),
    _function("log_ndtr", "(2 / pi)^(1/2) / erfcx(-x / 2^(1/2))", always(Interval(-math.inf, 0.0)), numpy="",
              mpmath=meanings.log_ndtr, latex=r"\log\Phi({x})"),
    _function("i0e", "i1e(x) - sign(x) * i0e(x)", always(Interval(0.0, 1.0, True)), numpy="",
              mpmath=lambda mp, x: mp.besseli(0, x) * mp.exp(-abs(x))),
    _function("i1e", "i0e(x) - (if x == 0 then 1/2 else i1e(x) * (sign(x) + 1 / x))", always(SIGNED_UNIT), numpy="",
              mpmath=lambda mp, x: mp.besseli(1, x) * mp.exp(-abs(x))),
    # Stable forms, made by rewrites
    _function("erfcx", "2 * x * erfcx(x) - 2 / pi^(1/2)", always(POSITIVE), numpy="", visible=False,
              mpmath=lambda mp, x: mp.exp(x**2) * mp.erfc(x), latex=r"e^{{{x}^2}} \operatorname{{erfc}}({x})"),
    _function("sigmoid", "sigmoid(x) * sigmoid(-x)", rising(lambda x: 1 / (1 + math.exp(-x)), OPEN_UNIT), visible=False,
              reference=lambda np, x: np.exp(-np.logaddexp(0.0, -x)), mpmath=lambda mp, x: 1 / (1 + mp.exp(-x)),
              latex=r"\sigma({x})"),
    _function("softplus", "sigmoid(x)", always(NONNEGATIVE), visible=False,
              reference=lambda np, x: np.logaddexp(0.0, x), mpmath=lambda mp, x: mp.log1p(mp.exp(x)),
              latex=r"\operatorname{{softplus}}({x})"),
    _function("exp_rest", "expm1(x)", always(NONNEGATIVE), visible=False, reference=meanings.exp_rest,
              mpmath=lambda mp, x: mp.exp(x) - 1 - x, latex=r"e^{{{x}}} - 1 - {x}"),
    _function("log1mexp", "-1 / expm1(-x)", always(Interval(-math.inf, 0.0, False, True)), visible=False,
              domain=Interval(-math.inf, 0.0, False, True),
              reference=lambda np, x: meanings.log_one_minus_exp(np, x),
              mpmath=meanings.log1mexp, latex=r"\log(1 - e^{{{x}}})"),
    _function("log_cosh", "tanh(x)", always(NONNEGATIVE), visible=False,
              reference=lambda np, x: np.where(np.abs(x) < 1, np.log1p(2 * np.sinh(np.clip(x, -1, 1) / 2) ** 2),
                                               np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - np.log(2)),
              mpmath=lambda mp, x: mp.log1p(2 * mp.sinh(x / 2) ** 2), latex=r"\log\cosh({x})"),
    _function("xlogx", "log(x) + 1", always(Interval(-math.exp(-1))), domain=NONNEGATIVE, visible=False,
              reference=lambda np, x: np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, x))),
              mpmath=lambda mp, x: x * mp.log(x) if x != 0 else x, latex=r"{x} \log {x}"),
)


_PAIRS = (
    Op(name="hypot", family="elementwise", arity=2, takes=("number",), image=always(NONNEGATIVE), commutative=True,
       numpy=lambda np, x, y: np.hypot(x, y), mpmath=lambda mp, x, y: mp.hypot(x, y), visible=False,
       partials=("if x != 0 then x / hypot(x, y) else 0", "if y != 0 then y / hypot(x, y) else 0"),
       latex=r"\sqrt{{{x}^2 + {y}^2}}"),
    # A difference that no other sum takes apart: of two that may be equal where the rest of the sum is tiny.
    Op(name="gap", family="elementwise", arity=2, takes=("number",), visible=False, numpy=lambda np, x, y: x - y,
       image=lambda x, y: ranges.add(x, ranges.negate(y)), mpmath=lambda mp, x, y: x - y, partials=("1", "-1"),
       latex=r"({x} - {y})"),
    Op(name="logaddexp", family="elementwise", arity=2, takes=("number",), visible=False, commutative=True,
       image=lambda x, y: Interval(max(x.low, y.low)), numpy=lambda np, x, y: np.logaddexp(x, y),
       mpmath=lambda mp, x, y: max(x, y) + (mp.log1p(mp.exp(-abs(x - y))) if x != y else mp.log(2)),
       partials=("sigmoid(x - y)", "sigmoid(y - x)"), latex=r"\log(e^{{{x}}} + e^{{{y}}})"),
    Op(name="mix", family="elementwise", arity=3, takes=("number",), image=lambda w, x, y: x.join(y), visible=False,
       domain=(UNIT, REALS, REALS), numpy=lambda np, w, x, y: w * x + (1 - w) * y,
       mpmath=lambda mp, w, x, y: w * x + (1 - w) * y, partials=("y - z", "x", "1 - x"),
       latex=r"{x}\,{y} + (1 - {x})\,{z}"),
    Op(name="log_mix", family="elementwise", arity=3, takes=("number",), visible=False, domain=(UNIT, REALS, REALS),
       image=lambda w, x, y: x.join(y),
       numpy=meanings.log_mix,
       mpmath=lambda mp, w, x, y: mp.log(w * mp.exp(x) + (1 - w) * mp.exp(y)),
       # The larger exponential stands as a factor, so that it merges with others and does not overflow alone.
       partials=("exp(maximum(y, z) - log_mix(x, y, z)) * (if y >= z then -expm1(z - y) else expm1(y - z))",
                 "sigmoid(log(x) - log1p(-x) + (y - z))", "sigmoid(log1p(-x) - log(x) + (z - y))"),
       latex=r"\log({x}\,e^{{{y}}} + (1 - {x})\,e^{{{z}}})"),
    # The logarithm of a sum of two exponentials with weights, either of which may be 0.
    Op(name="log_blend", family="elementwise", arity=4, takes=("number",), visible=False,
       domain=(NONNEGATIVE, REALS, NONNEGATIVE, REALS),
       numpy=lambda np, x, y, z, w: np.logaddexp(np.log(x) + y, np.log(z) + w),
       mpmath=lambda mp, x, y, z, w: mp.log(x * mp.exp(y) + z * mp.exp(w)),
       # The result stands in an exponent, so that it cancels against a sum that this one is a part of.
       partials=("exp(y - log_blend(x, y, z, w))", "exp(log(x) + y - log_blend(x, y, z, w))",
                 "exp(w - log_blend(x, y, z, w))", "exp(log(z) + w - log_blend(x, y, z, w))"),
       latex=r"\log({x}\,e^{{{y}}} + {z}\,e^{{{w}}})"),
    # The logarithm of the chance of at least one success among x tries of probability e^y each.
    Op(name="log_any", family="elementwise", arity=2, takes=(INT, "number"), visible=False,
       domain=(Interval(1.0), Interval(-math.inf, 0.0)), image=always(Interval(-math.inf, 0.0)), numpy=meanings.log_any,
       mpmath=lambda mp, n, x: meanings.log1mexp(mp, n * meanings.log1mexp(mp, x)) if x < 0 else mp.mpf(0),
       partials=(None, "if y < 0 then exp(log(x) + y - log_any(x, y) + (x - 1) * log1mexp(y)) else if x == 1 then 1 else 0"),
       latex=r"\log(1 - (1 - e^{{{y}}})^{{{x}}})"),
    # The logarithm of the probability of a normal number between x - y and x + y, and the density at the end nearer to
    # 0 in parts of that probability.
    Op(name="log_interval", family="elementwise", arity=2, takes=("number",), visible=False, domain=(REALS, POSITIVE),
       image=always(Interval(-math.inf, 0.0)), mpmath=meanings.log_interval,
       partials=("sign(x) * interval_peak(x, y) * expm1(-2 * abs(x) * y)",
                 "interval_peak(x, y) * (1 + exp(-2 * abs(x) * y))"),
       latex=r"\log(\Phi({x} + {y}) - \Phi({x} - {y}))"),
    Op(name="interval_peak", family="elementwise", arity=2, takes=("number",), visible=False, domain=(REALS, POSITIVE),
       image=always(NONNEGATIVE), mpmath=lambda mp, x, y: mp.npdf(abs(x) - y) / meanings.interval(mp, x, y),
       partials=("sign(x) * interval_peak(x, y) * (y - abs(x) - interval_peak(x, y) * expm1(-2 * abs(x) * y))",
                 "interval_peak(x, y) * (abs(x) - y - interval_peak(x, y) * (1 + exp(-2 * abs(x) * y)))"),
       latex=r"\frac{{\varphi(|{x}| - {y})}}{{\Phi({x} + {y}) - \Phi({x} - {y})}}"),
    Op(name="atan2", family="elementwise", arity=2, takes=("number",), image=always(Interval(-math.pi, math.pi)),
       numpy=lambda np, y, x: np.arctan2(y, x), mpmath=lambda mp, y, x: mp.atan2(y, x),
       partials=("y / (x^2 + y^2)", "-x / (x^2 + y^2)"), latex=r"\operatorname{{atan2}}({x}, {y})"),
    Op(name="polygamma", family="elementwise", arity=2, takes=(INT, "number"), domain=(Interval(1.0, 3.0), POSITIVE),
       mpmath=lambda mp, n, x: mp.psi(int(n), x), partials=(None, "polygamma(x + 1, y)"), latex=r"\psi^{{({x})}}({y})"),
)


# Reductions


def _sum_image(x: Interval, count: Interval) -> Interval:
    return ranges.multiply(x, count)


def _sum(arguments: Sequence[Node], attributes: Sequence[Any]) -> Type:
    """A sum along axes; one of the products of short vectors has a narrower range than that of its terms."""
    over: Over = attributes[0]
    body = arguments[0]
    interval = _sum_image(body.range, NATURALS if len(arguments) > 1 else Interval(1.0))
    narrow = dot_range(body, over.axes)
    gone = set(over.axes)
    axes = tuple(a for a in union(n.axes for n in arguments) if a not in gone)
    return axes, arithmetic(arguments[:1]), interval if narrow is None else narrow.meet(interval)


def _reduction(name: str, numpy: Any, mpmath: Any, **columns: Any) -> Op:
    return Op(name=name, family="reduce", numpy=numpy, mpmath=mpmath, **columns)


_REDUCTIONS = (
    _reduction("sum", lambda np, x, axis: np.sum(x, axis=axis), lambda mp, v: mp.fsum(v), takes=("any",), gives=arithmetic,
               image=_sum_image, typed=_sum, neutral=Fraction(0), partials=("1",), latex=r"\sum_{{{k}}} {x}"),
    _reduction("prod", lambda np, x, axis: np.prod(x, axis=axis), lambda mp, v: mp.fprod(v), takes=("any",),
               gives=arithmetic, image=lambda x, _: UNIT if x.within(UNIT) else (NONNEGATIVE if x.nonnegative else REALS),
               neutral=Fraction(1),
               partials=("if x != 0 then r / x else if sum[K](if x == 0 then 1 else 0) == 1 then prod[K where x != 0](x) else 0",),
               latex=r"\prod_{{{k}}} {x}"),
    _reduction("max", lambda np, x, axis: np.max(x, axis=axis), lambda mp, v: meanings.largest(mp, *v), takes=("number",), gives=same,
               partials=("if x == r then 1 / sum[K](if x == r then 1 else 0) else 0",),
               image=lambda x, _: x, latex=r"\max_{{{k}}} {x}"),
    _reduction("min", lambda np, x, axis: np.min(x, axis=axis), lambda mp, v: meanings.smallest(mp, *v), takes=("number",), gives=same,
               partials=("if x == r then 1 / sum[K](if x == r then 1 else 0) else 0",),
               image=lambda x, _: x, latex=r"\min_{{{k}}} {x}"),
    _reduction("any", lambda np, x, axis: np.any(x, axis=axis), lambda mp, v: any(v), takes=(BOOL,), gives=BOOL,
               neutral=False, step=True, latex=r"\exists_{{{k}}} {x}"),
    _reduction("all", lambda np, x, axis: np.all(x, axis=axis), lambda mp, v: all(v), takes=(BOOL,), gives=BOOL,
               neutral=True, step=True, latex=r"\forall_{{{k}}} {x}"),
    _reduction("argmax", lambda np, x, axis: np.argmax(x, axis=axis), lambda mp, v: meanings.place_of(v, meanings.largest(mp, *v)), takes=("number",),
               gives=INT, indexes=True, step=True, latex=r"\arg\max_{{{k}}} {x}"),
    _reduction("argmin", lambda np, x, axis: np.argmin(x, axis=axis), lambda mp, v: meanings.place_of(v, meanings.smallest(mp, *v)), takes=("number",),
               gives=INT, indexes=True, step=True, latex=r"\arg\min_{{{k}}} {x}"),
    # Stable forms, made by rewrites
    _reduction("logsumexp", lambda np, x, axis: np.logaddexp.reduce(x, axis=axis),
               lambda mp, v: mp.log(mp.fsum(mp.exp(x) for x in v)), takes=("number",),
               image=lambda x, count: Interval(x.low if count.positive else -math.inf), neutral=-math.inf, partials=("exp(x - r)",), visible=False, latex=r"\operatorname{{LSE}}_{{{k}}}\, {x}"),
    _reduction("score_entropy", meanings.score_entropy, meanings.exact_score_entropy, takes=("number",), image=always(NONNEGATIVE),
               partials=("softmax[K](x) * (gap(max[K](x), x) - sum[K](softmax[K](x) * gap(max[K](x), x)))",), visible=False,
               latex=r"H_{{{k}}}(\operatorname{{softmax}} {x})"),
    _reduction("mean", lambda np, x, axis: np.mean(x, axis=axis), lambda mp, v: mp.fsum(v) / len(v), takes=("any",),
               image=lambda x, _: x, partials=("1 / sum[K](1)",), visible=False, latex=r"\frac{{1}}{{|{k}|}}\sum_{{{k}}} {x}"),
    _reduction("norm", lambda np, x, axis: np.linalg.norm(x, axis=axis), lambda mp, v: mp.norm(v), takes=("number",),
               image=always(NONNEGATIVE), neutral=Fraction(0), partials=("if r != 0 then x / r else 0",), visible=False, latex=r"\lVert {x} \rVert_{{{k}}}"),
)


# Operations along an axis that keep it


_SCANS = (
    # What is excluded sorts last as NaN does: even an infinity that is included comes before it.
    Op(name="argsort", family="scan", takes=("number",), gives=INT, neutral=math.nan, indexes=True, step=True,
       numpy=lambda np, x, axis: np.argsort(x, axis=axis, kind="stable"), mpmath=lambda mp, v: meanings.order(v)),
    Op(name="rank", family="scan", takes=("number",), gives=INT, neutral=math.nan, image=always(NATURALS), step=True, numpy=meanings.ranks,
       mpmath=lambda mp, v: meanings.place(v)),
    Op(name="topk", family="scan", arity=2, neutral=math.nan, takes=("number", INT), gives=BOOL, step=True, numpy=meanings.topk,
       mpmath=lambda mp, v, k: [p < k for p in meanings.place([-x for x in v])], domain=(REALS, Interval(1.0))),
    Op(name="cumsum", family="scan", takes=("any",), neutral=Fraction(0), gives=arithmetic, image=lambda x: ranges.multiply(x, Interval(1.0)),
       numpy=meanings.cumsum, mpmath=meanings.running, options=("reverse",), adjoint="cumsum[K](g, reverse = not reverse)"),
    # Stable forms, made by rewrites
    Op(name="softmax", family="scan", takes=("number",), image=always(UNIT), visible=False,
       numpy=lambda np, x, axis: np.exp(x - np.logaddexp.reduce(x, axis=axis, keepdims=True)),
       mpmath=lambda mp, v: [mp.exp(x) / mp.fsum(mp.exp(y) for y in v) for x in v],
       adjoint="r * (g - sum[K](g * r))", latex=r"\operatorname{{softmax}}_{{{k}}}({x})"),
    Op(name="unit", family="scan", takes=("number",), image=always(SIGNED_UNIT), visible=False,
       numpy=meanings.unit, mpmath=meanings.exact_unit, adjoint="if norm[K](x) != 0 then (g - r * sum[K](g * r)) / norm[K](x) else 0",
       latex=r"\frac{{{x}}}{{\lVert {x} \rVert_{{{k}}}}}"),
    Op(name="log_softmax", family="scan", takes=("number",), image=always(Interval(-math.inf, 0.0)), visible=False,
       numpy=lambda np, x, axis: x - np.logaddexp.reduce(x, axis=axis, keepdims=True),
       mpmath=lambda mp, v: [x - mp.log(mp.fsum(mp.exp(y) for y in v)) for x in v],
       adjoint="g - exp(r) * sum[K](g)", latex=r"\log\operatorname{{softmax}}_{{{k}}}({x})"),
)

OPS: dict[str, Op] = {
    op.name: op
    for op in (*_STRUCTURE, *_ARITHMETIC, *_CONDITIONS, *_FUNCTIONS, *_PAIRS, *_REDUCTIONS, *_SCANS)
}

__all__ = ["OPS", "Leaf", "Op", "Over"]
