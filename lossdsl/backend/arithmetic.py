"""Sums, products and powers, written as a person would: with minus signs, quotients and roots."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.backend.kinds import LogSoftmax, Product, Sum
from lossdsl.backend.text import Value, aligned, constant, in_order, negated
from lossdsl.backend.torch_ops import ATOM, POWER, PRODUCT, SUM, UNARY
from lossdsl.graph import BOOL, INT, REAL, Axis, Node

if TYPE_CHECKING:
    from lossdsl.backend.emit import Emitter

_SMALL = 64


def write_sum(emitter: Emitter, node: Node, form: Sum | None) -> Value:
    """Smaller terms first, numbers last, negative terms subtracted."""
    if form is None:
        return _total(_numeric(emitter, node, emitter.arguments(node.arguments)), node.kind)
    for sign in (1, -1):
        found = emitter.sums.get(form.same(sign))
        if found is not None:
            return found if sign == 1 else Value(f"-{found.at(UNARY)}", UNARY, found.axes, REAL, found.number)
    terms = []
    for sign, term in form.terms:
        above, below = factors_of(emitter, node, term)
        terms.append(multiplied(Fraction(sign), above, below, REAL))
    total = _total(emitter.short(terms), REAL)
    if form.size != 1:
        total = multiplied(form.size, [total], [], REAL)
    if emitter.recurs(form):
        total = emitter.named(total, "margin")
        emitter.sums[form.same(1)] = total
    return total


def write_log_softmax(emitter: Emitter, form: LogSoftmax) -> Value:
    """Scores less the largest of them, less the logarithm of the sum of their exponentials."""
    shifted, logarithm = emitter.shifted[form.total]
    signs = (form.sign, -form.sign)
    own = [multiplied(Fraction(s), [v], [], REAL) for s, v in zip(signs, (shifted, logarithm), strict=True)]
    rest = [emitter.real(emitter.values[t]) for t in form.rest]
    return _total(emitter.short([*own, *rest]), REAL)


def _total(values: Sequence[Value], kind: str) -> Value:
    values = sorted(values, key=lambda v: (v.number, len(v.axes)))
    if kind == REAL and any(v.number and not _is_whole(v) for v in values):
        # Of a whole tensor and a fraction torch makes its default dtype, and rounds before a wider one is added.
        values = [_wide(v) for v in values]
    axes = in_order(a for v in values for a in v.axes)
    signed = [(negated(v), v) for v in values]
    code = " + ".join(aligned(v, axes, SUM) for opposite, v in signed if opposite is None)
    for opposite in (o for o, _ in signed if o is not None):
        text = aligned(opposite, axes, PRODUCT)
        code += f" - {text}" if code else f"-{aligned(opposite, axes, PRODUCT)}"
    return Value(code, SUM, axes, kind, all(v.number for v in values))


def _numeric(emitter: Emitter, node: Node, values: Sequence[Value]) -> list[Value]:
    """Operands as numbers: conditions count as 0 and 1, whole numbers become real where the result is."""
    values = [emitter.whole(v) if v.number else v for v in values]
    if node.kind == INT:
        return [emitter.whole(v) for v in values]
    if node.op.name == "mul" or any(v.kind == REAL and not v.number for v in values):
        return [emitter.real(v) if v.kind == BOOL else v for v in values]
    return [emitter.real(v) for v in values]


def write_product(emitter: Emitter, node: Node, form: Product) -> Value:
    """Factors with few axes are multiplied first; negative powers divide. Of two opposite products one is written."""
    if not emitter.has_opposite(form):
        above, below = factors_of(emitter, node, form)
        return multiplied(form.coefficient, above, below, node.kind)
    if form.size not in emitter.written_products:
        above, below = factors_of(emitter, node, form)
        value = multiplied(form.size.coefficient, above, below, node.kind)
        emitter.written_products[form.size] = emitter.named(value, "product")
    found = emitter.written_products[form.size]
    return found if form.coefficient > 0 else Value(f"-{found.at(UNARY)}", UNARY, found.axes, node.kind, found.number)


def factors_of(emitter: Emitter, node: Node, form: Product) -> tuple[list[Value], list[Value]]:
    """What is multiplied and what is divided by; a softmax gives its exponentials and their sum."""
    shares = [emitter.shares.get(n) for n in form.above]
    plain = [n for n, share in zip(form.above, shares, strict=True) if share is None]
    values = _numeric(emitter, node, emitter.arguments((*plain, *form.below)))
    split = [share for share in shares if share is not None]
    above = [*values[: len(plain)], *(e for e, _ in split)]
    return above, [*values[len(plain) :], *(total for _, total in split)]


def multiplied(coefficient: Fraction, above: Sequence[Value], below: Sequence[Value], kind: str) -> Value:
    """The text of a product of values."""
    factors, divisors = list(above), list(below)
    for position, factor in enumerate(factors):
        opposite = negated(factor)
        if opposite is not None:
            factors[position], coefficient = opposite, -coefficient
    sign = "-" if coefficient < 0 else ""
    coefficient = abs(coefficient)
    if coefficient.numerator == 1 and 1 < coefficient.denominator <= _SMALL and factors:
        divisors.append(constant(Fraction(coefficient.denominator), INT))
    elif coefficient != 1 or not factors:
        factors.insert(0, constant(coefficient, INT if coefficient.denominator == 1 else REAL))
    divisors = _one_number(divisors)
    axes = in_order(a for v in (*factors, *divisors) for a in v.axes)
    if kind == REAL:
        factors, divisors = _in_wide(factors, divisors)
    over, under = _small_first(factors, divisors)
    if not over:
        over = [constant(Fraction(1), INT)]
    number = all(v.number for v in (*factors, *divisors))
    code = " * ".join(aligned(v, axes, PRODUCT) for v in over)
    code += "".join(f" / {aligned(v, axes, UNARY)}" for v in under)
    single = len(over) == 1 and not under
    level = (min(over[0].level, UNARY) if sign else over[0].level) if single else PRODUCT
    return Value(sign + (over[0].at(UNARY) if single and sign else code), level, axes, kind, number)


def _one_number(divisors: list[Value]) -> list[Value]:
    """Numbers that divide are multiplied first: a tensor is divided once."""
    numbers = [v for v in divisors if v.number]
    if len(numbers) < 2:
        return divisors
    numbers.sort(key=lambda v: v.exact is None)
    code = " * ".join(v.at(PRODUCT) for v in numbers)
    kind = INT if all(v.kind != REAL for v in numbers) else REAL
    return [*(v for v in divisors if not v.number), Value(code, PRODUCT, (), kind, True)]


def _in_wide(factors: list[Value], divisors: list[Value]) -> tuple[list[Value], list[Value]]:
    """Whole tensors in the dtype of real ones, unless each only divides something real: torch would choose float32."""
    whole = [v for v in (*factors, *divisors) if v.kind != REAL and not v.number]
    real = [v for v in factors if v.kind == REAL and not v.number]
    least = min((len(v.axes) for v in real), default=-1)
    if real and all(any(v is d for d in divisors) and len(v.axes) >= least for v in whole):
        return factors, divisors

    return [_wide(v) for v in factors], [_wide(v) for v in divisors]


def _wide(value: Value) -> Value:
    """A tensor in the dtype of real values."""
    if value.number or value.kind == REAL:
        return value
    return Value(f"{value.at(ATOM)}.to(wide)", ATOM, value.axes, REAL)


def _is_whole(number: Value) -> bool:
    return number.kind == INT and (number.exact is None or float(number.exact).is_integer())


def _small_first(factors: list[Value], divisors: list[Value]) -> tuple[list[Value], list[Value]]:
    """Factors that lack axes of others are multiplied among themselves, in brackets, where that saves work."""
    largest = max((len(v.axes) for v in (*factors, *divisors)), default=0)
    big = [v for v in factors if len(v.axes) == largest]
    small = [v for v in factors if len(v.axes) < largest]
    small_divisors = [v for v in divisors if len(v.axes) < largest]
    tensors = [v for v in (*small, *small_divisors) if v.axes]
    if len(small) + len(small_divisors) < 2 or not tensors or not small:
        return sorted(factors, key=lambda v: len(v.axes)), divisors
    inner = in_order(a for v in (*small, *small_divisors) for a in v.axes)
    if not big and len(small_divisors) == len(divisors):
        return sorted(factors, key=lambda v: len(v.axes)), divisors
    small = sorted(small, key=lambda v: len(v.axes))
    code = " * ".join(aligned(v, inner, PRODUCT) for v in small)
    code += "".join(f" / {aligned(v, inner, UNARY)}" for v in small_divisors)
    kind = REAL if small_divisors or any(v.kind == REAL for v in small) else INT
    return [Value(code, PRODUCT, inner, kind), *big], [v for v in divisors if len(v.axes) == largest]


def write_power(emitter: Emitter, node: Node) -> Value:
    base, exponent = emitter.arguments(node.arguments)
    if base.number and exponent.number:
        if exponent.exact == -1:
            return Value(f"1 / {base.at(UNARY)}", PRODUCT, (), node.kind, True)
        return Value(f"{base.at(ATOM)} ** {exponent.at(POWER)}", POWER, (), node.kind, True)
    if node.kind == REAL:
        base = emitter.real(base)
        exponent = emitter.real(exponent) if base.number else exponent
    axes: tuple[Axis, ...] = in_order((*base.axes, *exponent.axes))
    if exponent.number and exponent.exact in _POWERS:
        code, level = _POWERS[exponent.exact]
        inner = base.at(ATOM if code.startswith("{x}") else UNARY if code.startswith("1 / {") else 0)
        return Value(code.format(x=inner), level, axes, node.kind)
    left, right = aligned(base, axes, ATOM), aligned(exponent, axes, POWER)
    return Value(f"{left} ** {right}", POWER, axes, node.kind)


_POWERS: dict[Fraction | float | bool | None, tuple[str, int]] = {
    Fraction(2): ("{x}.square()", ATOM),
    Fraction(1, 2): ("torch.sqrt({x})", ATOM),
    Fraction(-1, 2): ("torch.rsqrt({x})", ATOM),
    Fraction(-1): ("1 / {x}", PRODUCT),
    Fraction(-2): ("torch.square({x}).reciprocal()", ATOM),
}
